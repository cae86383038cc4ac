"""Targets of a user's data: what each loss takes, checked, and brought into the rows that the outputs are made into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED, Loss
from hessbench.problems.networks.network import Batch
from hessbench.problems.user_model.layout import Layout, UserLoss

IGNORED: Final = -100
"""The label that torch ignores by default."""

_PROBABILITY_TOLERANCE: Final = 1e-3


def rowed_targets(batches: Sequence[Batch], layout: Layout) -> tuple[Batch, ...]:
    """Batches with labels (m, L) and values (m, L, W) in the order of the rows of the outputs; (m, D) by elements."""
    if layout.is_plain or layout.kind == "own":
        return tuple(batches)

    def rowed(targets: Tensor) -> Tensor:
        if targets.ndim == 1:
            return targets[:, None]
        if not targets.is_floating_point() or layout.kind == "elements":
            return targets.flatten(1)
        return (targets.movedim(1, -1) if layout.kind == "second" else targets).flatten(1, -2)

    return tuple(Batch(batch.inputs, rowed(batch.targets)) for batch in batches)


def ignored_label(loss: UserLoss) -> int:
    """The label that counts for nothing: that of the loss; with a squared loss any, as it stands by outputs of zero."""
    if isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss):
        return loss.ignore_index
    return 0 if loss == SQUARED.name else IGNORED


def check_targets(loss: UserLoss, batches: Sequence[Batch], layout: Layout) -> None:
    """Refuse targets that the loss does not take; those of a function of one's own it must refuse itself.

    Args:
        loss: As of `from_model`, a module in place of a function of torch.
        batches: The data, targets as they were handed in.
        layout: Of the outputs.

    Raises:
        ValueError: Saying what is needed.
    """
    name = loss.name if isinstance(loss, Loss) else loss
    for number, batch in enumerate(batches, 1):
        if name == CROSS_ENTROPY.name or type(loss) in (nn.CrossEntropyLoss, nn.NLLLoss):
            _check_classes(batch.targets, layout, number, ignored_label(loss) if isinstance(loss, nn.Module) else None)
        elif name == SQUARED.name or type(loss) in (nn.MSELoss, nn.BCEWithLogitsLoss):
            _check_values(batch.targets, layout, number, numbers=name == SQUARED.name)
        if type(loss) is nn.BCEWithLogitsLoss and not bool(((batch.targets >= 0) & (batch.targets <= 1)).all()):
            low, high = float(batch.targets.min()), float(batch.targets.max())
            raise ValueError(f"targets of batch {number} run from {low:g} to {high:g}: from 0 to 1 are accepted")


def _check_classes(targets: Tensor, layout: Layout, number: int, ignored: int | None) -> None:
    positions, classes = layout.positions(number - 1), layout.width
    axis = 1 if layout.kind == "second" else -1
    shares = (classes, *positions) if layout.kind == "second" else (*positions, classes)
    if targets.is_floating_point() and targets.ndim == len(shares) + 1:
        if targets.shape[axis] != classes:
            raise ValueError(
                f"targets of batch {number} have {targets.shape[axis]} probabilities, the model {classes} outputs"
            )
        if tuple(targets.shape[1:]) == shares:
            if float(targets.min()) < 0 or float((targets.sum(dim=axis) - 1).abs().max()) > _PROBABILITY_TOLERANCE:
                raise ValueError(
                    f"targets of batch {number} are no probabilities: rows of numbers >= 0 with sum 1 are needed"
                )
            return
    if targets.is_floating_point() or targets.dtype == torch.bool or tuple(targets.shape[1:]) != positions:
        raise ValueError(
            f"targets of batch {number} are {targets.dtype} {tuple(targets.shape)}: class numbers {_shape(positions)} "
            f"as integers or probabilities {_shape(shares)} are needed{_of_outputs(layout, number)}"
            f"{_other_axis(targets, layout, number)}"
        )
    _check_labels(targets if ignored is None else targets[targets != ignored], classes, number)


def _other_axis(targets: Tensor, layout: Layout, number: int) -> str:
    """What to do where the targets fit the outputs with their classes along the other axis."""
    found, shape = tuple(targets.shape[1:]), layout.shapes[number - 1]
    if layout.is_plain:
        return ""
    if layout.kind == "last" and found == shape[1:]:
        return "; for outputs with their classes along the second axis take nn.CrossEntropyLoss()"
    if layout.kind == "second" and found == shape[:-1]:
        return "; for outputs with their classes along the last axis take loss='cross-entropy'"
    return ""


def _check_values(targets: Tensor, layout: Layout, number: int, *, numbers: bool) -> None:
    shape, positions = layout.shapes[number - 1], layout.positions(number - 1)
    if numbers and not targets.is_floating_point() and tuple(targets.shape[1:]) == positions:
        _check_labels(targets, layout.width, number)
    elif not targets.is_floating_point() or tuple(targets.shape[1:]) != shape:
        as_values = tuple(targets.shape[1:]) == shape and not numbers
        remedy = "; convert them, as in targets.float()" if as_values else ""
        also = f", or class numbers {_shape(positions)} as integers," if numbers else ""
        raise ValueError(
            f"targets of batch {number} are {targets.dtype} {tuple(targets.shape)}: values {_shape(shape)}{also} are "
            f"needed, as many as the model has outputs{remedy}"
        )


def _check_labels(targets: Tensor, classes: int, number: int) -> None:
    if targets.numel() == 0:
        return
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        also = f"; take out {IGNORED}, which nn.CrossEntropyLoss() ignores" if low == IGNORED else ""
        raise ValueError(
            f"labels of batch {number} run from {low} to {high}: the model has {classes} outputs, so labels from 0 to "
            f"{classes - 1} are accepted{also}"
        )


def _of_outputs(layout: Layout, number: int) -> str:
    return "" if layout.is_plain else f" for outputs {_shape(layout.shapes[number - 1])}"


def _shape(sizes: tuple[int, ...]) -> str:
    return f"(m, {', '.join(map(str, sizes))})" if sizes else "(m,)"

"""Losses of torch by their closed forms, means over samples and positions as torch takes them over all data at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hessbench.problems.networks.binary_loss import binary_cross_entropy
from hessbench.problems.networks.losses import Loss, cross_entropy, squared
from hessbench.problems.networks.network import Batch
from hessbench.problems.networks.row_losses import by_rows
from hessbench.problems.user_model.layout import Layout


def closed_form(loss: object, batches: Sequence[Batch], layout: Layout, *, mean: bool) -> Loss | None:
    """What is known of a loss of torch; None of another.

    Args:
        loss: The module.
        batches: The data, their targets in rows.
        layout: Of the outputs.
        mean: Whether the loss is a mean.

    Raises:
        ValueError: If its weights do not fit the outputs, or its mean is not defined.
    """
    if type(loss) is nn.MSELoss:
        if layout.is_plain:
            return squared(mean=mean, weight=2 / layout.width if mean else 2.0)
        return by_rows(squared(mean=mean, weight=2 * layout.share if mean else 2.0), 1)
    if type(loss) is nn.BCEWithLogitsLoss:
        return _binary(loss, layout, mean=mean)
    if type(loss) is nn.CrossEntropyLoss:
        weights, ignored = _class_weights(loss, batches, layout, mean=mean)
        found = cross_entropy(mean=mean, weights=weights, smoothing=loss.label_smoothing, ignored=ignored)
    elif type(loss) is nn.NLLLoss:
        found = _likelihood(loss, *_class_weights(loss, batches, layout, mean=mean), mean=mean)
    else:
        return None
    return found if layout.is_plain else by_rows(found, layout.width)


def _likelihood(loss: nn.NLLLoss, weights: Tensor | None, ignored: int | None, *, mean: bool) -> Loss:
    place = loss.ignore_index if ignored is None else ignored

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        scaled = None if weights is None else weights.to(outputs)
        return nn.functional.nll_loss(outputs, targets, weight=scaled, reduction="sum", ignore_index=place)

    return Loss(type(loss).__name__, total, mean)


def _class_weights(
    loss: nn.CrossEntropyLoss | nn.NLLLoss, batches: Sequence[Batch], layout: Layout, *, mean: bool
) -> tuple[Tensor | None, int | None]:
    """Weights of the classes, and the label that is ignored where there are any.

    A mean divides by the weights of all labels that are not ignored, one for each position, over all batches: exact
    over any cut of them. Of probabilities it divides by the number of positions.

    Raises:
        ValueError: If the weights do not fit the classes, or those of all labels are 0, or all are ignored.
    """
    numbers = not batches[0].targets.is_floating_point()
    weights, ignored = None, None
    if loss.weight is not None:
        weights = loss.weight.detach().cpu().double()
        if weights.shape != (layout.width,) or bool((weights < 0).any()):
            raise ValueError(f"loss: the class weights must be {layout.width} numbers, none negative")
    factor = layout.share
    if numbers:
        labels = torch.cat([batch.targets.long().flatten() for batch in batches])
        kept = labels[labels != loss.ignore_index]
        if kept.numel() < labels.numel() or layout.is_ragged:
            ignored = loss.ignore_index
        mass = float(kept.numel() if weights is None else weights[kept].sum())
        if mean and kept.numel() == 0:
            raise ValueError(
                f"loss: all labels are {loss.ignore_index}, which is ignored (ignore_index): their mean is not defined"
            )
        if mean and mass == 0:
            raise ValueError("loss: the class weights of all labels are 0: their mean is not defined")
        factor = sum(layout.samples) / mass if mean else 1.0
    if mean and factor != 1:
        weights = (torch.ones(layout.width, dtype=torch.float64) if weights is None else weights) * factor
    return weights, ignored


def _binary(loss: nn.BCEWithLogitsLoss, layout: Layout, *, mean: bool) -> Loss:
    factor = layout.share / layout.width if mean else 1.0
    weight = _of_outputs(loss.weight, "weight", layout)
    if factor != 1:
        weight = (torch.ones((), dtype=torch.float64) if weight is None else weight) * factor
    return binary_cross_entropy(mean=mean, weight=weight, positive=_of_outputs(loss.pos_weight, "pos_weight", layout))


def _of_outputs(found: Tensor | None, name: str, layout: Layout) -> Tensor | None:
    """Numbers for the outputs of a sample, (D,) or (), as torch broadcasts them.

    Raises:
        ValueError: If they are others, of single samples for instance, or negative.
    """
    if found is None:
        return None
    numbers, shape = found.detach().cpu().double(), layout.shapes[0]
    if numbers.numel() == 1:
        numbers = numbers.reshape(())
    elif numbers.ndim == len(shape) + 1 and numbers.shape[0] == 1:
        numbers = numbers[0]
    fits = numbers.ndim <= len(shape) and all(
        size in (1, wanted) for size, wanted in zip(reversed(numbers.shape), reversed(shape), strict=False)
    )
    if not fits or (layout.is_ragged and numbers.ndim) or bool((numbers < 0).any()):
        raise ValueError(
            f"loss: {name} {tuple(found.shape)} must be one number, or numbers for the outputs {tuple(shape)} of every "
            "sample alike, none negative"
        )
    return numbers.expand(shape).flatten() if numbers.ndim else numbers

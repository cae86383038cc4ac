"""Losses of torch and of users as sums over samples, with the targets they take."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from hessbench.exceptions import first_line
from hessbench.problems.networks.losses import CROSS_ENTROPY, LOSSES, Loss, LossTotal, cross_entropy
from hessbench.problems.networks.network import Batch
from hessbench.problems.networks.row_losses import by_rows
from hessbench.problems.user_model.layout import FUNCTIONS, Layout, UserLoss, layout_of
from hessbench.problems.user_model.targets import IGNORED, check_targets, rowed_targets
from hessbench.problems.user_model.torch_losses import closed_form
from hessbench.specs import suggest

_SPLIT_TOLERANCE: Final = 1e-6
_REDUCTIONS: Final = ("mean", "batchmean", "sum")
_MOST_ENTRIES: Final = 2**26
"""Outputs times samples on which a loss of one's own is compared with its parts."""


def loss_of(loss: UserLoss, batches: Sequence[Batch], outputs: Tensor, layout: Layout | None = None) -> Loss:
    """What a user calls a loss, as a sum over samples, and its targets checked.

    Args:
        loss: "cross-entropy" or "squared"; `nn.CrossEntropyLoss`, `nn.BCEWithLogitsLoss` or `nn.MSELoss`, whose closed
            forms are used; or a function of outputs and targets that returns a scalar, its attribute `reduction` saying
            whether that is a mean (the default) or a sum over the samples. The mean of torch's elementwise losses (L1,
            Huber, BCE, `nn.KLDivLoss`) is over samples and outputs, 1 / C of the mean over samples that "batchmean" is.
        batches: The data, targets as they were handed in.
        outputs: Outputs of the first samples as rows (m, D), in float64.
        layout: What the rows are made of; outputs (m, C) as they are by default.

    Raises:
        ValueError: If the loss is unknown or no sum over samples, or a target is out of range.
    """
    loss = next((module for function, module in FUNCTIONS if function is loss), loss)
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(
                f"unknown loss {loss!r}{suggest(loss, LOSSES)}; accepted: {', '.join(LOSSES)}, or a function"
            )
    elif isinstance(loss, type):
        raise ValueError(
            f"loss is the class {loss.__name__} itself: an instance is accepted, as {loss.__name__}() with its settings"
        )
    elif not isinstance(loss, Loss) and not callable(loss):
        raise ValueError(f"loss takes a name or a function of outputs and targets, got {type(loss).__name__}")
    layout = layout or layout_of(loss, batches, [tuple(outputs.shape[1:])] * len(batches))
    check_targets(loss, batches, layout)
    batches = rowed_targets(batches, layout)
    found = _own_loss(loss, layout) if isinstance(loss, str | Loss) else _loss_of_function(loss, batches, layout)
    _check_split(found, outputs, batches[0].targets[: outputs.shape[0]])
    if not isinstance(loss, str | Loss) and found.root is None and not layout.is_ragged:
        _check_batches(found, outputs, batches)
    return found


def _own_loss(loss: str | Loss, layout: Layout) -> Loss:
    """A loss of this package: of outputs with more axes the mean over all but the last one, or their sum."""
    found = LOSSES[loss] if isinstance(loss, str) else loss
    if layout.is_plain:
        return found
    if layout.is_ragged and found is CROSS_ENTROPY:
        found = cross_entropy(ignored=IGNORED)
    return by_rows(found, layout.width, layout.share if found.mean else 1.0)


def loss_text(loss: UserLoss) -> str:
    """What says which loss it is, with every digit of its weights, for a hash."""
    if isinstance(loss, str):
        return loss
    if isinstance(loss, nn.Module):
        state = {name: value.tolist() for name, value in loss.state_dict().items()}
        return (
            f"{type(loss).__qualname__} {loss.extra_repr()} {getattr(loss, 'reduction', '')} {_settings(loss)} {state}"
        )
    return getattr(loss, "__qualname__", type(loss).__qualname__)


def _settings(loss: nn.Module) -> dict[str, Any]:
    """Its plain settings, such as a label smoothing."""
    return {
        name: value
        for name, value in sorted(vars(loss).items())
        if not name.startswith("_") and isinstance(value, bool | int | float | str)
    }


def _loss_of_function(function: Callable[[Tensor, Tensor], Tensor], batches: Sequence[Batch], layout: Layout) -> Loss:
    reduction = str(getattr(function, "reduction", "mean"))
    if reduction not in _REDUCTIONS:
        raise ValueError(f"loss: reduction must be mean or sum, got {reduction!r}; batchmean is for nn.KLDivLoss")
    mean = reduction != "sum"
    known = closed_form(function, batches, layout, mean=mean)
    if known is not None:
        return known
    name = getattr(function, "__name__", type(function).__name__)
    value = _fixed(function) if isinstance(function, nn.Module) else function
    shape = layout.shapes[0]

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        shaped = outputs if layout.is_plain else outputs.reshape(-1, *shape)
        return value(shaped, targets) * (outputs.shape[0] if mean else 1)

    return Loss(name, total, mean)


def _fixed(module: nn.Module) -> LossTotal:
    """A module as a function, a copy of its tensors following the outputs to their device and floating dtype."""
    own = copy.deepcopy(module).cpu()
    tensors = {name: value.detach() for name, value in (*own.named_parameters(), *own.named_buffers())}

    def value(outputs: Tensor, targets: Tensor) -> Tensor:
        moved = {
            name: tensor.to(outputs) if tensor.is_floating_point() else tensor.to(outputs.device)
            for name, tensor in tensors.items()
        }
        return cast("Tensor", torch.func.functional_call(own, moved, (outputs, targets)))

    return value


def _check_split(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Refuse a loss that is not a scalar, or whose value over some samples is not the sum over each.

    Raises:
        ValueError: If it is such a loss, or cannot be called on these outputs and targets.
    """
    targets = targets.double() if targets.is_floating_point() else targets
    try:
        whole = loss.total(outputs, targets)
        singly = [float(loss.total(outputs[i : i + 1], targets[i : i + 1])) for i in range(outputs.shape[0])]
    except (RuntimeError, IndexError, TypeError, ValueError) as failure:
        said = first_line(failure)
        raise ValueError(
            f"the loss {loss.name} cannot be called on outputs {tuple(outputs.shape)} and targets "
            f"{tuple(targets.shape)}: {said}"
        ) from failure
    if not isinstance(cast("object", whole), Tensor) or whole.numel() != 1:
        raise ValueError(f"loss {loss.name}: one number is needed, with reduction mean or sum")
    _refuse_gap(loss, float(whole), singly, outputs.shape[0])


def _check_batches(loss: Loss, outputs: Tensor, batches: Sequence[Batch]) -> None:
    """Refuse a loss whose value over all samples is not the sum over parts of the batches.

    A divisor that depends on the labels (class weights, labels that are ignored) need not show in the first samples.
    The outputs are those of the first samples over and over: the targets are what may differ.
    """
    room = _MOST_ENTRIES // (outputs.shape[1] * len(batches)) + 1
    parts: list[Tensor] = []
    for batch in batches:
        some = batch.targets[:room]
        parts += [part for part in some.tensor_split([some.shape[0] // 3]) if part.shape[0]]

    def total(targets: Tensor, start: int) -> float:
        places = (torch.arange(targets.shape[0]) + start) % outputs.shape[0]
        return float(loss.total(outputs[places], targets.double() if targets.is_floating_point() else targets))

    starts = [0, *torch.tensor([part.shape[0] for part in parts]).cumsum(0).tolist()]
    with torch.no_grad():
        apart = [total(part, start) for part, start in zip(parts, starts, strict=False)]
        _refuse_gap(loss, total(torch.cat(parts), 0), apart, starts[-1])


def _refuse_gap(loss: Loss, whole: float, apart: Sequence[float], samples: int) -> None:
    size = sum(map(abs, apart))
    ignored = math.isfinite(whole) and not math.isfinite(size)
    if ignored or abs(whole - sum(apart)) > _SPLIT_TOLERANCE * size:
        raise ValueError(
            f"loss {loss.name}: its value over {samples} samples is not the "
            f"{'mean' if loss.mean else 'sum'} of theirs, so it has no value for each sample; set its attribute "
            "`reduction` to mean or sum, and let it treat every sample by itself; for labels that are ignored or "
            "classes that are weighted take nn.CrossEntropyLoss itself"
        )

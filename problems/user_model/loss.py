"""Losses of torch and of users as sums over samples, with the targets they take."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import torch
from torch import Tensor, nn

from hessbench.exceptions import first_line
from hessbench.problems.networks.losses import CROSS_ENTROPY, LOSSES, SQUARED, Loss, LossTotal, cross_entropy, squared
from hessbench.problems.networks.network import Batch
from hessbench.specs import suggest

UserLoss: TypeAlias = str | Loss | Callable[[Tensor, Tensor], Tensor]

_SPLIT_TOLERANCE: Final = 1e-6
_PROBABILITY_TOLERANCE: Final = 1e-3
_FUNCTIONS: Final[tuple[tuple[object, UserLoss], ...]] = (
    (nn.functional.cross_entropy, nn.CrossEntropyLoss()),
    (nn.functional.mse_loss, nn.MSELoss()),
    (nn.functional.nll_loss, nn.NLLLoss()),
)
"""Functions of torch with the modules that do the same."""
_REDUCTIONS: Final = ("mean", "batchmean", "sum")
_MOST_ENTRIES: Final = 2**26
"""Outputs times samples on which a loss of one's own is compared with its parts."""


def loss_of(loss: UserLoss, batches: Sequence[Batch], outputs: Tensor) -> Loss:
    """What a user calls a loss, as a sum over samples, and its targets checked.

    Args:
        loss: "cross-entropy" or "squared"; `nn.CrossEntropyLoss` or `nn.MSELoss`, whose closed forms are used; or a
            function of outputs and targets that returns a scalar, its attribute `reduction` saying whether that is a
            mean (the default) or a sum over the samples. The mean of torch's elementwise losses (L1, Huber, BCE,
            `nn.KLDivLoss`) is over samples and outputs, 1 / C of the mean over samples that "batchmean" is.
        batches: The data.
        outputs: Outputs of the first samples, in float64.

    Raises:
        ValueError: If the loss is unknown or no sum over samples, or a target is out of range.
    """
    loss = next((module for function, module in _FUNCTIONS if function is loss), loss)
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(
                f"unknown loss {loss!r}{suggest(loss, LOSSES)}; accepted: {', '.join(LOSSES)}, or a function"
            )
        found = LOSSES[loss]
    elif isinstance(loss, Loss):
        found = loss
    elif isinstance(loss, type):
        raise ValueError(
            f"loss is the class {loss.__name__} itself: an instance is accepted, as {loss.__name__}() with its settings"
        )
    elif not callable(loss):
        raise ValueError(f"loss takes a name or a function of outputs and targets, got {type(loss).__name__}")
    else:
        found = _loss_of_function(loss, batches, outputs.shape[1])
    is_mse = type(loss) is nn.MSELoss
    for number, batch in enumerate(batches, 1):
        if found.name == CROSS_ENTROPY.name:
            _check_classes(batch.targets, outputs.shape[1], number)
        elif found.name == SQUARED.name:
            _check_values(batch.targets, outputs.shape[1], number, numbers=not is_mse)
    _check_split(found, outputs, batches[0].targets[: outputs.shape[0]])
    if not isinstance(loss, str | Loss) and found.root is None:
        _check_batches(found, outputs, batches)
    return found


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


def _loss_of_function(function: Callable[[Tensor, Tensor], Tensor], batches: Sequence[Batch], classes: int) -> Loss:
    reduction = str(getattr(function, "reduction", "mean"))
    if reduction not in _REDUCTIONS:
        raise ValueError(f"loss: reduction must be mean or sum, got {reduction!r}; batchmean is for nn.KLDivLoss")
    mean = reduction != "sum"
    if type(function) is nn.MSELoss:
        return squared(mean=mean, weight=2 / classes if mean else 2.0)
    if type(function) is nn.CrossEntropyLoss:
        return _cross_entropy_of(cast("nn.CrossEntropyLoss", function), batches, classes, mean=mean)
    if type(function) is nn.NLLLoss:
        return _likelihood_of(cast("nn.NLLLoss", function), batches, classes, mean=mean)
    name = getattr(function, "__name__", type(function).__name__)
    value = _fixed(function) if isinstance(function, nn.Module) else function

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        return value(outputs, targets) * (outputs.shape[0] if mean else 1)

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


def _cross_entropy_of(loss: nn.CrossEntropyLoss, batches: Sequence[Batch], classes: int, *, mean: bool) -> Loss:
    weights = _class_weights(loss, batches, classes, mean=mean)
    return cross_entropy(mean=mean, weights=weights, smoothing=loss.label_smoothing)


def _likelihood_of(loss: nn.NLLLoss, batches: Sequence[Batch], classes: int, *, mean: bool) -> Loss:
    weights = _class_weights(loss, batches, classes, mean=mean)
    for number, batch in enumerate(batches, 1):
        _check_classes(batch.targets, classes, number)

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        scaled = None if weights is None else weights.to(outputs)
        return nn.functional.nll_loss(outputs, targets, weight=scaled, reduction="sum")

    return Loss(type(loss).__name__, total, mean)


def _class_weights(
    loss: nn.CrossEntropyLoss | nn.NLLLoss, batches: Sequence[Batch], classes: int, *, mean: bool
) -> Tensor | None:
    """With class weights a mean divides by the weights of all labels, which is exact over any cut into batches.

    Raises:
        ValueError: If a label is ignored or names no class, or the weights do not fit the classes or are all 0.
    """
    numbers = not batches[0].targets.is_floating_point()
    if numbers and any(bool((batch.targets == loss.ignore_index).any()) for batch in batches):
        raise ValueError(
            f"loss: samples with the label {loss.ignore_index} are ignored (ignore_index): leave them out of the data"
        )
    weights = None
    if loss.weight is not None:
        weights = loss.weight.detach().cpu().double()
        if weights.shape != (classes,) or bool((weights < 0).any()):
            raise ValueError(f"loss: the class weights must be {classes} numbers, none negative")
        if mean and numbers:
            for number, batch in enumerate(batches, 1):
                _check_classes(batch.targets, classes, number)
            labels = torch.cat([batch.targets.long() for batch in batches])
            mass = float(weights[labels].sum())
            if mass == 0:
                raise ValueError("loss: the class weights of all labels are 0: their mean is not defined")
            weights = weights * (labels.numel() / mass)
    return weights


def _check_classes(targets: Tensor, classes: int, number: int) -> None:
    if targets.is_floating_point() and targets.ndim == 2:
        if targets.shape[1] != classes:
            raise ValueError(
                f"targets of batch {number} have {targets.shape[1]} probabilities, the model {classes} outputs"
            )
        if float(targets.min()) < 0 or float((targets.sum(dim=1) - 1).abs().max()) > _PROBABILITY_TOLERANCE:
            raise ValueError(
                f"targets of batch {number} are no probabilities: rows of numbers >= 0 with sum 1 are needed"
            )
    elif targets.is_floating_point() or targets.ndim != 1 or targets.dtype == torch.bool:
        raise ValueError(
            f"targets of batch {number} are {targets.dtype} {tuple(targets.shape)}: class numbers (m,) as integers or "
            f"probabilities (m, {classes}) are needed"
        )
    else:
        _check_labels(targets, classes, number)


def _check_values(targets: Tensor, classes: int, number: int, *, numbers: bool) -> None:
    if numbers and not targets.is_floating_point() and targets.ndim == 1:
        _check_labels(targets, classes, number)
    elif not targets.is_floating_point() or targets.ndim != 2 or targets.shape[1] != classes:
        also = ", or class numbers (m,) as integers," if numbers else ""
        raise ValueError(
            f"targets of batch {number} are {targets.dtype} {tuple(targets.shape)}: values (m, {classes}){also} are "
            "needed, as many as the model has outputs"
        )


def _check_labels(targets: Tensor, classes: int, number: int) -> None:
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels of batch {number} run from {low} to {high}: the model has {classes} outputs, so labels from 0 to "
            f"{classes - 1} are accepted"
        )


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
            "`reduction` to mean or sum, and let it treat every sample by itself"
        )

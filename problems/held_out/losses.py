"""Losses of every kind that is accepted, with targets that fit, and their objectives by torch alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from hessbench.problems.user_model.layout import UserLoss

Targets = Callable[[Tensor, bool, torch.Generator], Tensor]
"""Targets that fit outputs (m, C): near them where the second argument holds, as of a network that fitted its data."""

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class HeldOutLoss:
    """A loss as users write it.

    Attributes:
        name: Name.
        make: What `from_model` is given, for a number of outputs.
        targets: Draws targets.
        objective: From a number of outputs, the scalar that is differentiated, by torch's own function of all samples.
        least_outputs: Least number of outputs.
        mean: Whether the objective is a mean over the samples.
        has_root: Whether a closed root of its curvature is known, which the Gram matrix and drawn targets need.
        refused: Operation of torch without a second derivative, which a refusal names; empty where none is right.
    """

    name: str
    make: Callable[[int], UserLoss]
    targets: Targets
    objective: Callable[[int], LossFunction]
    least_outputs: int = 1
    mean: bool = True
    has_root: bool = True
    refused: str = ""


def labels(outputs: Tensor, near: bool, generator: torch.Generator) -> Tensor:
    """Class numbers (m,): the largest outputs', or drawn."""
    if near:
        return outputs.argmax(dim=1)
    return torch.randint(outputs.shape[1], outputs.shape[:1], generator=generator)


def shares(outputs: Tensor, near: bool, generator: torch.Generator) -> Tensor:
    """Probabilities (m, C)."""
    logits = outputs if near else torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    return logits.softmax(dim=1)


def numbers(outputs: Tensor, near: bool, generator: torch.Generator) -> Tensor:
    """Values (m, C): the outputs and a little noise, or noise alone."""
    noise = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    return outputs + 1e-6 * noise if near else noise


def truths(outputs: Tensor, near: bool, generator: torch.Generator) -> Tensor:
    """Zeros and ones (m, C)."""
    return (numbers(outputs, near, generator) > 0).to(outputs.dtype)


def signs(outputs: Tensor, near: bool, generator: torch.Generator) -> Tensor:
    """Minus and plus one (m, C)."""
    return 2 * truths(outputs, near, generator) - 1


def counts(outputs: Tensor, near: bool, generator: torch.Generator) -> Tensor:
    """Counts 0, 1, ... (m, C)."""
    return numbers(outputs, near, generator).abs().floor()


def _half_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum() / (2 * outputs.shape[0])


def _unit_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return _half_squares(outputs, functional.one_hot(targets, outputs.shape[1]).to(outputs.dtype))


def log_cosh(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum over all entries, which its attribute `reduction` says."""
    return torch.log(torch.cosh(outputs - targets)).sum()


log_cosh.reduction = "sum"  # pyright: ignore[reportFunctionMemberAccess]


def focal(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy that counts sure samples less, a mean (Lin et al. 2017, https://arxiv.org/abs/1708.02002)."""
    each = functional.cross_entropy(outputs, targets, reduction="none")
    return ((1 - (-each).exp()) ** 2 * each).mean()


def divergence(outputs: Tensor, targets: Tensor) -> Tensor:
    """Kullback-Leibler divergence from the softmax of the outputs, a mean over the samples."""
    return functional.kl_div(outputs.log_softmax(dim=1), targets, reduction="batchmean")


def cauchy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of log(1 + r^2): its curvature is negative far away."""
    return torch.log1p((outputs - targets).square()).mean()


def quartic(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of a sum that ties the outputs of a sample together."""
    return (outputs - targets).square().sum(dim=1).square().mean()


def class_weights(outputs: int) -> Tensor:
    """1, 1.5, 2, ..."""
    return 1 + torch.arange(outputs, dtype=torch.float64) / 2


def _same(
    name: str,
    loss: Callable[[int], LossFunction],
    targets: Targets,
    *,
    least: int = 1,
    mean: bool = True,
    refused: str = "",
) -> HeldOutLoss:
    """A loss that torch or a user wrote, which is its own objective."""
    rooted = name.lower().replace("_", "").startswith(("crossentropy", "mseloss"))
    rooted |= name in ("BCEWithLogitsLoss", "BCEWithLogitsLoss-sum")
    return HeldOutLoss(name, loss, targets, loss, least, mean, rooted, refused)


HELD_OUT_LOSSES: Final = (
    HeldOutLoss("cross-entropy", lambda _: "cross-entropy", labels, lambda _: functional.cross_entropy, 2),
    HeldOutLoss("cross-entropy-shares", lambda _: "cross-entropy", shares, lambda _: functional.cross_entropy, 2),
    HeldOutLoss("squared", lambda _: "squared", numbers, lambda _: _half_squares),
    HeldOutLoss("squared-labels", lambda _: "squared", labels, lambda _: _unit_squares, 2),
    _same("CrossEntropyLoss", lambda _: nn.CrossEntropyLoss(), labels, least=2),
    _same("CrossEntropyLoss-sum", lambda _: nn.CrossEntropyLoss(reduction="sum"), labels, least=2, mean=False),
    _same("CrossEntropyLoss-weighted", lambda C: nn.CrossEntropyLoss(weight=class_weights(C)), labels, least=2),
    _same(
        "CrossEntropyLoss-smoothed",
        lambda C: nn.CrossEntropyLoss(weight=class_weights(C), label_smoothing=0.2), labels, least=2,
    ),
    _same(
        "CrossEntropyLoss-shares-smoothed",
        lambda C: nn.CrossEntropyLoss(weight=class_weights(C), label_smoothing=0.2), shares, least=2,
    ),
    _same("cross_entropy", lambda _: functional.cross_entropy, labels, least=2),
    _same("MSELoss", lambda _: nn.MSELoss(), numbers),
    _same("MSELoss-sum", lambda _: nn.MSELoss(reduction="sum"), numbers, mean=False),
    _same("mse_loss", lambda _: functional.mse_loss, numbers),
    _same("BCEWithLogitsLoss", lambda _: nn.BCEWithLogitsLoss(), truths),
    _same("BCEWithLogitsLoss-weighted", lambda C: nn.BCEWithLogitsLoss(pos_weight=class_weights(C)), truths),
    _same("BCEWithLogitsLoss-sum", lambda _: nn.BCEWithLogitsLoss(reduction="sum"), truths, mean=False),
    _same("SmoothL1Loss", lambda _: nn.SmoothL1Loss(beta=0.7), numbers),
    _same("HuberLoss", lambda _: nn.HuberLoss(delta=0.5), numbers),
    _same("SoftMarginLoss", lambda _: nn.SoftMarginLoss(), signs),
    _same("MultiLabelSoftMarginLoss", lambda _: nn.MultiLabelSoftMarginLoss(), truths),
    _same("PoissonNLLLoss", lambda _: nn.PoissonNLLLoss(), counts),
    _same(
        "MultiMarginLoss-squared",
        lambda _: nn.MultiMarginLoss(p=2), labels, least=2, refused="multi_margin_loss_backward",
    ),
    _same("NLLLoss", lambda _: nn.NLLLoss(), labels, least=2),
    _same("L1Loss", lambda _: nn.L1Loss(), numbers),
    _same("log-cosh-sum", lambda _: log_cosh, numbers, mean=False),
    _same("focal", lambda _: focal, labels, least=2),
    _same("divergence", lambda _: divergence, shares, least=2),
    _same("cauchy", lambda _: cauchy, numbers),
    _same("quartic", lambda _: quartic, numbers),
)  # fmt: skip
"""Losses by strings, by torch's modules and functions with their options, and by functions of one's own."""


def losses_of(outputs: int) -> tuple[HeldOutLoss, ...]:
    """Those that a number of outputs allows."""
    return tuple(loss for loss in HELD_OUT_LOSSES if loss.least_outputs <= outputs)

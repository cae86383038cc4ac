"""Losses of classifiers: their sum over samples, and the curvature they have in the outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import torch
from torch import Tensor

LossTotal: TypeAlias = Callable[[Tensor, Tensor], Tensor]
LossProduct: TypeAlias = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]
LossWritten: TypeAlias = Callable[[Tensor, Tensor, str], Tensor]
LossDraw: TypeAlias = Callable[[Tensor, Tensor, int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss that is a sum over samples, divided by their number where `mean` holds.

    Attributes:
        name: How specs and reports call it.
        total: Sum over samples of the loss of outputs (m, C) and targets (m, ...), a scalar.
        mean: Whether the objective of a network divides by the number of samples.
        root: S (m, C, R) with S_i S_i^T the Hessian of the loss of sample i in its outputs (m, C); None where no
            such root is known, and the GGN then has no factor. Of a loss with a `width` W the roots (m C / W, W, R) of
            all rows, those of a sample together.
        product: From outputs and targets, the map that multiplies changes (m, C, k) of the outputs by those Hessians;
            made from the root where None, by autograd where there is no root either.
        draw: From outputs (m, C), targets, a number r and a generator, the slopes (m, C, r) at r targets drawn for each
            sample from the distribution whose log-likelihood the loss is, less a constant; the expectation of s s^T is
            the Hessian of the loss of the sample in its outputs. None where the loss names no such distribution.
        linear: Whether it is linear in the outputs by its definition: a gradient that does not change with the
            parameters then says that the Hessian is the zero matrix, not that something hides a derivative.
        width: Outputs W of a row, where the loss of a sample is a sum over rows of its outputs, such as the positions
            of a sequence, each with a loss of its own; None where all outputs of a sample go together.
        written: The loss of outputs, targets and a reduction (mean or sum) as torch has it and its users write it, for
            the gradient that products are timed beside; `total`, which saves digits, is slower. None where torch has
            none.
    """

    name: str
    total: LossTotal
    mean: bool = True
    root: LossTotal | None = None
    product: LossProduct | None = None
    draw: LossDraw | None = None
    linear: bool = False
    width: int | None = None
    written: LossWritten | None = None

    def as_its_user(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum over samples as its user writes it."""
        return self.total(outputs, targets) if self.written is None else self.written(outputs, targets, "sum")

    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Gradients (m, C) of the losses of the samples in their outputs."""
        with torch.enable_grad():
            tracked = outputs.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.total(tracked, targets), tracked)
        return gradient

    def bend(self, outputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        """The map from changes (m, C, k) of the outputs to changes of the slope: the Hessian in the outputs.

        Raises:
            ValueError: If the Hessian must come from autograd and the slope does not depend on the outputs.
        """
        fixed = outputs.detach()
        if self.product is not None:
            return self.product(fixed, targets)
        if self.root is not None:
            S = self.root(fixed, targets)
            return lambda change: torch.einsum("mcr,mdr,mdk->mck", S, S, change)
        with torch.enable_grad():
            tracked = fixed.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self.total(tracked, targets), tracked, create_graph=True)
        if not gradient.requires_grad:
            raise ValueError(
                f"the gradient of the loss {self.name} does not change with the outputs: it is linear in them, or an "
                "operation of it hides its derivative, and there is no curvature to measure"
            )

        def by_autograd(change: Tensor) -> Tensor:
            columns = (
                torch.autograd.grad(gradient, tracked, column, retain_graph=True)[0] for column in change.unbind(dim=2)
            )
            return torch.stack(list(columns), dim=2)

        return by_autograd


def cross_entropy(
    *, mean: bool = True, weights: Tensor | None = None, smoothing: float = 0.0, ignored: int | None = None
) -> Loss:
    """Cross-entropy of the softmax of the outputs with class numbers (m,) or probabilities (m, C).

    With class weights w and smoothing e the loss of a sample is -sum_c w_c t_c log p_c, t = (1 - e) target + e / C.
    Its Hessian in the outputs is s (diag(p) - p p^T) with s = sum_c w_c t_c.

    Args:
        mean: Whether a network's objective is the mean over samples. Weights are not part of the divisor.
        weights: Weights (C,) of the classes, not negative; 1 by default.
        smoothing: Share of the target that is spread evenly over the classes.
        ignored: Class number of samples that count for nothing, though they stay in the divisor; None where there are
            none.
    """

    def shares(outputs: Tensor, targets: Tensor) -> Tensor:
        """Weights w_c t_c (m, C) of the classes."""
        kept = None if ignored is None or targets.is_floating_point() else targets != ignored
        targets = targets if kept is None else targets.where(kept, 0)
        found = targets if targets.is_floating_point() else _unit_vectors(targets, outputs)
        found = (1 - smoothing) * found + smoothing / outputs.shape[1]
        found = found if kept is None else found * kept[:, None]
        return found if weights is None else found * weights.to(outputs)

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum, by differences to the largest output: no digits cancel in its derivatives where p is near 0 or 1."""
        top, is_top = _top(outputs)
        behind = outputs - outputs.gather(1, top)
        others = behind.exp().masked_fill(is_top, 0.0).sum(dim=1)
        wanted = shares(outputs, targets)
        missed = wanted.masked_fill(is_top, 0.0)
        missed = (missed * behind.masked_fill(missed == 0, 0.0)).sum(dim=1)
        # The largest output is left out above: where it is not finite, neither is the loss.
        guard = 0.0 * outputs.detach().gather(1, top)[:, 0]
        return (wanted.sum(dim=1) * others.log1p() - missed + guard).sum()

    def mass(outputs: Tensor, targets: Tensor) -> Tensor | None:
        """The factors s as (m, 1, 1); None where all are 1."""
        if weights is None and ignored is None and not targets.is_floating_point():
            return None
        return shares(outputs, targets).sum(dim=1)[:, None, None]

    def root(outputs: Tensor, targets: Tensor) -> Tensor:
        """Columns of sqrt(s) (diag(sqrt p) - p sqrt(p)^T)."""
        p, q = _softmax(outputs)
        r = p.sqrt()
        off = 1 - torch.eye(p.shape[1], dtype=p.dtype, device=p.device)
        S = torch.diag_embed(r * q) - p[:, :, None] * r[:, None, :] * off
        s = mass(outputs, targets)
        return S if s is None else S * s.sqrt()

    def product(outputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        top, _ = _top(outputs)
        p = outputs.softmax(dim=1)[:, :, None]
        s = mass(outputs, targets)
        scaled = p if s is None else s * p

        def multiply(change: Tensor) -> Tensor:
            # A change of all outputs alike does nothing: without that of the largest, p near 1 cancels no digits.
            moved = change - change.gather(1, top[:, :, None].expand(-1, 1, change.shape[2]))
            return scaled * (moved - (p * moved).sum(dim=1, keepdim=True))

        return multiply

    def draw(outputs: Tensor, targets: Tensor, number: int, generator: torch.Generator) -> Tensor:
        """Columns sqrt(s) (p - unit vector of a class drawn from p)."""
        p, q = _softmax(outputs)
        cumulated = p.cumsum(dim=1)
        u = torch.rand(p.shape[0], number, generator=generator, dtype=p.dtype, device=p.device)
        drawn = torch.searchsorted(cumulated, u * cumulated[:, -1:], right=True).clamp_(max=p.shape[1] - 1)
        is_drawn = torch.nn.functional.one_hot(drawn, outputs.shape[1]).bool()
        slopes = torch.where(is_drawn, -q[:, None], p[:, None])
        s = mass(outputs, targets)
        return (slopes if s is None else slopes * s.sqrt()).transpose(1, 2)

    is_plain = weights is None and smoothing == 0 and ignored is None
    return Loss("cross-entropy", total, mean, root, product, draw, written=_torch_cross_entropy if is_plain else None)


def squared(*, mean: bool = True, weight: float = 1.0) -> Loss:
    """Weight times half the squared distance to the targets (m, C), or to the unit vectors of class numbers (m,).

    Args:
        mean: Whether a network's objective is the mean over samples.
        weight: Its Hessian in the outputs is the identity times this.
    """

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        if not targets.is_floating_point():
            targets = _unit_vectors(targets, outputs)
        return (outputs - targets).square().sum() * (weight / 2)

    def root(outputs: Tensor, targets: Tensor) -> Tensor:
        del targets
        samples, classes = outputs.shape
        S = torch.eye(classes, dtype=outputs.dtype, device=outputs.device) * weight**0.5
        return S.expand(samples, classes, classes)

    def product(outputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        del outputs, targets
        return lambda change: change * weight

    def draw(outputs: Tensor, targets: Tensor, number: int, generator: torch.Generator) -> Tensor:
        """Normal columns of variance `weight`: the target is the outputs plus noise of variance 1 / weight."""
        del targets
        noise = torch.randn(*outputs.shape, number, generator=generator, dtype=outputs.dtype, device=outputs.device)
        return noise * weight**0.5

    return Loss("squared", total, mean, root, product, draw)


def _unit_vectors(classes: Tensor, outputs: Tensor) -> Tensor:
    """Rows (m, C) with a one at the class; unlike `one_hot` it reads no value, and so can be traced."""
    return outputs.new_zeros(outputs.shape).scatter(1, classes[:, None].long(), 1.0)


def _top(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Places (m, 1) of the largest outputs, and where they are (m, C)."""
    top = outputs.detach().argmax(dim=1, keepdim=True)
    return top, torch.zeros_like(outputs, dtype=torch.bool).scatter(1, top, value=True)


def _softmax(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities p and 1 - p (m, C), every digit of the latter right where p is near 1."""
    p = outputs.softmax(dim=1)
    _, is_top = _top(outputs)
    others = p.masked_fill(is_top, 0.0).sum(dim=1, keepdim=True)
    return p, torch.where(is_top, others, 1 - p)


def _torch_cross_entropy(outputs: Tensor, targets: Tensor, reduction: str) -> Tensor:
    return torch.nn.functional.cross_entropy(outputs, targets, reduction=reduction)


def _as_torch(outputs: Tensor, targets: Tensor) -> Tensor:
    return _torch_cross_entropy(outputs, targets, "sum")


CROSS_ENTROPY: Final = cross_entropy()
"""Cross-entropy of the softmax of the outputs with class numbers."""

SQUARED: Final = squared()
"""Half the squared distance between the outputs and the targets: its Hessian in the outputs is the identity."""

MEAN: Final = "mean"
REDUCTIONS: Final = (MEAN, "sum")
"""How specs say what becomes of the losses of the samples."""

LOSSES: Final = {loss.name: loss for loss in (CROSS_ENTROPY, SQUARED)}

TRAINING_LOSSES: Final = LOSSES | {CROSS_ENTROPY.name: replace(CROSS_ENTROPY, total=_as_torch)}
"""The same as weights are trained with: torch's own cross-entropy, whose bits sealed weights depend on."""

"""The one oracle of curvature products: dense matrices of a plain formula, by torch's own derivatives in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

Formula = Callable[[Tensor, Tensor], Tensor]


def values_of(outputs: Tensor, targets: Tensor) -> Tensor:
    """Targets as values (m, C): class numbers as rows of the identity."""
    # Not `one_hot`, which looks at the numbers and so cannot be traced.
    return targets if targets.is_floating_point() else torch.eye(outputs.shape[1]).to(outputs)[targets]


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum of log sum_o exp(f_o) - f_y."""
    return (outputs.logsumexp(dim=1) - outputs.gather(1, targets[:, None])[:, 0]).sum()


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum of |f - y|^2 / 2."""
    return (outputs - values_of(outputs, targets)).square().sum() / 2


def log_cosh(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss that couples the outputs of a sample and has no root here."""
    return torch.cosh(outputs - values_of(outputs, targets)).sum(dim=1).log().sum()


def of_positions(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of outputs (m, 6), three classes at each of two positions; labels (m, 2)."""
    return cross_entropy(outputs.reshape(-1, 3), targets.flatten())


def yes_or_no(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum of log(1 + exp f) - y f."""
    return (outputs.exp().log1p() - values_of(outputs, targets) * outputs).sum()


FORMULAS: dict[str, Formula] = {
    "cross-entropy": cross_entropy,
    "squared": squared,
    "log-cosh": log_cosh,
    "of-positions": of_positions,
    "binary-cross-entropy": yes_or_no,
}
"""Each loss as a sum over samples, written down once more."""


@dataclass(frozen=True)
class Oracle:
    """Every curvature matrix of one formula at one point, for a sum over samples times `scale`.

    Attributes:
        forward: Outputs (N, C) from parameters (n,) and inputs (N, ...).
        parameters: Where the matrices are taken (n,), in float64.
        inputs: Of all samples.
        targets: Of all samples.
        formula: The loss, one of `FORMULAS`.
        scale: 1 / N for a mean, 1 for a sum.
        root: S (N, C, R) from outputs and targets, or (N L, C / L, R) of L rows a sample; fixes the
            basis of the Gram matrix, and is checked.
        drawn: Targets drawn for each sample, for the Monte Carlo Fisher.
    """

    forward: Formula
    parameters: Tensor
    inputs: Tensor
    targets: Tensor
    formula: Formula
    scale: float = 1.0
    root: Formula | None = None
    drawn: Tensor | None = None

    @cached_property
    def outputs(self) -> Tensor:
        """f (N, C)."""
        return self.forward(self.parameters, self.inputs).detach()

    @cached_property
    def jacobian(self) -> Tensor:
        """J (N, C, n)."""
        return jacobian(lambda q: self.forward(q, self.inputs), self.parameters)

    @cached_property
    def hessian(self) -> Tensor:
        """H (n, n)."""
        return self.scale * hessian(lambda q: self.formula(self.forward(q, self.inputs), self.targets), self.parameters)

    @cached_property
    def ggn(self) -> Tensor:
        """J^T (hess of the loss in the outputs) J (n, n)."""
        bend = hessian(lambda f: self.formula(f, self.targets), self.outputs).flatten(2).flatten(0, 1)
        J = self.jacobian.flatten(0, 1)
        return self.scale * J.T @ bend @ J

    @property
    def gradients(self) -> Tensor:
        """The gradient of the loss of each sample (N, n)."""
        slopes = jacobian(lambda f: self.formula(f, self.targets), self.outputs)
        return torch.einsum("ic,icn->in", slopes, self.jacobian)

    def matrix(self, operator: str) -> Tensor:
        """The matrix of that name in `OPERATORS`."""
        if operator in ("hessian", "ggn"):
            return self.hessian if operator == "hessian" else self.ggn
        if operator == "residual":
            return self.hessian - self.ggn
        if operator == "ntk":
            return torch.einsum("icp,jcp->ij", self.jacobian, self.jacobian)
        if operator == "gram":
            return self._gram()
        if operator == "monte-carlo-fisher":
            assert self.drawn is not None
            return replace(self, targets=self.drawn).matrix("gradient-second-moment")
        g = self.gradients
        if operator == "gradient-covariance":
            g = g - g.mean(dim=0)
        return self.scale * g.T @ g

    def _gram(self) -> Tensor:
        """F^T F of the loss's own root, any of which has F F^T = G."""
        assert self.root is not None
        S = self.root(self.outputs, self.targets)  # one block for each sample, or for each row of its outputs
        F = torch.einsum("icn,icr->nir", self.jacobian.reshape(*S.shape[:2], -1), S).flatten(1)
        torch.testing.assert_close(self.scale * F @ F.T, self.ggn, rtol=0, atol=1e-12)
        return self.scale * F.T @ F

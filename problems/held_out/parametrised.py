"""Held-out networks whose weights are functions of other weights, and functions of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from hessbench.problems.held_out.dense import mlp
from hessbench.problems.held_out.model import Formula, HeldOutModel, values

X: Final = values(4)


class Symmetric(nn.Module):
    """A matrix by its upper triangle."""

    def forward(self, weight: Tensor) -> Tensor:
        """Symmetric matrix."""
        return weight.triu() + weight.triu(1).mT


class Softened(nn.Module):
    """Positive weights."""

    def forward(self, weight: Tensor) -> Tensor:
        """Softplus of the weights."""
        return nn.functional.softplus(weight)


class Rotation(nn.Module):
    """The exponential of a skew matrix."""

    def forward(self, weight: Tensor) -> Tensor:
        """Orthogonal matrix."""
        return torch.matrix_exp(weight.triu(1) - weight.triu(1).mT)


class Cube(torch.autograd.Function):
    """x^3 with a backward pass that can be differentiated."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        """x^3."""
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep the input."""
        del output
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        """3 x^2 times the slope."""
        (x,) = ctx.saved_tensors
        return 3 * x**2 * slopes[0]


def _by_own_class(parametrisation: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        square = nn.Linear(4, 4)
        parametrize.register_parametrization(square, "weight", parametrisation())
        return nn.Sequential(square, nn.Tanh(), nn.Linear(4, 3))

    return build


def _orthogonal(mapping: str) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(
        parametrizations.orthogonal(nn.Linear(4, 4), orthogonal_map=mapping), nn.Tanh(), nn.Linear(4, 3)
    )


def _spectral() -> nn.Module:
    return nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 3))


def _direction(net: Any, x: Tensor) -> Tensor:
    """Weight norm by its formula."""
    W = net.length[:, None] * net.V / net.V.norm(dim=1, keepdim=True)
    return net.last(nn.functional.linear(x, W).tanh())


def _factored(net: Any, x: Tensor) -> Tensor:
    return net.last((x @ net.A @ net.B).tanh())


def _adapted(net: Any, x: Tensor) -> Tensor:
    """A frozen layer with a trained correction of rank 1."""
    return net.last((net.base(x) + x @ net.A @ net.B).tanh())


def _frozen_base() -> nn.Module:
    base = nn.Linear(4, 4).requires_grad_(requires_grad=False)
    return Formula(_adapted, base=base, A=torch.randn(4, 1), B=torch.randn(1, 4), last=nn.Linear(4, 3))


def _splines(net: Any, x: Tensor) -> Tensor:
    """Every edge has a function of its own, a sum of bumps."""
    bumps = (-(x[:, :, None] - torch.linspace(-2, 2, 3, dtype=x.dtype)).square()).exp()
    return torch.einsum("mik,iko->mo", bumps, net.C)


PARAMETRISED_MODELS: Final = (
    *(HeldOutModel(f"orthogonal-{name}", _orthogonal(name), X, 3) for name in ("matrix_exp", "cayley", "householder")),
    HeldOutModel("spectral-norm", _spectral, X, 3),
    HeldOutModel("symmetric-weight", _by_own_class(Symmetric), X, 3),
    HeldOutModel("positive-weight", _by_own_class(Softened), X, 3),
    HeldOutModel("rotation-weight", _by_own_class(Rotation), X, 3),
    HeldOutModel(
        "weight-norm-by-hand",
        lambda: Formula(_direction, length=torch.ones(5), V=torch.randn(5, 4), last=nn.Linear(5, 3)),
        X,
        3,
    ),
    HeldOutModel(
        "low-rank", lambda: Formula(_factored, A=torch.randn(4, 2), B=torch.randn(2, 5), last=nn.Linear(5, 3)), X, 3
    ),
    HeldOutModel("low-rank-correction", _frozen_base, X, 3),
    HeldOutModel("splines", lambda: Formula(_splines, C=torch.randn(4, 3, 3)), X, 3),
    HeldOutModel(
        "own-function",
        lambda: Formula(lambda net, x: net.last(Cube.apply(net.first(x))), first=nn.Linear(4, 5), last=nn.Linear(5, 3)),
        X,
        3,
    ),
    HeldOutModel(
        "nested",
        lambda: Formula(
            lambda net, x: net.parts.a(x) + net.parts.b(x),
            parts=nn.ModuleDict({"a": mlp(nn.ReLU), "b": mlp(nn.Tanh)}),
        ),
        X,
        3,
    ),
)
"""Held-out networks with weights that are functions of weights."""

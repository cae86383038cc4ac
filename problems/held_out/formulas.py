"""Held-out networks whose middle is a formula with operations that few networks have."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn

from hessbench.problems.held_out.model import Formula, HeldOutModel, values


def _middle(middle: Callable[[Tensor], Tensor], width: int = 5) -> Callable[[], nn.Module]:
    """4 to 5 dense, a formula to some width, and dense to 3."""
    return lambda: Formula(
        lambda net, x: net.last(middle(net.first(x))), first=nn.Linear(4, 5), last=nn.Linear(width, 3)
    )


def _solved(h: Tensor) -> Tensor:
    outer = torch.eye(5, dtype=h.dtype) + h[:, :, None] * h[:, None, :]
    return torch.linalg.solve(outer, h)


FORMULAS: Final = MappingProxyType[str, tuple[Callable[[Tensor], Tensor], int]](
    {
        "siren": (lambda h: torch.sin(3 * h), 5),
        "polynomial": (lambda h: torch.cat([h, h**2, h**3], dim=1), 15),
        "rational": (lambda h: h / (1 + h**2), 5),
        "exponential": (lambda h: torch.exp(-h.abs()) * torch.log1p(h**2), 5),
        "root": (lambda h: (1 + h**2).sqrt() - (2 + h.sin()).rsqrt(), 5),
        "arc": (lambda h: torch.atan(h) + torch.erf(h) + torch.asinh(h), 5),
        "hyperbolic": (lambda h: torch.cosh(h) - torch.sinh(h) * h.cos(), 5),
        "power": (lambda h: (1 + h.abs()).pow(1.7) + torch.pow(2.0, h), 5),
        "clamped": (lambda h: h.clamp(-0.5, 0.4) * h, 5),
        "where": (lambda h: torch.where(h > 0, h**2, h.sin()), 5),
        "extreme": (lambda h: torch.maximum(h, h.flip(1)) * torch.minimum(h, h.roll(1, 1)), 5),
        "cumsum": (lambda h: h.cumsum(dim=1).tanh(), 5),
        "cumprod": (lambda h: h.cumprod(dim=1), 5),
        "cummax": (lambda h: h.cummax(dim=1).values.square(), 5),
        "logcumsumexp": (lambda h: h.logcumsumexp(dim=1), 5),
        "logsumexp": (lambda h: h.logsumexp(dim=1, keepdim=True) * h, 5),
        "product": (lambda h: h.prod(dim=1, keepdim=True) + h.tanh(), 5),
        "sorted": (lambda h: h.sort(dim=1).values.tanh(), 5),
        "top": (lambda h: h.topk(3, dim=1).values ** 2, 3),
        "median": (lambda h: h.median(dim=1, keepdim=True).values * h, 5),
        "gathered": (lambda h: h.gather(1, torch.tensor([[4, 0, 2]]).expand(h.shape[0], 3)).sin(), 3),
        "indexed": (lambda h: h[:, [0, 0, 3]] * h.index_select(1, torch.tensor([4, 4, 1])), 3),
        "scattered": (lambda h: h.new_zeros(h.shape[0], 3).index_add(1, torch.tensor([0, 1, 0, 2, 1]), h**2), 3),
        "normalised": (lambda h: nn.functional.normalize(h, dim=1), 5),
        "standardised": (lambda h: (h - h.mean(1, keepdim=True)) / (0.1 + h.std(1, keepdim=True)), 5),
        "variance": (lambda h: h.var(dim=1, keepdim=True) * h + h.amax(1, keepdim=True), 5),
        "outer": (lambda h: (h[:, :, None] * h[:, None, :]).flatten(1), 25),
        "triangle": (lambda h: (h[:, :, None] * h[:, None, :]).tril(-1).sum(1), 5),
        "einsum": (lambda h: torch.einsum("mi,mj,mk->mi", h, h.tanh(), h.sin()), 5),
        "glu": (lambda h: nn.functional.glu(torch.cat([h, h.tanh()], dim=1), dim=1), 5),
        "fourier": (lambda h: torch.view_as_real(torch.fft.rfft(h.tanh())).flatten(1), 6),
        "complex": (lambda h: torch.polar(h.exp(), h.sin()).pow(2).real, 5),
        "solve": (_solved, 5),
        "log-determinant": (
            lambda h: torch.logdet(torch.eye(5, dtype=h.dtype) + h[:, :, None] * h[:, None, :])[:, None] + h.tanh(), 5,
        ),
        "matrix-exponential": (lambda h: torch.matrix_exp(h[:, :, None] * h[:, None, :] / 4).sum(2), 5),
        "diagonal": (lambda h: torch.diag_embed(h.tanh()).pow(2).diagonal(dim1=1, dim2=2) + h, 5),
        "unfolded": (lambda h: h.unfold(1, 2, 1).prod(dim=2), 4),
        "distances": (lambda h: (h[:, None, :] - h.tanh()[:, :, None]).square().sum(2).neg().exp(), 5),
        "special": (lambda h: torch.xlogy(h.exp(), 2 + h.sin()) + torch.erfc(h) + torch.lgamma(1 + h.abs()), 5),
        "sinc": (lambda h: torch.sinc(h) + torch.hypot(h, h.cos()), 5),
        "lerp": (lambda h: torch.lerp(h, h.sin(), torch.sigmoid(h)), 5),
        "addcmul": (lambda h: torch.addcmul(h, h, h.tanh(), value=0.5) + torch.addcdiv(h, h, 2 + h.cos()), 5),
    }
)  # fmt: skip
"""Functions of the first layer's five outputs, with how many they give."""

FORMULA_MODELS: Final = tuple(
    # torch's derivative of the backward pass of logcumsumexp is NaN where a slope is zero.
    HeldOutModel(f"formula-{name}", _middle(*row), values(4), 3, refused="not finite" if name == "logcumsumexp" else "")
    for name, row in FORMULAS.items()
)
"""Held-out networks with a formula in their middle."""

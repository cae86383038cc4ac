"""Held-out networks of dense layers, one for every activation, and formulas with operations that few networks have."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn

from hessbench.problems.held_out.model import Formula, HeldOutModel, tokens, values

ACTIVATIONS: Final = MappingProxyType[str, Callable[[], nn.Module]](
    {
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "relu-in-place": lambda: nn.ReLU(inplace=True),
        "leaky-relu": lambda: nn.LeakyReLU(0.1),
        "elu": lambda: nn.ELU(0.7),
        "elu-in-place": lambda: nn.ELU(0.7, inplace=True),
        "selu": nn.SELU,
        "celu": lambda: nn.CELU(0.5),
        "gelu": nn.GELU,
        "gelu-tanh": lambda: nn.GELU("tanh"),
        "silu": nn.SiLU,
        "mish": nn.Mish,
        "softplus": lambda: nn.Softplus(beta=2.0),
        "sigmoid": nn.Sigmoid,
        "log-sigmoid": nn.LogSigmoid,
        "softsign": nn.Softsign,
        "tanhshrink": nn.Tanhshrink,
        "hardtanh": nn.Hardtanh,
        "hardswish": nn.Hardswish,
        "hardsigmoid": nn.Hardsigmoid,
        "relu6": nn.ReLU6,
        "softshrink": lambda: nn.Softshrink(0.1),
        "hardshrink": lambda: nn.Hardshrink(0.1),
        "threshold": lambda: nn.Threshold(0.1, -0.3),
        "prelu": lambda: nn.PReLU(5),
        "rrelu": nn.RReLU,
        "softmax": lambda: nn.Softmax(dim=1),
        "log-softmax": lambda: nn.LogSoftmax(dim=1),
        "softmin": lambda: nn.Softmin(dim=1),
    }
)
"""Activations of torch by name."""


def mlp(activation: Callable[[], nn.Module] = nn.Tanh, *, outputs: int = 3, last: nn.Module | None = None) -> nn.Module:
    """4, 5, 5 and some outputs; a last layer of one's own takes 5."""
    return nn.Sequential(
        nn.Linear(4, 5), activation(), nn.Linear(5, 5), activation(), last or nn.Linear(5, outputs)
    )  # fmt: skip


def _scaled(module: nn.Sequential, factor: float) -> nn.Module:
    with torch.no_grad():
        for value in module[-1].parameters():
            value.mul_(factor)
    return module


def _dead() -> nn.Module:
    """A ReLU network whose first layer gives nothing for any input near the origin."""
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    nn.init.constant_(module[0].bias, -50.0)
    return module


def _frozen(*names: str) -> nn.Module:
    module = mlp()
    for name in names:
        module.get_parameter(name).requires_grad_(False)
    return module


def _shared() -> nn.Module:
    layer = nn.Linear(5, 5)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(5, 3))


def _tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    return module


def _written(net: Any, x: Tensor) -> Tensor:
    """Writes of columns in place."""
    hidden = net.first(x).tanh()
    hidden[:, 0] = hidden[:, 1] * hidden[:, 2]
    hidden[:, 3:].mul_(2.0).add_(hidden[:, :2])
    return net.last(hidden)


def _stored(net: Any, x: Tensor) -> Tensor:
    """Rows put into a new tensor."""
    hidden = net.first(x).tanh()
    found = torch.zeros(x.shape[0], 7, dtype=x.dtype)
    found[:, :5] = hidden
    found[:, 5] = hidden.prod(dim=1)
    found[:, 6] = hidden.square().sum(dim=1)
    return net.last(found)


def _middle(middle: Callable[[Tensor], Tensor], width: int = 5) -> Callable[[], nn.Module]:
    """4 to 5 dense, a formula to some width, and dense to 3."""
    return lambda: Formula(
        lambda net, x: net.last(middle(net.first(x))), first=nn.Linear(4, 5), last=nn.Linear(width, 3)
    )


def _attended_inverse(h: Tensor) -> Tensor:
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
        "normalised": (lambda h: h / h.norm(dim=1, keepdim=True), 5),
        "standardised": (lambda h: (h - h.mean(1, keepdim=True)) / (0.1 + h.std(1, keepdim=True)), 5),
        "variance": (lambda h: h.var(dim=1, keepdim=True) * h + h.amax(1, keepdim=True), 5),
        "outer": (lambda h: (h[:, :, None] * h[:, None, :]).flatten(1), 25),
        "triangle": (lambda h: (h[:, :, None] * h[:, None, :]).tril(-1).sum(1), 5),
        "einsum": (lambda h: torch.einsum("mi,mj,mk->mi", h, h.tanh(), h.sin()), 5),
        "glu": (lambda h: nn.functional.glu(torch.cat([h, h.tanh()], dim=1), dim=1), 5),
        "fourier": (lambda h: torch.view_as_real(torch.fft.rfft(h.tanh())).flatten(1), 6),
        "complex": (lambda h: torch.polar(h.exp(), h.sin()).pow(2).real, 5),
        "solve": (_attended_inverse, 5),
        "log-determinant": (
            lambda h: torch.logdet(torch.eye(5, dtype=h.dtype) + h[:, :, None] * h[:, None, :])[:, None] + h.tanh(), 5,
        ),
        "matrix-exponential": (lambda h: torch.matrix_exp(h[:, :, None] * h[:, None, :] / 4).sum(2), 5),
        "diagonal": (lambda h: torch.diag_embed(h.tanh()).pow(2).diagonal(dim1=1, dim2=2) + h, 5),
        "unfolded": (lambda h: h.unfold(1, 2, 1).prod(dim=2), 4),
        "distances": (lambda h: (h[:, None, :] - h.tanh()[:, :, None]).square().sum(2).neg().exp(), 5),
        "special": (lambda h: torch.special.expit(h) + torch.special.log1p(h**2) + torch.special.erfc(h), 5),
        "sinc": (lambda h: torch.sinc(h) + torch.hypot(h, h.cos()), 5),
        "lerp": (lambda h: torch.lerp(h, h.sin(), torch.sigmoid(h)), 5),
        "addcmul": (lambda h: torch.addcmul(h, h, h.tanh(), value=0.5) + torch.addcdiv(h, h, 2 + h.cos()), 5),
    }
)  # fmt: skip
"""Functions of the first layer's five outputs, with how many they give."""


def _experts() -> nn.Module:
    return Formula(
        lambda net, x: torch.einsum(
            "me,moe->mo", net.gate(x).softmax(1), torch.stack([part(x).tanh() for part in net.parts], 2)
        ),
        gate=nn.Linear(4, 3), parts=nn.ModuleList([nn.Linear(4, 3) for _ in range(3)]),
    )  # fmt: skip


def _cosine(net: Any, x: Tensor) -> Tensor:
    h, W = net.first(x).tanh(), net.W
    return 5 * nn.functional.normalize(h, dim=1) @ nn.functional.normalize(W, dim=1).T


def _highway(net: Any, x: Tensor) -> Tensor:
    carry = net.gate(x).sigmoid()
    return net.last(carry * net.first(x).relu() + (1 - carry) * x)


def _bag(mode: str) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.EmbeddingBag(6, 4, mode=mode), nn.Tanh(), nn.Linear(4, 3))


def _line() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 1, bias=False), nn.Softplus())


X: Final = values(4)

DENSE_MODELS: Final = (
    *(HeldOutModel(f"mlp-{name}", lambda make=make: mlp(make), X, 3) for name, make in ACTIVATIONS.items()),
    HeldOutModel("mlp-celu-1.3", lambda: mlp(lambda: nn.CELU(1.3)), X, 3, tolerance=1e-7),
    *(HeldOutModel(f"formula-{name}", _middle(*row), X, 3) for name, row in FORMULAS.items()),
    HeldOutModel("linear", lambda: nn.Linear(4, 3), X, 3),
    HeldOutModel("linear-without-bias", lambda: nn.Linear(6, 3, bias=False), values(6), 3),
    HeldOutModel("deep-linear", lambda: mlp(nn.Identity), X, 3),
    HeldOutModel("bottleneck", lambda: nn.Sequential(nn.Linear(6, 1), nn.Tanh(), nn.Linear(1, 6)), values(6), 6),
    HeldOutModel("deep", lambda: nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(9)]), values(3), 3),
    HeldOutModel("residual", lambda: Formula(lambda net, x: net.last(x + net.one(x).tanh() + net.two(x.relu())), one=nn.Linear(4, 4), two=nn.Linear(4, 4), last=nn.Linear(4, 3)), X, 3),
    HeldOutModel("all-to-all", lambda: Formula(lambda net, x: net.last(torch.cat([x, net.first(x).tanh()], 1)), first=nn.Linear(4, 4), last=nn.Linear(8, 3)), X, 3),
    HeldOutModel("highway", lambda: Formula(_highway, first=nn.Linear(4, 4), gate=nn.Linear(4, 4), last=nn.Linear(4, 3)), X, 3),
    HeldOutModel("tied", _tied, X, 4),
    HeldOutModel("autoencoder", lambda: Formula(lambda net, x: torch.tanh(x @ net.W) @ net.W.T, W=torch.randn(4, 3)), X, 4),
    HeldOutModel("shared", _shared, X, 3),
    HeldOutModel("frozen-layer", lambda: _frozen("0.weight", "0.bias"), X, 3),
    HeldOutModel("frozen-biases", lambda: _frozen("0.bias", "2.bias"), X, 3),
    HeldOutModel("embedding", lambda: nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(9, 3)), tokens(6, 3), 3),
    HeldOutModel("embedding-padded", lambda: nn.Sequential(nn.Embedding(4, 3, padding_idx=0), nn.Flatten(), nn.Tanh(), nn.Linear(12, 3)), tokens(4, 4), 3),
    HeldOutModel("embedding-only", lambda: nn.Sequential(nn.Embedding(6, 3), nn.Flatten()), tokens(6, 1), 3, samples=5),
    *(HeldOutModel(f"embedding-bag-{mode}", _bag(mode), tokens(6, 3), 3) for mode in ("sum", "mean", "max")),
    HeldOutModel("bilinear", lambda: Formula(lambda net, x: net.B(x, net.first(x).tanh()), first=nn.Linear(4, 3), B=nn.Bilinear(4, 3, 3)), X, 3),
    HeldOutModel("maxout", lambda: nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (4, 3)), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(4, 3)), X, 3),
    HeldOutModel("cosine-classifier", lambda: Formula(_cosine, first=nn.Linear(4, 5), W=torch.randn(3, 5)), X, 3),
    HeldOutModel("softmax-gate", lambda: Formula(lambda net, x: net.last(net.gate(x).softmax(1) * net.first(x)), gate=nn.Linear(4, 5), first=nn.Linear(4, 5), last=nn.Linear(5, 3)), X, 3),
    HeldOutModel("experts", _experts, X, 3),
    HeldOutModel("radial", lambda: Formula(lambda net, x: net.last((-(x[:, None] - net.centres).square().sum(2) * net.log_scale.exp()).exp()), centres=torch.randn(5, 4), log_scale=torch.zeros(5), last=nn.Linear(5, 3)), X, 3),
    HeldOutModel("hypernetwork", lambda: Formula(lambda net, x: torch.bmm(net.weights(x).view(-1, 3, 4), x[:, :, None])[:, :, 0], weights=nn.Linear(4, 12)), X, 3),
    HeldOutModel("written-in-place", lambda: Formula(_written, first=nn.Linear(4, 5), last=nn.Linear(5, 3)), X, 3),
    HeldOutModel("stored-in-place", lambda: Formula(_stored, first=nn.Linear(4, 5), last=nn.Linear(7, 3)), X, 3),
    HeldOutModel("dropout-in-evaluation", lambda: nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Tanh(), nn.AlphaDropout(0.5), nn.Linear(5, 3)), X, 3),
    HeldOutModel("scalar-output", lambda: mlp(outputs=1), X, 1),
    HeldOutModel("two-outputs", lambda: mlp(nn.GELU, outputs=2), X, 2),
    HeldOutModel("one-sample", lambda: mlp(nn.SiLU), X, 3, samples=1),
    HeldOutModel("two-samples", lambda: mlp(nn.ReLU), X, 3, samples=2),
    HeldOutModel("eight-samples", lambda: mlp(nn.Softplus), X, 3, samples=8),
    HeldOutModel("one-parameter", _line, values(1), 1),
    HeldOutModel("constant-output", lambda: Formula(lambda net, x: torch.cat([net.first(x), x[:, :1]], 1), first=mlp(outputs=2)), X, 3),
    HeldOutModel("unused-parameters", lambda: Formula(lambda net, x: net.first(x), first=mlp(), unused=torch.randn(4)), X, 3),
    HeldOutModel("dead", _dead, X, 3),
    *(HeldOutModel(f"fitted-{factor:g}", lambda factor=factor: _scaled(mlp(), factor), X, 3, samples=4, fitted=True) for factor in (10.0, 100.0, 1000.0)),
    HeldOutModel("fitted-relu", lambda: _scaled(mlp(nn.ReLU), 100.0), X, 3, samples=4, fitted=True),
)
"""Held-out networks of dense layers."""

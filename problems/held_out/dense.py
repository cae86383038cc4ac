"""Held-out networks of dense layers: one for every activation, and every way to join layers."""

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

UNDIFFERENTIABLE: Final = MappingProxyType({"hardsigmoid": "hardsigmoid_backward"})
"""Those without a second derivative, with the operation that lacks it."""


def mlp(activation: Callable[[], nn.Module] = nn.Tanh, *, outputs: int = 3) -> nn.Module:
    """4, 5, 5 and some outputs."""
    return nn.Sequential(nn.Linear(4, 5), activation(), nn.Linear(5, 5), activation(), nn.Linear(5, outputs))


def _scaled(module: nn.Module, factor: float) -> nn.Module:
    with torch.no_grad():
        for value in module.get_submodule("4").parameters():
            value.mul_(factor)
    return module


def _dead() -> nn.Module:
    """A ReLU network whose first layer gives nothing for any input near the origin."""
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    nn.init.constant_(module.get_parameter("0.bias"), -50.0)
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
    hidden = net.first(x)
    hidden[:, 0] = hidden[:, 1] + 0.5
    hidden[:, 3:].mul_(2.0).add_(hidden[:, :2])
    return net.last(hidden.tanh())


def _stored(net: Any, x: Tensor) -> Tensor:
    """Rows put into a new tensor."""
    hidden = net.first(x).tanh()
    found = torch.zeros(x.shape[0], 7, dtype=x.dtype)
    found[:, :5] = hidden
    found[:, 5] = hidden.prod(dim=1)
    found[:, 6] = hidden.square().sum(dim=1)
    return net.last(found)


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
    *(
        HeldOutModel(f"mlp-{name}", lambda make=make: mlp(make), X, 3, refused=UNDIFFERENTIABLE.get(name, ""))
        for name, make in ACTIVATIONS.items()
    ),
    HeldOutModel("mlp-celu-1.3", lambda: mlp(lambda: nn.CELU(1.3)), X, 3, tolerance=1e-7),
    HeldOutModel("linear", lambda: nn.Linear(4, 3), X, 3),
    HeldOutModel("linear-without-bias", lambda: nn.Linear(6, 3, bias=False), values(6), 3),
    HeldOutModel("deep-linear", lambda: mlp(nn.Identity), X, 3),
    HeldOutModel("bottleneck", lambda: nn.Sequential(nn.Linear(6, 1), nn.Tanh(), nn.Linear(1, 6)), values(6), 6),
    HeldOutModel(
        "deep", lambda: nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(9)]), values(3), 3
    ),
    HeldOutModel(
        "residual",
        lambda: Formula(
            lambda net, x: net.last(x + net.one(x).tanh() + net.two(x.relu())),
            one=nn.Linear(4, 4),
            two=nn.Linear(4, 4),
            last=nn.Linear(4, 3),
        ),
        X,
        3,
    ),
    HeldOutModel(
        "all-to-all",
        lambda: Formula(
            lambda net, x: net.last(torch.cat([x, net.first(x).tanh()], 1)), first=nn.Linear(4, 4), last=nn.Linear(8, 3)
        ),
        X,
        3,
    ),
    HeldOutModel(
        "highway", lambda: Formula(_highway, first=nn.Linear(4, 4), gate=nn.Linear(4, 4), last=nn.Linear(4, 3)), X, 3
    ),
    HeldOutModel("tied", _tied, X, 4),
    HeldOutModel(
        "autoencoder", lambda: Formula(lambda net, x: torch.tanh(x @ net.W) @ net.W.T, W=torch.randn(4, 3)), X, 4
    ),
    HeldOutModel("shared", _shared, X, 3),
    HeldOutModel("frozen-layer", lambda: _frozen("0.weight", "0.bias"), X, 3),
    HeldOutModel("frozen-biases", lambda: _frozen("0.bias", "2.bias"), X, 3),
    HeldOutModel(
        "embedding", lambda: nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(9, 3)), tokens(6, 3), 3
    ),
    HeldOutModel(
        "embedding-padded",
        lambda: nn.Sequential(nn.Embedding(4, 3, padding_idx=0), nn.Flatten(), nn.Tanh(), nn.Linear(12, 3)),
        tokens(4, 4),
        3,
    ),
    HeldOutModel("embedding-only", lambda: nn.Sequential(nn.Embedding(6, 3), nn.Flatten()), tokens(6, 1), 3, samples=5),
    *(
        HeldOutModel(f"embedding-bag-{mode}", _bag(mode), tokens(6, 3), 3, refused="_embedding_bag_backward")
        for mode in ("sum", "mean", "max")
    ),
    HeldOutModel(
        "bilinear",
        lambda: Formula(lambda net, x: net.B(x, net.first(x).tanh()), first=nn.Linear(4, 3), B=nn.Bilinear(4, 3, 3)),
        X,
        3,
    ),
    HeldOutModel(
        "maxout",
        lambda: nn.Sequential(
            nn.Linear(4, 12), nn.Unflatten(1, (4, 3)), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(4, 3)
        ),
        X,
        3,
    ),
    HeldOutModel("cosine-classifier", lambda: Formula(_cosine, first=nn.Linear(4, 5), W=torch.randn(3, 5)), X, 3),
    HeldOutModel(
        "softmax-gate",
        lambda: Formula(
            lambda net, x: net.last(net.gate(x).softmax(1) * net.first(x)),
            gate=nn.Linear(4, 5),
            first=nn.Linear(4, 5),
            last=nn.Linear(5, 3),
        ),
        X,
        3,
    ),
    HeldOutModel("experts", _experts, X, 3),
    HeldOutModel(
        "radial",
        lambda: Formula(
            lambda net, x: net.last((-(x[:, None] - net.centres).square().sum(2) * net.log_scale.exp()).exp()),
            centres=torch.randn(5, 4),
            log_scale=torch.zeros(5),
            last=nn.Linear(5, 3),
        ),
        X,
        3,
    ),
    HeldOutModel(
        "hypernetwork",
        lambda: Formula(
            lambda net, x: torch.bmm(net.weights(x).view(-1, 3, 4), x[:, :, None])[:, :, 0], weights=nn.Linear(4, 12)
        ),
        X,
        3,
    ),
    HeldOutModel("written-in-place", lambda: Formula(_written, first=nn.Linear(4, 5), last=nn.Linear(5, 3)), X, 3),
    HeldOutModel("stored-in-place", lambda: Formula(_stored, first=nn.Linear(4, 5), last=nn.Linear(7, 3)), X, 3),
    HeldOutModel(
        "dropout-in-evaluation",
        lambda: nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Tanh(), nn.AlphaDropout(0.5), nn.Linear(5, 3)),
        X,
        3,
    ),
    HeldOutModel("scalar-output", lambda: mlp(outputs=1), X, 1),
    HeldOutModel("two-outputs", lambda: mlp(nn.GELU, outputs=2), X, 2),
    HeldOutModel("one-sample", lambda: mlp(nn.SiLU), X, 3, samples=1),
    HeldOutModel("two-samples", lambda: mlp(nn.ReLU), X, 3, samples=2),
    HeldOutModel("eight-samples", lambda: mlp(nn.Softplus), X, 3, samples=8),
    HeldOutModel("one-parameter", _line, values(1), 1),
    HeldOutModel(
        "constant-output",
        lambda: Formula(lambda net, x: torch.cat([net.first(x), x[:, :1]], 1), first=mlp(outputs=2)),
        X,
        3,
    ),
    HeldOutModel(
        "unused-parameters", lambda: Formula(lambda net, x: net.first(x), first=mlp(), unused=torch.randn(4)), X, 3
    ),
    HeldOutModel("dead", _dead, X, 3),
    *(
        HeldOutModel(f"fitted-{factor:g}", lambda factor=factor: _scaled(mlp(), factor), X, 3, samples=4, fitted=True)
        for factor in (10.0, 30.0, 60.0, 100.0, 200.0, 1000.0)
    ),
    HeldOutModel("fitted-relu", lambda: _scaled(mlp(nn.ReLU), 100.0), X, 3, samples=4, fitted=True),
)
"""Held-out networks of dense layers."""

"""Small architectures, and in which of their parameters the diagonal of the residual vanishes, as the rule says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from hessbench.problems.held_out.model import Formula
from hessbench.problems.networks.flat import module_forward
from hessbench.problems.networks.network import Batch, Network

SAMPLES, CLASSES = 5, 3


@dataclass(frozen=True)
class FlatCase:
    """An architecture.

    Attributes:
        build: The module; it takes 6 values a sample.
        flat: Names of its parameters, or of modules, where the diagonal of the residual vanishes; `*` for all.
        unseen: Those where it vanishes too, but that is not shown.
        training: Whether batch norm uses the batch.
    """

    build: Callable[[], nn.Module]
    flat: str
    unseen: str = ""
    training: bool = False

    def network(self) -> Network:
        """The network in float64, at weights where nothing is zero by chance."""
        torch.manual_seed(0)
        module = self.build().double().train(self.training)
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.7)
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                nn.init.uniform_(buffer, 0.5, 2.0)
        forward, parameters = module_forward(module)
        batch = Batch(torch.randn(SAMPLES, 6, dtype=torch.float64), torch.arange(SAMPLES) % CLASSES)
        return Network(forward, parameters, (batch,), batched=False, traced=False, group=self.training)

    def mask(self, names: str) -> Tensor:
        """Which parameters are among the names (n,)."""
        wanted = names.split()
        parts: list[Tensor] = []
        for name, value in self.build().named_parameters():
            found = any(one == "*" or name == one or name.startswith(f"{one}.") for one in wanted)
            parts.append(torch.full((value.numel(),), found))
        return torch.cat(parts)


def _layers(*middle: nn.Module) -> Callable[[], nn.Module]:
    """A dense layer `0`, what is in the middle `1`, `2`, ..., and a last layer."""
    return lambda: nn.Sequential(nn.Linear(6, 5), *middle, nn.Linear(5, CLASSES))


def _images(*layers: nn.Module, width: int) -> Callable[[], nn.Module]:
    """Convolutions `1`, ... of 2 x 3 images with one channel."""
    return lambda: nn.Sequential(nn.Unflatten(1, (1, 2, 3)), *layers, nn.Flatten(), nn.Linear(width, CLASSES))


def _formula(formula: Callable[[Any, Tensor], Tensor], *names: str, **parts: Any) -> Callable[[], nn.Module]:
    """Dense layers of the names 6 -> 6, other parts, and `last` 6 -> 3."""
    layers = {name: nn.Linear(6, 6) for name in names}
    return lambda: Formula(formula, **layers, **parts, last=nn.Linear(6, CLASSES))


def _tokens(x: Tensor) -> Tensor:
    return x.view(-1, 3, 2)


def _attended(net: Any, x: Tensor) -> Tensor:
    t = _tokens(x)
    scores = (t @ net.q) @ (t @ net.k).transpose(1, 2)
    return net.last((scores.softmax(2) @ (t @ net.v)).flatten(1))


def _attended_linearly(net: Any, x: Tensor) -> Tensor:
    t = _tokens(x)
    return net.last(((t @ net.q) @ (t @ net.k).transpose(1, 2) @ (t @ net.v)).flatten(1))


def _attended_packed(net: Any, x: Tensor) -> Tensor:
    q, k, v = (_tokens(x) @ net.packed).chunk(3, dim=2)
    return net.last((functional.scaled_dot_product_attention(q, k, v)).flatten(1))


def _heads(net: Any, x: Tensor) -> Tensor:
    t = _tokens(x)
    with sdpa_kernel(SDPBackend.MATH):  # the only one that can be differentiated twice
        return net.last(net.heads(t, t, t, need_weights=False)[0].flatten(1))


def _recurrent(net: Any, x: Tensor) -> Tensor:
    return net.last(net.layer(_tokens(x))[0].flatten(1))


def _unrolled(net: Any, x: Tensor) -> Tensor:
    state = x.new_zeros(x.shape[0], 6)
    for step in _tokens(x).unbind(1):
        state = torch.relu(net.inner(step) + net.again(state))
    return net.last(state)


def _excited(net: Any, x: Tensor) -> Tensor:
    h = net.one(x).relu()
    return net.last(h * net.up(net.down(h).relu()).sigmoid())


def _scaled_norm(net: Any, x: Tensor) -> Tensor:
    weight = net.g * net.v / net.v.norm(dim=1, keepdim=True)
    return net.last(functional.linear(x, weight).relu())


def _descended(net: Any, x: Tensor) -> Tensor:
    """The gradient of an energy in the input, as in a network of forces."""
    with torch.enable_grad():
        y = x.clone().requires_grad_()
        (force,) = torch.autograd.grad(net.one(y).tanh().sum(), y, create_graph=True)
    return net.last(force)


class _Rounded(torch.autograd.Function):
    """A ReLU to look at, with the slope of a tanh."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        return slope * x.tanh()


class _Passed(torch.autograd.Function):
    """The identity to look at, with a slope that depends on where it is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        return slope * x.tanh()


def _hooked(net: Any, x: Tensor) -> Tensor:
    h = net.one(x)
    if h.requires_grad:
        h.register_hook(lambda slope: slope * h.tanh())
    return net.last(h)


def _written(net: Any, x: Tensor) -> Tensor:
    """Halves of a buffer, one of which is bent and read again through an older view of it."""
    buffer = x.new_zeros(x.shape[0], 6)
    buffer[:, :3] = net.one(x)[:, :3]
    seen = buffer[:, :3]
    buffer[:, 3:] = net.two(x)[:, 3:]
    seen.mul_(net.one(x)[:, :3])
    return net.last(buffer)


def _first(value: Tensor) -> Tensor:
    """The value for one class, where a softmax does not cancel it."""
    return functional.pad(value[None], (0, CLASSES - 1))


def _complex(net: Any, x: Tensor) -> Tensor:
    return net.last(torch.fft.fft(net.one(x)).abs())


CASES: dict[str, FlatCase] = {
    "linear": FlatCase(lambda: nn.Linear(6, CLASSES), "*"),
    "relu": FlatCase(_layers(nn.ReLU(), nn.Linear(5, 5), nn.ReLU()), "*"),
    "relu in place": FlatCase(_layers(nn.ReLU(inplace=True), nn.Linear(5, 5), nn.LeakyReLU(0.1, inplace=True)), "*"),
    "hardtanh and shrinkage": FlatCase(_layers(nn.Hardtanh(-1, 2), nn.Linear(5, 5), nn.Softshrink(0.1)), "*"),
    "prelu": FlatCase(_layers(nn.PReLU(5)), "*"),
    "absolute values": FlatCase(_formula(lambda net, x: net.last(net.one(x).abs()), "one"), "*"),
    "maximum of two": FlatCase(
        _formula(lambda net, x: net.last(torch.maximum(net.one(x), net.two(x))), "one", "two"), "*"
    ),
    "convolution, maxima": FlatCase(_images(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.MaxPool2d((1, 2)), width=2), "*"),
    "convolution, means": FlatCase(
        _images(nn.Conv2d(1, 2, 2, padding=1), nn.LeakyReLU(0.2), nn.AvgPool2d(2), width=4), "*"
    ),
    "batch norm": FlatCase(_images(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.ReLU(), width=4), "*"),
    "batch norm by the batch": FlatCase(_layers(nn.BatchNorm1d(5), nn.ReLU()), "1 3", unseen="0.bias", training=True),
    "layer norm": FlatCase(_layers(nn.LayerNorm(5), nn.ReLU()), "1 3"),
    "group norm": FlatCase(_layers(nn.GroupNorm(1, 5), nn.ReLU()), "1 3"),
    "rms norm": FlatCase(_layers(nn.RMSNorm(5, eps=1e-3), nn.ReLU()), "1 3"),
    "weight norm": FlatCase(_formula(_scaled_norm, g=torch.ones(6, 1), v=torch.ones(6, 6)), "g last"),
    "tanh": FlatCase(_layers(nn.Tanh()), "2"),
    "gelu": FlatCase(_layers(nn.GELU()), "2"),
    "softplus": FlatCase(_layers(nn.Softplus()), "2"),
    "silu": FlatCase(_layers(nn.SiLU()), "2"),
    "tanh after relu": FlatCase(_layers(nn.ReLU(), nn.Linear(5, 5), nn.Tanh()), "4"),
    "relu after tanh": FlatCase(_layers(nn.Tanh(), nn.Linear(5, 5), nn.ReLU()), "2 4"),
    "polynomial": FlatCase(_formula(lambda net, x: net.last(net.one(x) ** 2 + net.two(x)), "one", "two"), "two last"),
    "tied": FlatCase(_formula(lambda net, x: net.last(net.one(net.one(x).relu())), "one"), "one.bias last"),
    "block": FlatCase(_formula(lambda net, x: net.last(x + net.two(net.one(x).relu())), "one", "two"), "*"),
    "block with a norm": FlatCase(
        _formula(
            lambda net, x: net.last(net.norm(x + net.two(net.one(x).relu()))), "one", "two", norm=nn.LayerNorm(6)
        ),
        "norm last",
    ),
    "gate": FlatCase(
        _formula(lambda net, x: net.last(net.one(x) * net.gate(x).sigmoid()), "one", "gate"), "one last"
    ),
    "gate by itself": FlatCase(_formula(lambda net, x: net.last(net.one(x) * net.one(x).sigmoid()), "one"), "last"),
    "two branches": FlatCase(
        _formula(
            lambda net, x: net.last(net.one(net.root(x)).relu() * net.two(net.root(x))), "root", "one", "two"
        ),
        "one two last",
    ),
    "quotient": FlatCase(
        _formula(lambda net, x: net.last(net.one(x) / (3 + net.two(x).abs())), "one", "two"), "one last"
    ),
    "attention": FlatCase(
        _formula(_attended, q=torch.ones(2, 2), k=torch.ones(2, 2), v=torch.ones(2, 2)), "v last"
    ),
    "linear attention": FlatCase(
        _formula(_attended_linearly, q=torch.ones(2, 2), k=torch.ones(2, 2), v=torch.ones(2, 2)), "*"
    ),
    "packed attention": FlatCase(_formula(_attended_packed, packed=torch.ones(2, 6)), "last", unseen="packed"),
    "heads": FlatCase(
        _formula(_heads, heads=nn.MultiheadAttention(2, 1, batch_first=True)),
        "heads.out_proj last", unseen="heads.in_proj_weight heads.in_proj_bias",
    ),
    "embedding": FlatCase(
        lambda: Formula(
            lambda net, x: net.last(net.words((x > 0).long()).relu().flatten(1)),
            words=nn.Embedding(2, 2), last=nn.Linear(12, CLASSES),
        ),
        "*",
    ),
    "recurrent": FlatCase(
        lambda: Formula(_recurrent, layer=nn.RNN(2, 2, batch_first=True), last=nn.Linear(6, CLASSES)), "last"
    ),
    "gated recurrent": FlatCase(
        lambda: Formula(_recurrent, layer=nn.GRU(2, 2, batch_first=True), last=nn.Linear(6, CLASSES)), "last"
    ),
    "recurrent by hand": FlatCase(
        lambda: Formula(_unrolled, inner=nn.Linear(2, 6), again=nn.Linear(6, 6), last=nn.Linear(6, CLASSES)),
        "inner again.bias last",
    ),
    "squeeze and excite": FlatCase(_formula(_excited, "one", "down", "up"), "last"),
    "unused": FlatCase(
        _formula(lambda net, x: net.last(net.one(x).tanh()), "one", unused=torch.ones(4)), "unused last"
    ),
    "learned scale": FlatCase(
        _formula(
            lambda net, x: net.last(functional.linear(x, net.W * net.s).relu()), W=torch.ones(6, 6), s=torch.ones(())
        ),
        "*",
    ),
    "detached": FlatCase(
        _formula(lambda net, x: net.last((h := net.one(x)) + (h.tanh() - h).detach() + h.sign()), "one"), "*"
    ),
    "written in place": FlatCase(_formula(_written, "one", "two"), "two last"),
    "complex": FlatCase(_formula(_complex, "one"), "last"),
    "modulus": FlatCase(
        _formula(lambda net, x: net.last((net.one(x).to(torch.complex128) + 1j * net.two(x)).abs()), "one", "two"),
        "last",
    ),
    "gradient inside": FlatCase(_formula(_descended, "one"), "last"),
    "function of its own": FlatCase(
        _formula(lambda net, x: net.last(_Rounded.apply(net.one(x))), "one"), "", unseen="last"
    ),
    "slope of its own": FlatCase(
        _formula(lambda net, x: net.last(_Passed.apply(net.one(x))), "one"), "", unseen="last"
    ),
    "hook": FlatCase(_formula(_hooked, "one"), "", unseen="last"),
    "penalty in the first output": FlatCase(
        _formula(lambda net, x: net.last(net.one(x).relu()) + _first(net.one.weight.square().sum()), "one"),
        "one.bias last",
    ),
}  # fmt: skip
"""By name. `unseen` holds the diagonals that vanish in part or whole although nothing of it is shown."""

"""Every rule against double backward in float64, in a network of a few parameters around one operation."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hessbench.problems.curvature.matrices import ggn_operator, hessian_operator
from hessbench.problems.curvature.rules import RulesProducts
from hessbench.problems.curvature.rules.table import RULES
from hessbench.problems.curvature.rules.tape import record
from hessbench.problems.networks.losses import cross_entropy
from hessbench.problems.networks.network import Batch, Network

Operation = Callable[[Tensor, Tensor], Tensor]
SAMPLES = 3

FLAT: dict[str, Operation] = {
    "tanh": lambda h, w: h.tanh(),
    "sigmoid": lambda h, w: h.sigmoid(),
    "relu": lambda h, w: h.relu(),
    "relu twice used": lambda h, w: h.relu() + h,
    "relu of a sum": lambda h, w: (h + h.tanh()).relu() * h,
    "silu": lambda h, w: functional.silu(h),
    "gelu": lambda h, w: functional.gelu(h),
    "gelu by tanh": lambda h, w: functional.gelu(h, approximate="tanh"),
    "softplus": lambda h, w: functional.softplus(h, beta=2.0, threshold=1.0),
    "elu": lambda h, w: functional.elu(h, alpha=0.7),
    "selu": lambda h, w: functional.selu(h),
    "celu": lambda h, w: functional.celu(h, alpha=0.5),
    "leaky relu": lambda h, w: functional.leaky_relu(h, 0.2),
    "relu6": lambda h, w: functional.relu6(h),
    "clamp": lambda h, w: h.clamp(-0.5, 0.4),
    "clamp below": lambda h, w: h.clamp(min=0.1),
    "exp": lambda h, w: h.exp(),
    "log": lambda h, w: (h * h + 1).log(),
    "log1p": lambda h, w: (h * h).log1p(),
    "expm1": lambda h, w: h.expm1(),
    "sqrt": lambda h, w: (h * h + 1).sqrt(),
    "rsqrt": lambda h, w: (h * h + 1).rsqrt(),
    "reciprocal": lambda h, w: (h * h + 1).reciprocal(),
    "square": lambda h, w: h**2,
    "cube": lambda h, w: h**3,
    "first power": lambda h, w: h**1.0,
    "power of nothing": lambda h, w: h.relu() ** 0 * h,
    "sin and cos": lambda h, w: h.sin() + h.cos(),
    "erf": lambda h, w: h.erf(),
    "abs": lambda h, w: h.abs(),
    "softsign": lambda h, w: functional.softsign(h),
    "dropout in evaluation": lambda h, w: functional.dropout(h, training=False),
    "product": lambda h, w: h * w,
    "product with itself": lambda h, w: h * h,
    "product with a constant": lambda h, w: torch.arange(4.0, dtype=h.dtype) * h,
    "product with a column": lambda h, w: h * h[:, :1],
    "product with a number": lambda h, w: 3 * h,
    "quotient": lambda h, w: h / (w * w + 1),
    "quotient by a number": lambda h, w: h / 3,
    "quotient of a constant": lambda h, w: torch.ones_like(h) / (h * h + 1),
    "quotient by a constant": lambda h, w: h / torch.arange(1.0, 5.0, dtype=h.dtype),
    "sum": lambda h, w: h + w,
    "sum with a factor": lambda h, w: torch.add(h, w, alpha=3),
    "sum with a constant": lambda h, w: h + torch.ones(SAMPLES, 1, dtype=h.dtype),
    "sum with a wider constant": lambda h, w: (w + torch.ones(SAMPLES, 4, dtype=h.dtype)) * h,
    "sum with a number": lambda h, w: h + 2,
    "difference": lambda h, w: h - w,
    "difference from a number": lambda h, w: (1 - h) * h,
    "negative": lambda h, w: -h,
    "total": lambda h, w: h.sum() * h,
    "sum of rows": lambda h, w: h.sum(0) * h,
    "sum of columns": lambda h, w: h.sum(1, keepdim=True) * h,
    "mean": lambda h, w: h.mean() * h,
    "mean of columns": lambda h, w: h.mean(1, keepdim=True) * h,
    "running sum": lambda h, w: h.cumsum(1),
    "transposed": lambda h, w: (h.t().reshape(SAMPLES, 4)) * h,
    "permuted": lambda h, w: h.view(SAMPLES, 2, 2).permute(0, 2, 1).reshape(SAMPLES, 4) * h,
    "swapped": lambda h, w: h.view(SAMPLES, 2, 2).transpose(-1, 1).flatten(1) * h,
    "squeezed": lambda h, w: h.unsqueeze(1).squeeze(1) * h[:, None].squeeze(),
    "squeezed twice": lambda h, w: h[:, None, None].squeeze((1, 2)) * h,
    "rounded": lambda h, w: h * (3 * h).round() + torch.ones_like(h),
    "copied by dtype": lambda h, w: h.to(torch.float64, copy=True) * h,
    "expanded": lambda h, w: h[:, :1].expand(-1, 4) * h,
    "expanded parameters": lambda h, w: w.expand(SAMPLES, 4) * h,
    "sliced": lambda h, w: h[:, 1:4:2].repeat_interleave(2, 1) * h,
    "one column": lambda h, w: h[:, 2:3] * h.select(1, -1)[:, None] * h,
    "split": lambda h, w: torch.cat([part * (place + 1) for place, part in enumerate(h.split(3, 1))], 1) * h,
    "split to sizes": lambda h, w: torch.cat(h.split([1, 3], 1)[::-1], 1) * h,
    "chunks": lambda h, w: torch.cat(h.chunk(2, 1)[::-1], 1) * h,
    "unbound": lambda h, w: torch.stack(h.unbind(1)[::-1], 1) * h,
    "stacked with a constant": lambda h, w: torch.stack([h, torch.ones_like(h)], 2).sum(2) * h,
    "joined with a constant": lambda h, w: torch.cat([h, torch.ones_like(h)], 1)[:, 2:6] * h,
    "padded": lambda h, w: functional.pad(h, (1, 2))[:, 1:5] * functional.pad(h, (2, -2)),
    "chosen": lambda h, w: h.index_select(1, torch.tensor([0, 0, 3, 1])) * h,
    "filled": lambda h, w: torch.ones(SAMPLES, 5, dtype=h.dtype).index_copy(1, torch.tensor([3, 0, 2, 4]), h)[:, :4],
    "masked": lambda h, w: h.masked_fill(torch.tensor([True, False, False, True]), 2.0) * h,
    "copied": lambda h, w: h.clone() * h.contiguous(),
    "detached": lambda h, w: h * h.detach(),
    "without gradient": lambda h, w: h * _constant(h),
    "repeated": lambda h, w: h.repeat(1, 2)[:, 1:5] * w.repeat(SAMPLES, 1),
    "either": lambda h, w: torch.where(h > 0, h * h, w),
    "either a constant": lambda h, w: torch.where(h > 0, h * h, torch.ones((), dtype=h.dtype)),
    "matrix product": lambda h, w: h @ torch.outer(w, w),
    "matrix product with itself": lambda h, w: h @ h.t() @ h,
    "matrix product of a constant": lambda h, w: torch.ones(SAMPLES, 4, dtype=h.dtype) @ torch.outer(w, w) * h,
    "wide matrix product": lambda h, w: (h @ torch.outer(w, w.repeat(5)))[:, 3:7],
    "dense layer": lambda h, w: functional.linear(h, torch.outer(w, w), w),
    "dense layer of a constant": lambda h, w: (
        functional.linear(torch.ones(SAMPLES, 4, dtype=h.dtype), torch.outer(w, w), w) * h
    ),
    "dense layer, bias only": lambda h, w: (
        functional.linear(torch.ones(SAMPLES, 4, dtype=h.dtype), torch.eye(4).to(h), w) * h
    ),
    "dense layer of fixed weights": lambda h, w: functional.linear(h, torch.eye(4).to(h), w),
    "matrix products": lambda h, w: (h.view(SAMPLES, 2, 2) @ h.view(SAMPLES, 2, 2)).flatten(1),
    "matrix products with a constant": lambda h, w: (
        (torch.ones(SAMPLES, 2, 2, dtype=h.dtype) @ h.view(SAMPLES, 2, 2)).flatten(1) * h
    ),
    "matrix products and a sum": lambda h, w: torch.baddbmm(
        w.view(2, 2), h.view(SAMPLES, 2, 2), h.view(SAMPLES, 2, 2)
    ).flatten(1),
    "einsum": lambda h, w: torch.einsum("mi,ij,mk->mk", h, torch.outer(w, w), h),
    "softmax": lambda h, w: h.softmax(1),
    "softmax of rows": lambda h, w: (3 * h).softmax(0) * h,
    "log softmax": lambda h, w: h.log_softmax(1) * h,
    "layer norm": lambda h, w: functional.layer_norm(h, (4,), w, w * w),
    "layer norm without weights": lambda h, w: functional.layer_norm(h, (4,)),
    "layer norm of a constant": lambda h, w: (
        functional.layer_norm(torch.arange(12.0).view(3, 4).to(h).sin(), (4,), w, w) * h
    ),
    "layer norm of two axes": lambda h, w: functional.layer_norm(h.view(SAMPLES, 2, 2), (2, 2), w.view(2, 2)).flatten(
        1
    ),
    "batch norm": lambda h, w: _normed(h, w, w * w),
    "batch norm without weights": lambda h, w: _normed(h, None, None),
    "batch norm of a constant": lambda h, w: _normed(torch.ones(SAMPLES, 4, dtype=h.dtype), w, w) * h,
    "attention": lambda h, w: _attention(h),
    "embedding": lambda h, w: functional.embedding(torch.tensor([0, 3, 3]), torch.outer(w, w), padding_idx=0) * h,
    "written in place": lambda h, w: h.clone().mul_(h).add_(w),
    "part written in place": lambda h, w: _first_doubled(h),
    "row written in place": lambda h, w: _row_written(h, w),
    "mask from a tensor": lambda h, w: h.masked_fill(h > 0, torch.tensor(2.0, dtype=h.dtype)) * h,
}
"""Maps of h (3, 4) and four parameters w to (3, 4)."""

IMAGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "convolution": lambda x, w: functional.conv2d(x, w[:16].view(2, 2, 2, 2), w[:2], stride=2, padding=1),
    "convolution in groups": lambda x, w: functional.conv2d(x, w[:8].view(2, 1, 2, 2), groups=2, dilation=2),
    "transposed convolution": lambda x, w: functional.conv_transpose2d(x, w[:16].view(2, 2, 2, 2), w[:2], stride=2),
    "convolution of fixed weights": lambda x, w: functional.conv2d(x, _ones(x), w[:2]),
    "convolution of a constant": lambda x, w: functional.conv2d(torch.ones_like(x), w[:16].view(2, 2, 2, 2)) * w[0],
    "convolution, bias only": lambda x, w: (
        functional.conv2d(torch.ones_like(x), torch.ones(2, 2, 2, 2).to(x), w[:2]) * w[3]
    ),
    "convolution of one axis": lambda x, w: functional.conv1d(x.flatten(2), w[:12].view(2, 2, 3), padding=1),
    "convolution of three axes": lambda x, w: functional.conv3d(x[:, None], w[:8].view(1, 1, 2, 2, 2)),
    "max pooling": lambda x, w: functional.max_pool2d(x, 2) * w[0],
    "overlapping max pooling": lambda x, w: functional.max_pool2d(x, 3, stride=2, ceil_mode=True) * w[0],
    "max pooling of a row": lambda x, w: functional.max_pool1d(x.flatten(2), 2) * w[0],
    "mean pooling": lambda x, w: functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False) * w[0],
    "adaptive mean": lambda x, w: functional.adaptive_avg_pool2d(x, 2) * w[0],
    "global mean": lambda x, w: functional.adaptive_avg_pool2d(x, 1) * w[0],
    "batch norm of images": lambda x, w: _normed(x, w[:2], w[2:4]),
    "batch norm of tangents": lambda x, w: _normed(functional.conv2d(x, w[:16].view(2, 2, 2, 2)), w[:2], w[2:4]).relu(),
}
"""Maps of images x (3, 2, 4, 4) and sixteen parameters w to images, or rows, of two channels."""


def _waves(h: Tensor) -> Tensor:
    return torch.arange(12.0).view(3, 4).to(h).sin()


def _ones(x: Tensor) -> Tensor:
    return torch.ones(2, 2, 2, 2).to(x)


def _constant(h: Tensor) -> Tensor:
    with torch.no_grad():
        return h.sin()


def _normed(h: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    mean = torch.arange(h.shape[1], dtype=h.dtype) / 4
    return functional.batch_norm(h, mean, mean + 0.5, weight, bias)


def _attention(h: Tensor) -> Tensor:
    x = h.view(1, SAMPLES, 2, 2)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return functional.scaled_dot_product_attention(x, x.tanh(), x).reshape(SAMPLES, 4)


def _first_doubled(h: Tensor) -> Tensor:
    h = h.tanh() + h
    h[:, :2] *= 2
    return h


def _row_written(h: Tensor, w: Tensor) -> Tensor:
    h = torch.zeros_like(h) + h
    h[1] = w * w
    return h


def network_of(operation: Operation) -> Network:
    """h = x A, then the operation, then tanh and three outputs; all parameters in one vector."""

    def forward(parameters: Tensor, inputs: Tensor) -> Tensor:
        A, w, B = parameters.split([8, 4, 12])
        return operation(inputs @ A.view(2, 4), w).tanh() @ B.view(4, 3)

    return made(forward, 24, (2,))


def image_network_of(operation: Callable[[Tensor, Tensor], Tensor]) -> Network:
    """A 1 x 1 convolution, the operation, then means over pixels and three outputs."""

    def forward(parameters: Tensor, inputs: Tensor) -> Tensor:
        a, w, B = parameters.split([2, 16, 6])
        y = operation(functional.conv2d(inputs, a.view(2, 1, 1, 1)), w)
        return y.tanh().flatten(2).mean(2).repeat(1, 2)[:, :2] @ B.view(2, 3)

    return made(forward, 24, (1, 4, 4))


def made(forward: Callable[[Tensor, Tensor], Tensor], size: int, shape: tuple[int, ...]) -> Network:
    generator = torch.Generator().manual_seed(1)
    parameters = torch.randn(size, generator=generator, dtype=torch.float64)
    inputs = torch.randn(SAMPLES, *shape, generator=generator, dtype=torch.float64)
    return Network(forward, parameters, (Batch(inputs, torch.tensor([0, 2, 1])),), cross_entropy(mean=False))


def check(network: Network, name: str) -> None:
    """Compare both matrices, in a block and a column, with double backward."""
    products = RulesProducts(network, network.batches[0])
    identity = torch.eye(network.parameters.numel(), dtype=torch.float64)
    by_autograd = (hessian_operator(network, "kept-graph"), ggn_operator(network, "kept-graph"))
    pairs = zip((products.hessian, products.ggn), by_autograd, strict=True)
    for multiply, operator in pairs:
        wanted = torch.cat([operator.matmat(column) for column in identity.split(1, dim=1)], dim=1)
        # Both sum a few dozen products of numbers of order 1 to 100 in float64.
        for found, columns in ((multiply(identity), wanted), (multiply(identity[:, 5:6]), wanted[:, 5:6])):
            assert torch.allclose(found, columns, rtol=1e-9, atol=1e-9), name
    assert bool(wanted.abs().max() > 1e-3), name


@pytest.mark.parametrize("half", [0, 1])
def test_a_rule_equals_double_backward(half: int) -> None:
    for name in list(FLAT)[half::2]:
        check(replace(network_of(FLAT[name]), batched=False, traced=False), name)


def test_a_rule_for_images_equals_double_backward() -> None:
    for name, operation in IMAGES.items():
        check(replace(image_network_of(operation), batched=False, traced=False), name)


def test_every_rule_is_tried() -> None:
    networks = [network_of(operation) for operation in FLAT.values()]
    networks += [image_network_of(operation) for operation in IMAGES.values()]
    seen = {
        node.op
        for network in networks
        for node in record(network.forward, network.parameters, network.batches[0].inputs).nodes
    }
    assert {str(op) for op in RULES} - {str(op) for op in seen} == set()

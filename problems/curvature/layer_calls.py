"""Calls of layers with weights of their own: what a gradient of one sample in such a weight is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_Named: TypeAlias = Mapping[str, Any]


class Squares(Protocol):
    """Sums over the samples of squared gradients of single samples, from k gradients (m, ...) in the outputs.

    Returned are those of the weight, (k, size), and of the bias, (k, size), or None where there is none.
    """

    def __call__(self, columns: Sequence[Tensor], /) -> tuple[Tensor, Tensor | None]:
        """Sum the squares."""
        ...


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer on a batch, whose sample i is row i of its inputs and outputs.

    Attributes:
        weight: Its weight.
        bias: Its bias, or None.
        outputs: Its outputs (m, ...), with their graph.
        version: That of the outputs when they were made: another one later says that they were written to.
        squares: Squared gradients of single samples.
        rows: Its inputs (m, a), where it is a dense layer on them: the gradient of sample i in its weight is d_i x_i^T.
    """

    weight: Tensor
    bias: Tensor | None
    outputs: Tensor
    version: int
    squares: Squares
    rows: Tensor | None = None


class LayerCalls(TorchFunctionMode):
    """Keeps the calls of dense layers, convolutions of images, and batch norm on stored statistics.

    Attributes:
        found: The calls, in their order.
        is_whole: Whether every such call was of a form that is known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[LayerCall] = []
        self.is_whole = True

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        known = _KNOWN.get(func)
        if known is not None:
            names, squares_of = known
            given = dict(zip(names, args, strict=False)) | dict(kwargs or {})
            squares = squares_of(given)
            if squares is None or given.get("weight") is None:
                self.is_whole = False
            else:
                x: Tensor | None = given["input"].detach() if func is torch.nn.functional.linear else None
                rows = x if x is not None and x.ndim == 2 else None
                self.found.append(LayerCall(given["weight"], given.get("bias"), result, result._version, squares, rows))
        return result


def _linear(given: _Named) -> Squares | None:
    """Of a dense layer on rows: (d * d)^T (x * x); on rows of positions, a product for each sample."""
    x: Tensor = given["input"].detach()
    if x.ndim < 2:
        return None
    if x.ndim > 2:
        positions = x.flatten(1, -2)
        return _summed(positions.__getitem__, lambda d: d.flatten(0, -2).T, x.shape[0], given.get("bias") is not None)
    has_bias = given.get("bias") is not None

    def squares(columns: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        d = torch.stack(list(columns)).square_()
        return (d.mT @ x.square()).flatten(1), d.sum(dim=1) if has_bias else None

    return squares


def _convolution(given: _Named) -> Squares | None:
    """Of a convolution of images: a product of each sample's gradient with its patches, which all columns share."""
    x, weight = given["input"].detach(), given["weight"]
    padding = given.get("padding", 0)
    if x.ndim != 4 or given.get("groups", 1) != 1 or isinstance(padding, str):
        return None
    stride, dilation = given.get("stride", 1), given.get("dilation", 1)

    def patches(sample: int) -> Tensor:
        image = x[sample : sample + 1]
        return torch.nn.functional.unfold(image, weight.shape[2:], dilation, padding, stride)[0].T

    return _summed(patches, lambda d: d.flatten(1), x.shape[0], given.get("bias") is not None)


def _summed(
    inputs: Callable[[int], Tensor], by_position: Callable[[Tensor], Tensor], samples: int, has_bias: bool
) -> Squares:
    """Squares of D_i X_i, with X_i (P, a) what sample i meets at P positions and D_i (b, P) the gradients there.

    Args:
        inputs: X_i from i.
        by_position: A gradient of one sample as D_i.
        samples: Number of samples.
        has_bias: Whether the layer has a bias.
    """

    def squares(columns: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        weights: Tensor | None = None
        biases: Tensor | None = None
        for sample in range(samples):
            # All columns of one sample at a time: they stay in cache, and share its inputs.
            D = torch.stack([by_position(column[sample]) for column in columns])
            found = D.flatten(0, 1) @ inputs(sample)
            weights = found.square_() if weights is None else weights.addcmul_(found, found)
            if has_bias:
                sums = D.sum(dim=2)
                biases = sums.square_() if biases is None else biases.addcmul_(sums, sums)
        assert weights is not None
        return weights.reshape(len(columns), -1), biases

    return squares


def _batch_norm(given: _Named) -> Squares | None:
    """Of batch norm on stored statistics: sums over the positions of the gradient times the normalised input."""
    mean, variance = given.get("running_mean"), given.get("running_var")
    if given.get("training") or mean is None or variance is None:
        return None
    x: Tensor = given["input"].detach()
    shape = (1, -1, *(1,) * (x.ndim - 2))
    normalised = (x - mean.view(shape)) * (variance + given.get("eps", 1e-5)).rsqrt().view(shape)
    has_bias = given.get("bias") is not None

    def summed(gradients: Tensor) -> Tensor:
        return gradients.flatten(2).sum(dim=2).square_().sum(dim=0)

    def squares(columns: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        weights = torch.stack([summed((column * normalised)[..., None]) for column in columns])
        return weights, torch.stack([summed(column[..., None]) for column in columns]) if has_bias else None

    return squares


_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_KNOWN: Mapping[Callable[..., Any], tuple[tuple[str, ...], Callable[[_Named], Squares | None]]] = {
    torch.nn.functional.linear: (("input", "weight", "bias"), _linear),
    torch.conv2d: (_CONVOLUTION, _convolution),
    torch.nn.functional.batch_norm: (_NORM, _batch_norm),
}

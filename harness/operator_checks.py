"""Operators, matrices and blocks held against the protocol, and refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

from hessbench.operator_protocol import Cancelling, LinearOperator

# No public name says whether a tensor is inside a function transform, or a subclass computes by itself.
_is_transformed = cast("Callable[[Tensor], bool]", torch._C._functorch.is_functorch_wrapped_tensor)  # pyright: ignore
_NO_DISPATCH = torch._C._disabled_torch_dispatch_impl  # pyright: ignore


class NotSymmetric(ValueError):  # noqa: N818 -- says what is the case, as the sentences that show it do
    """Products that are not those of one symmetric matrix."""


def check_symmetric(A: Tensor) -> None:
    """Refuse anything but a square, real, finite, symmetric matrix.

    Raises:
        ValueError: Saying which of these fails.
    """
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape[0] < 1:
        raise ValueError(f"a square matrix is needed, got shape {tuple(A.shape)}")
    if not A.dtype.is_floating_point:
        raise ValueError(f"a real floating matrix is needed, got {A.dtype}")
    if not bool(torch.isfinite(A).all()):
        raise ValueError("the matrix has entries that are not finite")
    gap = float((A - A.T).abs().max())
    scale = float(A.abs().max())
    if gap > 8 * torch.finfo(A.dtype).eps * max(scale, torch.finfo(A.dtype).tiny):
        raise ValueError(f"the matrix is not symmetric: |A - A^T| reaches {gap:.3g} where |A| reaches {scale:.3g}")


def check_operator(op: LinearOperator, generator: torch.Generator) -> None:
    """Hold an operator against the protocol with one block of three columns.

    The dot test: u^T A v = v^T A u for two random vectors, and the third column checks linearity. What is off is
    judged by the size of the products, and where it is large for that, by what an operator says cancels in them.

    Cost: 3 products in 1 call; where they do not pass at once, some more for what cancels.

    Raises:
        ValueError: If shape, dtype or device change, or a value is not finite.
        NotSymmetric: A ValueError, if the operator is not symmetric or linear.
    """
    block = torch.randn(op.dim, 3, generator=generator, dtype=op.dtype, device=op.device)
    block[:, 2] = block[:, 0] - 2 * block[:, 1]
    product = op.matmat(block)
    check_product(op, block, product)
    if not bool(torch.isfinite(product).all()):
        raise ValueError("the operator returned values that are not finite")
    u, v = block[:, 0].double(), block[:, 1].double()
    Au, Av, Aw = (product[:, column].double() for column in range(3))
    # Rounding of a product of n terms grows like sqrt(n) at worst for the operators met here.
    eps = torch.finfo(op.dtype).eps
    # A network that is sure of every sample cancels digits inside its products: half of them may go.
    tolerance = max(100 * eps * (1 + op.dim**0.5 / 10), eps**0.5)
    scale = float(u.norm() * Av.norm() + v.norm() * Au.norm())
    gap = abs(float(u @ Av - v @ Au))
    if gap > tolerance * scale and gap > _rounding(op, 2 * float(u.norm() * v.norm())):
        raise NotSymmetric(f"the operator is not symmetric: u^T A v and v^T A u differ by {gap:.3g} of {scale:.3g}")
    defect = float((Aw - Au + 2 * Av).norm())
    size = float(Au.norm() + 2 * Av.norm())
    if defect > tolerance * size and defect > _rounding(op, float(block.double().norm(dim=0).sum() + v.norm())):
        raise NotSymmetric(f"the operator is not linear: A(u - 2v) is off by {defect:.3g} of {size:.3g}")


def _rounding(op: LinearOperator, size: float) -> float:
    """What products of vectors of a size may be off by where terms cancel in them."""
    return 10 * torch.finfo(op.dtype).eps * op.rounding_size() * size if isinstance(op, Cancelling) else 0.0


def check_product(op: LinearOperator, block: Tensor, product: object) -> None:
    """Refuse a product of another shape, dtype or device than its block.

    Raises:
        ValueError: Saying what came back and what was expected.
    """
    if not isinstance(product, Tensor):
        raise ValueError(f"the operator returned {type(product).__name__}, expected a tensor")
    if product.shape != block.shape:
        raise ValueError(f"the operator returned shape {tuple(product.shape)}, expected {tuple(block.shape)}")
    if product.dtype != op.dtype:
        raise ValueError(f"the operator returned dtype {product.dtype}, expected {op.dtype}")
    if product.device != block.device:
        raise ValueError(f"the operator returned a tensor on {product.device}, expected {block.device}")


def plain_block(block: Tensor, what: str = "operator") -> Tensor:
    """The numbers of a block as a plain dense tensor, which no derivative follows and no subclass speaks for.

    Args:
        block: What is to be multiplied.
        what: What takes it, for the message.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If one product with it would be several: a block that a function transform has batched or tracks, or
            that carries a tangent; or if it is not dense.
    """
    kind: Any = type(block)
    if kind is not Tensor:
        if not issubclass(kind, Tensor):
            raise TypeError(f"the {what} takes a tensor, got {kind.__name__}")
        if kind.__torch_dispatch__ is not _NO_DISPATCH:  # pyright: ignore[reportAttributeAccessIssue]
            raise ValueError(f"the {what} takes a plain dense tensor, got {kind.__name__}")
        # What the subclass says of its shape is not asked.
        with torch._C.DisableTorchFunctionSubclass():  # pyright: ignore[reportPrivateUsage]
            block = Tensor.as_subclass(block, Tensor)
    if _is_transformed(block) or (
        forward_ad._current_level >= 0 and forward_ad.unpack_dual(block).tangent is not None  # pyright: ignore[reportPrivateUsage]
    ):
        raise ValueError(
            f"the {what} takes a plain tensor, got one inside vmap, jacrev, jacfwd, jvp or batched gradients, where "
            "one product would be several: multiply its columns as a block (n, k)"
        )
    if block.layout is not torch.strided:
        raise ValueError(f"the {what} takes a dense block, got layout {block.layout}")
    return block.detach()


def check_block(
    block: Tensor, rows: int, dtype: torch.dtype, device: torch.device, what: str = "operator", *, least: int = 1
) -> None:
    """Refuse what is no block for an operator.

    Args:
        block: What is to be multiplied.
        rows: Rows it must have.
        dtype: Floating type it must have.
        device: Where it must live.
        what: What takes it, for the message.
        least: Least number of columns.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If its shape, dtype or device is another, naming what is accepted.
    """
    if not isinstance(getattr(block, "dtype", None), torch.dtype):
        raise TypeError(f"the {what} takes a tensor, got {type(block).__name__}")
    if block.ndim != 2 or block.shape[0] != rows or block.shape[1] < least:
        with_columns = f" with k at least {least}" if least else ""
        raise ValueError(f"the {what} takes a block of shape ({rows}, k){with_columns}, got {tuple(block.shape)}")
    if block.dtype != dtype:
        raise ValueError(f"the {what} takes {dtype}, got {block.dtype}")
    if (block.device.type, block.device.index or 0) != (device.type, device.index or 0):
        raise ValueError(f"the {what} lives on {device}, got a block on {block.device}")


def checked_numbers(numbers: Tensor, count: int, what: str) -> Tensor:
    """Numbers of rows or samples as integers on the CPU.

    Args:
        numbers: What was handed in.
        count: How many rows or samples there are.
        what: What takes them, for the message.

    Raises:
        ValueError: If they are no tensor of integers (r,) with r at least 1, or one is not among 0..count - 1.
    """
    if not isinstance(getattr(numbers, "dtype", None), torch.dtype):
        raise ValueError(
            f"{what} takes a tensor of numbers from 0 to {count - 1}, (r,) with r at least 1, "
            f"got {type(numbers).__name__}"
        )
    if numbers.ndim != 1 or numbers.numel() < 1 or numbers.is_floating_point() or numbers.dtype is torch.bool:
        raise ValueError(
            f"{what} takes numbers (r,) with r at least 1, got shape {tuple(numbers.shape)} of {numbers.dtype}"
        )
    found = numbers.detach().to("cpu", torch.int64)
    low, high = (int(end) for end in torch.aminmax(found))
    if low < 0 or high >= count:
        raise ValueError(f"{what} takes numbers from 0 to {count - 1}, got {low if low < 0 else high}")
    return found

"""Linear operators from matrices, SciPy operators and callables, and back; the protocol and its checks by one name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, TypeAlias, cast, final

import numpy as np
import scipy.sparse.linalg
import torch
from torch import Tensor

from hessbench.operator_checks import NotSymmetric as NotSymmetric
from hessbench.operator_checks import check_block as check_block
from hessbench.operator_checks import check_operator as check_operator
from hessbench.operator_checks import check_product as check_product
from hessbench.operator_checks import check_symmetric as check_symmetric
from hessbench.operator_checks import plain_block as plain_block
from hessbench.operator_protocol import Cancelling as Cancelling
from hessbench.operator_protocol import Described as Described
from hessbench.operator_protocol import Differentiable as Differentiable
from hessbench.operator_protocol import DrawsTargets as DrawsTargets
from hessbench.operator_protocol import Factor as Factor
from hessbench.operator_protocol import Factored as Factored
from hessbench.operator_protocol import LinearOperator as LinearOperator
from hessbench.operator_protocol import OperatorInfo as OperatorInfo
from hessbench.operator_protocol import PricesSums as PricesSums
from hessbench.operator_protocol import ProductKind as ProductKind
from hessbench.operator_protocol import SumsSquares as SumsSquares
from hessbench.operator_protocol import drawn_squares as drawn_squares
from hessbench.operator_protocol import info_of as info_of
from hessbench.operator_protocol import summed_squares as summed_squares
from hessbench.operator_protocol import summed_work as summed_work

Matmat: TypeAlias = Callable[[Tensor], Tensor]


def multiply(op: LinearOperator, x: Tensor) -> Tensor:
    """Multiply a vector (n,) or a block (n, k)."""
    return op.matmat(x[:, None])[:, 0] if x.ndim == 1 else op.matmat(x)


def multiply_rows(op: LinearOperator, x: Tensor) -> Tensor:
    """Multiply a row vector (n,) or rows (k, n) from the left: x A = (A x^T)^T, since A is symmetric.

    Cost: one product for each row.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If its rows have another length than `dim`, or it is no plain dense tensor.
    """
    x = plain_block(x)
    if x.ndim not in (1, 2) or x.shape[-1] != op.dim:
        raise ValueError(
            f"rows of length {op.dim} are accepted on the left of the operator, got shape {tuple(x.shape)}"
        )
    return multiply(op, x) if x.ndim == 1 else op.matmat(x.T).T


class Multiplies:
    """What this package's operators offer beside `matmat`, so that other libraries take them as they are.

    Everything goes through `matmat`, so on a counted operator every column is charged.
    """

    # NumPy then leaves `array @ op` to this class, which refuses it, and does not take the operator for an array.
    __array_ufunc__ = None

    dim: int
    dtype: torch.dtype
    device: torch.device

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns, both `dim`."""
        return self.dim, self.dim

    @property
    def T(self) -> Self:  # noqa: N802 -- as NumPy, SciPy and torch name it
        """The transpose: the operator itself, since it is symmetric."""
        return self

    def adjoint(self) -> Self:
        """The adjoint: the operator itself, since it is real and symmetric."""
        return self

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)

    def __rmatmul__(self, x: Tensor) -> Tensor:
        return multiply_rows(self, x)

    def to_scipy(self) -> scipy.sparse.linalg.LinearOperator:
        """View the operator as a SciPy one, over float64 arrays; see `to_scipy`."""
        return to_scipy(self)


@final
class FunctionOperator(Multiplies):
    """An operator from a function (n, k) -> (n, k)."""

    def __init__(
        self,
        function: Matmat,
        dim: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        info: OperatorInfo | None = None,
    ) -> None:
        if dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        if not dtype.is_floating_point:
            raise ValueError(f"dtype must be a real floating type, got {dtype}")
        self._function = function
        self.dim = dim
        self.dtype = dtype
        self.device = torch.device(device)
        self.info = info or OperatorInfo()

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        return self._function(block)


def dense_operator(A: Tensor, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> FunctionOperator:
    """Wrap a symmetric matrix.

    Args:
        A: Matrix of shape (n, n).
        device: Where the operator lives.
        dtype: Floating type of the operator; that of `A` by default.

    Returns:
        The operator; one product costs n^2 multiplications a column.

    Raises:
        ValueError: If `A` is not a real symmetric matrix.
    """
    check_symmetric(A)
    matrix = A.to(device=device, dtype=dtype or A.dtype)
    return FunctionOperator(lambda block: matrix @ block, matrix.shape[0], matrix.dtype, matrix.device)


def from_scipy(
    op: scipy.sparse.linalg.LinearOperator, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> FunctionOperator:
    """Wrap a SciPy linear operator; blocks travel through NumPy on the CPU.

    Raises:
        ValueError: If the operator is not square and real.
    """
    rows, columns = op.shape
    if rows != columns:
        raise ValueError(f"a square operator is needed, got shape {op.shape}")
    if op.dtype is not None and np.issubdtype(op.dtype, np.complexfloating):
        raise ValueError(f"a real operator is needed, got dtype {op.dtype}")
    # An operator of integers multiplies floating blocks as well: its own dtype would cut them to integers.
    work = np.dtype(np.float32 if op.dtype == np.float32 else np.float64)

    def matmat(block: Tensor) -> Tensor:
        product = op.matmat(block.detach().cpu().numpy().astype(work, copy=False))
        # A copy: what comes back may be a reversed or read-only view, which the tensor library does not take.
        return torch.as_tensor(np.array(product, dtype=work)).to(device=block.device, dtype=block.dtype)

    return FunctionOperator(matmat, rows, dtype, device)


def to_scipy(op: LinearOperator) -> scipy.sparse.linalg.LinearOperator:
    """View an operator as a SciPy one: real arrays in, float64 arrays out, computed in the operator's dtype.

    Vectors, blocks and products with the transpose, which is the operator itself, all go through its `matmat`: on a
    counted operator every column is charged. A complex array is refused, since its product would be two.
    """

    def matmat(block: np.ndarray) -> np.ndarray:
        if np.iscomplexobj(block):
            raise ValueError(f"the operator is real and takes real arrays, got dtype {block.dtype}")
        # A copy: what comes in may be a read-only or reversed view, which the tensor library does not take.
        columns = torch.as_tensor(np.array(block, order="C").reshape(op.dim, -1)).to(device=op.device, dtype=op.dtype)
        return op.matmat(columns).detach().cpu().double().numpy().reshape(block.shape)

    # LinearOperator(shape, matvec, ...) makes an instance of a hidden subclass, which the signature does not show.
    make = cast("Callable[..., scipy.sparse.linalg.LinearOperator]", scipy.sparse.linalg.LinearOperator)
    ways = dict.fromkeys(("matvec", "matmat", "rmatvec", "rmatmat"), matmat)
    return make((op.dim, op.dim), **ways, dtype=np.dtype(np.float64))


def to_dense(op: LinearOperator, block_size: int = 256) -> Tensor:
    """Multiply the identity: the matrix (n, n) at the price of n products in ceil(n / block_size) calls."""
    columns: list[Tensor] = []
    for start in range(0, op.dim, block_size):
        stop = min(start + block_size, op.dim)
        block = torch.zeros(op.dim, stop - start, dtype=op.dtype, device=op.device)
        block[torch.arange(start, stop), torch.arange(stop - start)] = 1
        columns.append(op.matmat(block))
    return torch.cat(columns, dim=1)

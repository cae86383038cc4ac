"""Linear operators: the protocol methods see, and conversions from matrices, SciPy operators and callables.

Every operator is square, real and symmetric. `matmat` is the one primitive: (n, k) in, (n, k) out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, cast, final, runtime_checkable

import numpy as np
import scipy.sparse.linalg
import torch
from torch import Tensor
from torch.autograd import forward_ad

# No public name says whether a tensor is inside a function transform, or a subclass computes by itself.
_is_transformed = cast("Callable[[Tensor], bool]", torch._C._functorch.is_functorch_wrapped_tensor)  # pyright: ignore
_NO_DISPATCH = torch._C._disabled_torch_dispatch_impl  # pyright: ignore

Matmat: TypeAlias = Callable[[Tensor], Tensor]


class NotSymmetric(ValueError):  # noqa: N818 -- says what is the case, as the sentences that show it do
    """Products that are not those of one symmetric matrix."""


class ProductKind(StrEnum):
    """What one column of a product is, for counting and pricing."""

    PRODUCT = "product"
    GRADIENT = "gradient"
    HESSIAN = "hessian"
    GGN = "ggn"
    JVP = "jvp"
    VJP = "vjp"
    PER_EXAMPLE_SQUARE = "per-example-square"


@runtime_checkable
class LinearOperator(Protocol):
    """A symmetric real operator of dimension `dim`."""

    @property
    def dim(self) -> int:
        """Number of rows and of columns."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of blocks in and out."""
        ...

    @property
    def device(self) -> torch.device:
        """Where blocks live."""
        ...

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block.

        Args:
            block: Columns to multiply, shape (dim, k).

        Returns:
            The product, shape (dim, k), of the same dtype and device.
        """
        ...


@dataclass(frozen=True)
class OperatorInfo:
    """What one product of an operator is and touches.

    Attributes:
        kind: Kind charged per column.
        samples: Data samples one column touches; 0 for an operator without data.
        population: Samples in the whole data set.
        engine: How the product is computed, for the ledger.
    """

    kind: ProductKind = ProductKind.PRODUCT
    samples: int = 0
    population: int = 0
    engine: str = ""


@runtime_checkable
class Described(Protocol):
    """An operator that says what its products are."""

    @property
    def info(self) -> OperatorInfo:
        """What one product is and touches."""
        ...


@runtime_checkable
class Factor(Protocol):
    """The factor F = J^T Lambda^(1/2) of a GGN = F F^T, with one column per sample and output.

    Column i * num_outputs + c belongs to sample i and output c; the mean over samples is inside Lambda.
    """

    @property
    def num_samples(self) -> int:
        """Number N of samples."""
        ...

    @property
    def num_outputs(self) -> int:
        """Number C of network outputs per sample."""
        ...

    @property
    def num_columns(self) -> int:
        """N * C."""
        ...

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """Compute F @ block by one vector-Jacobian product per column: (num_columns, k) -> (dim, k)."""
        ...

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Sum over samples of the squared per-sample products: (num_columns, k) -> (dim, k).

        Entry (p, j) is sum_i (sum_c F[p, iC+c] block[iC+c, j])^2, one per-example square per column.
        """
        ...


@runtime_checkable
class DrawsTargets(Protocol):
    """A factor of a loss that is the log-likelihood of a distribution of targets."""

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        """Sum over samples of squared gradients of the loss at targets drawn from the prediction: (dim, number).

        Entry (p, j) is an unbiased estimate of that of the diagonal of F F^T; one per-example square per column.
        """
        ...


@runtime_checkable
class Factored(Protocol):
    """An operator that offers its factor."""

    @property
    def factor(self) -> Factor:
        """The factor F with operator = F F^T."""
        ...


@runtime_checkable
class Differentiable(Protocol):
    """What a problem is made of, where it has a gradient: products are timed beside it."""

    def to(self, device: torch.device, dtype: torch.dtype) -> Differentiable:
        """The same elsewhere."""
        ...

    def gradient(self) -> Tensor:
        """Gradient (n,) of the objective over all data, as whoever wrote it would compute it."""
        ...


@runtime_checkable
class Cancelling(Protocol):
    """An operator whose products are small differences of large terms, as those of a network that fits its data."""

    def rounding_size(self) -> float:
        """What its products round by, in units of eps: the norm of what cancels in them; costs some products."""
        ...


def drawn_squares(factor: Factor, number: int, generator: torch.Generator) -> Tensor:
    """The squares of `DrawsTargets`.

    Raises:
        ValueError: If no targets can be drawn.
    """
    if not isinstance(factor, DrawsTargets):
        raise ValueError("the factor of this operator draws no targets: take draw=signs")
    return factor.drawn_squares(number, generator)


def info_of(op: LinearOperator) -> OperatorInfo:
    """What the products of `op` are; a plain product where it does not say."""
    return op.info if isinstance(op, Described) else OperatorInfo()


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

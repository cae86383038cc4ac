"""Problems: operators with a known answer, cheap to create, built only when a cell runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, cast

import numpy as np
import scipy.sparse.linalg
import torch
from torch import Tensor

from hessbench.estimand.base import Array, Estimand, Reference
from hessbench.estimand.density import Density
from hessbench.estimand.from_dense import DENSE_LIMIT, References, dense_references
from hessbench.estimand.from_density import ReadReference
from hessbench.exceptions import asked_of
from hessbench.operators import FunctionOperator, LinearOperator, check_symmetric, dense_operator, from_scipy, to_dense
from hessbench.seeding import derive_seed, make_generator
from hessbench.specs import Required, Spec, Value, canonical, check_name, keyword_defaults, spec_of

Say: TypeAlias = Callable[[str], None]
Build: TypeAlias = Callable[[torch.device, torch.dtype], LinearOperator]

# Traits: declared facts a method may require.
PSD: Final = "psd"
NETWORK: Final = "network"
SYNTHETIC: Final = "synthetic"
RANDOM_MATRIX: Final = "random-matrix"
FACTOR: Final = "factor"
DIAGONAL: Final = "diagonal"
ROWS: Final = "rows"
SUBSET: Final = "subset"
PARTS: Final = "parts"


@dataclass(frozen=True)
class Problem:
    """An operator and the truth about it.

    Attributes:
        name: Canonical spec, or a plain name for a problem of one's own.
        dim: Dimension n.
        build: Makes the operator on a device, in a dtype.
        references: For each estimand with a known answer, a function of the estimand; run once per ledger, apart.
        traits: Declared facts, such as `psd`.
        fingerprint: Hash of the spectrum, or of the weights and data, actually used; of a few products by default.
        unavailable: Why it cannot be built here, and the remedy; None when it can.
        ladder: The same problem at another dimension (the nearest it has), for prices at other sizes.
        modules: Modules the build needs, imported once by the fork server rather than in every cell.
        shapes: Names and shapes of the pieces, in order, that a vector of the operator is made of, where it has any.
        prepare: Gets what `unavailable` misses, such as a download, once before a run. Told how it goes on
            by the function handed in; raises `OSError` or `ValueError` with one sentence where it cannot.
        train: Trains the weights it is at, or completes a training; told in words and in steps how it goes on, it
            returns what it reached at each named step.
        network: The network it is made of, as `networks.network` describes one, for who measures products.
        build_rows: Makes the operator as `build` does, for a method that takes its rows or subsets: what whole products
            need is made when the first of them is asked for.
        load: Reads the data and weights that it is made of into memory, for all builds that follow in this process;
            nothing to do where they are there.
    """

    name: str
    dim: int
    build: Build
    references: References = field(default_factory=dict[type[Estimand], Callable[[Any], Reference]])
    traits: tuple[str, ...] = ()
    fingerprint: Callable[[], str] | None = None
    unavailable: Callable[[], str | None] | None = None
    ladder: Callable[[int], Problem] | None = None
    modules: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    prepare: Callable[[Say], None] | None = None
    train: Callable[[Say, Callable[[int, int, float], None]], Sequence[Mapping[str, float]]] | None = None
    network: Callable[[], object] | None = None
    build_rows: Build | None = None
    load: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"problem {self.name}: dim must be at least 1, got {self.dim}")

    @property
    def refusal(self) -> str | None:
        """Why it cannot be built here, and the remedy; None where it can, or says nothing."""
        declared = self.unavailable
        if declared is None:
            return None
        try:
            return asked_of(f"problem {self.name}", "unavailable", declared)
        except ValueError as failure:
            return str(failure)

    @property
    def hash(self) -> str:
        """SHA-256 over the name and the content, 16 hex digits."""
        content = self.fingerprint() if self.fingerprint else product_hash(self.build, self.dim)
        return hashlib.sha256(f"{self.name}\0{content}".encode()).hexdigest()[:16]

    def finder(self, kind: type[Estimand]) -> Callable[[Any], Reference] | None:
        """What finds the truth of an estimand of a kind: its own reference, or the density that it is read from."""
        own = self.references.get(kind)
        density = self.references.get(Density)
        if own is not None or density is None or kind.read_from is not Density:
            return own
        return ReadReference(self.name, self.dim, density)

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Cut a vector (n,), or a block (n, k), into the named pieces it is made of, as views.

        Returns:
            Piece by name, each of its own shape, with a last axis of length k for a block.

        Raises:
            ValueError: If the problem names no pieces, or the length is not its dimension.
        """
        if not self.shapes:
            raise ValueError(f"problem {self.name} does not name the pieces of its vectors")
        if vector.ndim not in (1, 2) or vector.shape[0] != self.dim:
            raise ValueError(f"a vector ({self.dim},) or a block ({self.dim}, k) is needed, got {tuple(vector.shape)}")
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        pieces = vector.split(sizes)
        return {
            name: piece.reshape(*shape, *vector.shape[1:])
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    @classmethod
    def of(
        cls,
        name: str,
        source: Any,
        *,
        dim: int | None = None,
        traits: tuple[str, ...] = (),
    ) -> Problem:
        """Make a problem from a matrix, a SciPy LinearOperator, an operator or a function.

        Its references come from the dense matrix, computed in float64 by `dim` products, up to dimension 4096.

        Args:
            name: Lower-case name with hyphens.
            source: Symmetric array or tensor (n, n); `scipy.sparse.linalg.LinearOperator`; `LinearOperator`; or a
                function (n, k) -> (n, k), for which `dim` is needed.
            dim: Dimension, for a function.
            traits: Declared facts.

        Raises:
            ValueError: If the matrix is not symmetric, or `dim` is missing.
            TypeError: If `source` is none of these.
        """
        check_name(name, "problem")
        if isinstance(source, np.ndarray | Tensor):
            source = _own_matrix(source)
        size, build = _source(source, dim)

        def dense() -> Array:
            op = build(torch.device("cpu"), torch.float64)
            A = to_dense(op).double().numpy()
            return (A + A.T) / 2

        references = dense_references(dense) if size <= DENSE_LIMIT else {}
        content = source if isinstance(source, Tensor) else None
        return cls(
            name=name,
            dim=size,
            build=build,
            references=references,
            traits=traits,
            fingerprint=None if content is None else lambda: array_hash(content.cpu().double().numpy()),
        )


@dataclass(frozen=True)
class ProblemFamily:
    """A registered name and the function that makes its problems.

    Attributes:
        name: Registered name.
        make: Function of keyword-only parameters, each with a default, returning a `Problem`.
        presets: Specs a glob stands for.
        summary: One line for `list`.
    """

    name: str
    make: Callable[..., Problem]
    presets: tuple[str, ...] = ()
    summary: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "problem")

    @property
    def defaults(self) -> dict[str, Value | Required]:
        """Parameters with their defaults."""
        return keyword_defaults(self.make)

    def spec(self, asked: Spec | str) -> Spec:
        """Canonical spec of one of this family.

        Raises:
            ValueError: If a parameter is not accepted.
        """
        return canonical(spec_of(asked), self.defaults)

    def canonical(self, asked: Spec | str) -> str:
        """Canonical text of a spec of this family.

        Raises:
            ValueError: If a parameter is not accepted.
        """
        return str(self.spec(asked))

    def problem(self, asked: Spec | str) -> Problem:
        """Make the problem a spec names.

        Raises:
            ValueError: If a parameter is not accepted, or the family fails.
        """
        spec = self.spec(asked)
        made = cast("object", asked_of(f"problem {spec}", "its family", lambda: self.make(**spec.as_dict)))
        if not isinstance(made, Problem):
            raise ValueError(f"problem {spec}: its family returned {type(made).__name__}, a Problem is accepted")
        return replace(made, name=str(spec))


def array_hash(*arrays: Any) -> str:
    """SHA-256 of the shapes, dtypes and bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        contiguous = np.ascontiguousarray(array)
        digest.update(f"{contiguous.dtype.str}{contiguous.shape}".encode())
        digest.update(contiguous.tobytes())
    return digest.hexdigest()


def _own_matrix(source: Any) -> Tensor:
    """A copy of a matrix, so that the problem stays the same when its giver writes into the original.

    Raises:
        ValueError: If it is not a real symmetric matrix.
    """
    if isinstance(source, np.ndarray) and source.dtype.kind not in "biufc":
        raise ValueError(f"a real floating matrix is needed, got an array of {source.dtype}")
    matrix = source.detach().clone() if isinstance(source, Tensor) else torch.as_tensor(np.array(source))
    check_symmetric(matrix)
    return matrix


def product_hash(build: Build, dim: int) -> str:
    """SHA-256 of eight numbers u^T A v, to six digits: the content of an operator that shows nothing but products.

    In float64, in float32 where the operator refuses that; empty where it gives no product at all, which its cells say.
    """
    generator = make_generator(derive_seed("fingerprint"))
    u, v = (torch.randn(dim, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    for dtype in (torch.float64, torch.float32):
        try:
            product = build(torch.device("cpu"), dtype).matmat(v.to(dtype))
            numbers = (u * product.detach().cpu().double()).sum(dim=0).tolist()
        except Exception:  # noqa: BLE001 -- a problem of the user's may raise anything; building it says what
            continue
        return hashlib.sha256(" ".join(f"{number:.5e}" for number in numbers).encode()).hexdigest()
    return ""


def _source(source: Any, dim: int | None) -> tuple[int, Build]:
    """Dimension and build function of what a user handed over, a matrix being checked already.

    Raises:
        ValueError: If a function comes without its dimension.
        TypeError: If it is nothing of what is accepted.
    """
    if isinstance(source, Tensor):
        matrix = source
        return matrix.shape[0], lambda device, dtype: dense_operator(matrix, device, dtype)
    if isinstance(source, scipy.sparse.linalg.LinearOperator):
        found = source
        rows = from_scipy(found).dim
        return rows, lambda device, dtype: from_scipy(found, device, dtype)
    if isinstance(source, LinearOperator):
        matmat, rows, own_dtype, own_device = source.matmat, source.dim, source.dtype, source.device

        def cast_product(block: Tensor) -> Tensor:
            product = matmat(block.to(device=own_device, dtype=own_dtype))
            return product.to(device=block.device, dtype=block.dtype)

        return rows, lambda device, dtype: FunctionOperator(cast_product, rows, dtype, device)
    if callable(source):
        if dim is None:
            raise ValueError("a function needs dim=, the number of rows it multiplies")
        function = cast("Callable[[Tensor], Tensor]", source)
        return dim, lambda device, dtype: FunctionOperator(function, dim, dtype, device)
    raise TypeError(
        "a symmetric array or tensor, a SciPy LinearOperator, a LinearOperator or a function is accepted, "
        f"got {type(source).__name__}"
    )

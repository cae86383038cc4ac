"""The solution of a damped linear system: its right-hand side, its reference, and how far an estimate is from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, cast, final, get_args

import numpy as np
import scipy.linalg
import torch
from torch import Tensor
from typing_extensions import override

from hessbench.estimand.base import (
    EPS,
    Array,
    Arrays,
    ErrorDefinition,
    Estimand,
    Reference,
    Source,
    real_array,
    real_vector,
    spectral_norm,
)
from hessbench.operators import LinearOperator
from hessbench.seeding import derive_seed

RightSide: TypeAlias = Literal["normal", "gradient", "example"]


class HasGradients(Protocol):
    """A network, as far as right-hand sides need one."""

    def to(self, device: torch.device, dtype: torch.dtype) -> HasGradients:
        """The same elsewhere."""
        ...

    def gradient(self) -> Tensor:
        """Gradient (n,) of the objective."""
        ...

    def example_gradient(self, place: int) -> Tensor:
        """Gradient (n,) of the loss of one sample."""
        ...


@final
@dataclass(frozen=True)
class Solve(Estimand):
    """The solution x of (A + damping I) x = b, an inverse-vector product, as influence functions need it.

    The damping is absolute, so that the question tells nothing of A: who wants a share of the spectral norm works it
    out with `damping_of`. The right-hand side b is part of the question, and the same for every method, repeat, dtype
    and device: independent standard normal entries, numbered by `instance`; or, of a network, the gradient of its
    objective (`rhs=gradient`), or that of the loss of its sample number `instance` (`rhs=example`). A method gets it as
    the keyword `b`.

    Primary error: 2-norm of x less the truth, over that of the truth. Beside it `residual`, |b - (A + damping I) x|
    over |b|, from one product with the operator itself, off the clock and not charged; and, where A + damping I is
    positive definite, `energy`, the error in the norm of A + damping I, which conjugate gradients make least. The
    floor is the bound over the least magnitude of an eigenvalue of A + damping I: the relative change of x that a
    change of A by the bound can make. Reference arrays: `solution` (n,); `least` (1,), that magnitude; `size` (1,),
    |b|; and where A + damping I is definite `energy` (1,), b^T x.
    """

    key: ClassVar[str] = "solve"
    primary: ClassVar[str] = "relative_norm"
    definitions: ClassVar[Mapping[str, ErrorDefinition]] = {
        "relative_norm": ErrorDefinition(
            "relative 2-norm of the error",
            "2-norm of the difference to the true solution of (A + damping I) x = b, over the 2-norm of the true "
            "solution: zero scores 1.",
        ),
        "residual": ErrorDefinition(
            "relative residual", "2-norm of b - (A + damping I) x over the 2-norm of b: zero scores 1."
        ),
        "energy": ErrorDefinition(
            "relative error in the norm of A + damping I",
            "Difference to the true solution over the true solution, both in the norm of A + damping I, which is "
            "positive definite: zero scores 1.",
        ),
    }
    hands: ClassVar[tuple[str, ...]] = ("b",)
    example: ClassVar[Mapping[str, float]] = {"damping": 2.5}
    """A damping that makes the small indefinite operators on which laws are checked definite: their norm is 2."""
    damping: float
    rhs: RightSide = "normal"
    instance: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.damping, bool) or not isinstance(self.damping, int | float):  # pyright: ignore
            raise ValueError(f"solve: damping takes a number, got {self.damping!r}")
        object.__setattr__(self, "damping", float(self.damping))  # one text for 1 and 1.0
        if not 0 <= self.damping < math.inf:
            raise ValueError(f"solve: damping must be finite and at least 0, got {self.damping}")
        if self.rhs not in get_args(RightSide):
            raise ValueError(f"solve: rhs must be normal, gradient or example, got {self.rhs!r}")
        if self.instance < 0 or (self.rhs == "gradient" and self.instance):
            raise ValueError(
                f"solve: instance must be at least 0, and 0 for the one gradient of the objective, got {self.instance}"
            )

    @override
    @classmethod
    def of_size(cls, k: int) -> Self:
        del k
        return cls(cls.example["damping"])

    @property
    @override
    def needs_network(self) -> bool:
        return self.rhs != "normal"

    def right_side(self, dim: int, network: Callable[[], object] | None = None) -> Array:
        """The right-hand side b (n,) in float64.

        Args:
            dim: Dimension n.
            network: Makes the network, for a gradient.

        Raises:
            ValueError: If a gradient is asked for where there is no network, of another length, or of no sample.
        """
        if self.rhs == "normal":
            seed = derive_seed("right-hand-side", str(self.instance))
            # Numbers that float32 holds too: every dtype has the same system.
            return np.random.default_rng(seed).standard_normal(dim, dtype=np.float32).astype(np.float64)
        if network is None:
            raise ValueError(f"solve: rhs={self.rhs} is a gradient, which needs a problem that is made of a network")
        made = cast("HasGradients", network()).to(torch.device("cpu"), torch.float64)
        gradient = made.gradient() if self.rhs == "gradient" else made.example_gradient(self.instance)
        b = real_vector(gradient, "a gradient")
        if b.size != dim:
            raise ValueError(
                f"solve: rhs={self.rhs} has {b.size} entries, one for each parameter, and the matrix {dim} rows"
            )
        return b

    @override
    def handed(self, dim: int, network: Callable[[], object] | None = None) -> dict[str, Array]:
        return {"b": self.right_side(dim, network)}

    @override
    def observed(self, value: Any, op: LinearOperator, handed: Mapping[str, Tensor]) -> Arrays:
        x = torch.as_tensor(value).detach().to(device=op.device, dtype=op.dtype)
        if x.shape != (op.dim,) or not bool(torch.isfinite(x).all()):
            return {}
        product = op.matmat(x[:, None])[:, 0].detach()
        # In float64: the residual of a good answer is what is left of b after all its digits.
        r = handed["b"].double() - product.double() - self.damping * x.double()
        return {"residual": real_array(r)}

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        values = real_vector(value, "a solution")
        if values.shape != (dim,):
            raise ValueError(f"a solution of shape ({dim},) is accepted, got {values.shape}")
        return {"solution": values}

    @override
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        truth = reference.arrays["solution"]
        gap = arrays["solution"] - truth
        found = {"relative_norm": _over(float(np.linalg.norm(gap)), float(np.linalg.norm(truth)))}
        residual = arrays.get("residual")
        if residual is None:
            return found
        found["residual"] = _over(float(np.linalg.norm(residual)), float(reference.arrays["size"][0]))
        if "energy" in reference.arrays:
            # The residual is -(A + damping I) times the error.
            squared = max(0.0, -float(gap @ residual))
            found["energy"] = _over(squared**0.5, float(reference.arrays["energy"][0]) ** 0.5)
        return found

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        return min(1.0, reference.bound_in(dtype) / float(reference.arrays["least"][0]))


def damping_of(norm: float, share: float) -> float:
    """The damping that is a share of a spectral norm, to three digits, so that specs stay short.

    Args:
        norm: Spectral norm, above 0, such as `norm` of a reference or the largest eigenvalue that a method found.
        share: Share of it, above 0.

    Raises:
        ValueError: If one of them is not a finite number above 0.
    """
    for name, number in (("norm", norm), ("share", share)):
        if not 0 < number < math.inf:
            raise ValueError(f"{name} must be finite and above 0, got {number}")
    return float(f"{norm * share:.2e}")


def solve_reference(
    estimand: Solve, solution: Array, b: Array, eigenvalues: Array, source: Source, bound: float = 0.0
) -> Reference:
    """The reference of a `Solve`.

    Args:
        estimand: What is asked.
        solution: x (n,) in float64.
        b: Right-hand side (n,).
        eigenvalues: Those of A, in any order and number, as long as the extreme ones of A + damping I, and the one
            nearest to zero, are among them.
        source: How x was obtained.
        bound: Norm of the change of A that x is off by, beside the rounding of the operator: |residual| / |x|.

    Raises:
        ValueError: If A + damping I is singular, as far as float64 can tell.
    """
    shifted = eigenvalues + estimand.damping
    refuse_singular(estimand, shifted)
    numbers = {"least": float(np.abs(shifted).min()), "size": float(np.linalg.norm(b))}
    if shifted.min() > 0:
        numbers["energy"] = max(0.0, float(b @ solution))
    arrays = {"solution": solution, **{name: np.asarray([number]) for name, number in numbers.items()}}
    # The shift rounds as the matrix does.
    return Reference(arrays, source, max(spectral_norm(shifted), spectral_norm(eigenvalues)), bound)


def refuse_singular(estimand: Solve, shifted: Array) -> None:
    """Refuse a system that has no one solution.

    Args:
        estimand: What is asked.
        shifted: Eigenvalues of A + damping I.

    Raises:
        ValueError: If the least of their magnitudes is rounding beside the largest.
    """
    least, norm = float(np.abs(shifted).min()), spectral_norm(shifted)
    if least <= 10 * EPS["float64"] * norm * max(1.0, shifted.size**0.5):
        raise ValueError(
            f"{estimand.spec}: A + damping I is singular, with an eigenvalue of magnitude {least:.1e} where its norm "
            f"is {norm:.1e}: a damping that moves every eigenvalue away from 0 is accepted"
        )


def refined_solution(M: Array, b: Array) -> tuple[Array, float]:
    """Solve M x = b for a dense symmetric M, with residuals in extended precision where the platform has any.

    Args:
        M: Matrix (n, n), not singular.
        b: Right-hand side (n,).

    Returns:
        x (n,), and |b - M x| / |x|, the norm of a change of M of which x is the exact solution; 0 where x is 0.

    Source:
        Wilkinson, Rounding Errors in Algebraic Processes (1963): iterative refinement.
    """
    factors = scipy.linalg.lu_factor(M)
    x = cast("Array", scipy.linalg.lu_solve(factors, b))
    for _ in range(3):
        x = x + scipy.linalg.lu_solve(factors, _residual(M, x, b))
    size = float(np.linalg.norm(x))
    return x, float(np.linalg.norm(_residual(M, x, b))) / size if size else 0.0


def _residual(M: Array, x: Array, b: Array) -> Array:
    """The residual b - M x, summed in extended precision by blocks of rows, then rounded."""
    rows = max(1, 2**20 // x.size)
    wide = x.astype(np.longdouble)
    parts = [
        b[start : start + rows] - M[start : start + rows].astype(np.longdouble) @ wide
        for start in range(0, b.size, rows)
    ]
    return np.concatenate(parts).astype(np.float64)


def _over(part: float, whole: float) -> float:
    """Part over whole; over 1 where the whole is zero, as it is where b is."""
    return part / whole if whole else part

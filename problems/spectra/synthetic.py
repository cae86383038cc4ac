"""The families `student-t` and `spectrum`: a spectrum known exactly, hidden behind a fast random rotation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import torch

from hessbench.estimand import Array, Density, Diagonal, Reference, Source, TopEigenspace, TopEigenvalues, Trace
from hessbench.estimand.density import density_reference
from hessbench.estimand.eigenspace import eigenspace_reference
from hessbench.estimand.eigenvalues import top_reference
from hessbench.estimand.from_dense import DENSE_LIMIT, References
from hessbench.estimand.solve import Solve, refuse_singular, solve_reference
from hessbench.estimand.trace import trace_reference
from hessbench.operators import to_dense
from hessbench.problem import DIAGONAL, PSD, SYNTHETIC, Problem, ProblemFamily, array_hash
from hessbench.problems.parameters import at_least, in_range, nearest, one_of, spec_text
from hessbench.problems.spectra.closed_forms import SPECTRA, alternate, student_t
from hessbench.problems.spectra.rotation import rotated_operator, rotated_vectors, rotation_version
from hessbench.seeding import derive_seed

MAX_DIM: Final = 10_000_000


def student_t_problem(
    *,
    n: int = 1000,
    zero_fraction: float = 0.0,
    df: float = 3.0,
    signed: bool = True,
    instance: int = 0,
) -> Problem:
    """Student-t eigenvalues with a controlled number of zeros, rotated.

    Args:
        n: Dimension, 1 to 10^7.
        zero_fraction: Share of eigenvalues that are exactly 0; round(zero_fraction n) of them.
        df: Degrees of freedom, above 0: the smaller, the heavier the tail.
        signed: Whether eigenvalues keep their sign; otherwise the operator is positive semi-definite.
        instance: Number of the draw, from 0.

    Raises:
        ValueError: If a parameter is out of range.
    """
    family = "student-t"
    in_range(family, "n", n, 1, MAX_DIM)
    in_range(family, "zero_fraction", zero_fraction, 0, 1)
    if not 0 < df < float("inf"):
        raise ValueError(f"{family}: df must be finite and above 0, got {df}")
    at_least(family, "instance", instance, 0)
    name = spec_text(
        family,
        student_t_problem,
        n=n,
        zero_fraction=float(zero_fraction),
        df=float(df),
        signed=signed,
        instance=instance,
    )
    psd = () if signed and round(zero_fraction * n) < n else (PSD,)
    return _rotated(
        name,
        n,
        lambda: student_t(n, zero_fraction, df, signed=signed, seed=derive_seed("spectrum", name)),
        (*psd, f"zeros={round(zero_fraction * n) / n:g}"),
        lambda size: student_t_problem(n=size, zero_fraction=zero_fraction, df=df, signed=signed, instance=instance),
    )


def spectrum_problem(*, name: str = "power-law", n: int = 1000, signed: bool = False) -> Problem:
    """A spectrum in closed form, rotated; `hessbench.problems.spectra.closed_forms` states each of them.

    Args:
        name: power-law, geometric, step, spiked, clustered, linear, zero, rank-one or identity.
        n: Dimension, 1 to 10^7.
        signed: Turn the sign of every second eigenvalue.

    Raises:
        ValueError: If a parameter is out of range.
    """
    family = "spectrum"
    one_of(family, "name", name, SPECTRA)
    in_range(family, "n", n, 1, MAX_DIM)
    spectrum = SPECTRA[name]
    traits: tuple[str, ...] = ()
    if not signed or n == 1 or name in ("zero", "rank-one"):
        traits += (PSD,)
    if name == "zero" or n == 1 or (name == "identity" and not signed):
        traits += (DIAGONAL,)  # a multiple of the identity stays one under every rotation
    if name in ("zero", "rank-one"):
        traits += (f"zeros={float(np.mean(spectrum(n) == 0)):g}",)
    return _rotated(
        spec_text(family, spectrum_problem, name=name, n=n, signed=signed),
        n,
        lambda: alternate(spectrum(n)) if signed else spectrum(n),
        traits,
        lambda size: spectrum_problem(name=name, n=size, signed=signed),
    )


def _rotated(
    name: str,
    n: int,
    eigenvalues: Callable[[], Array],
    traits: tuple[str, ...],
    at_dimension: Callable[[int], Problem],
) -> Problem:
    """Put together the problem of a spectrum; its rotation is seeded by its name."""
    seed = derive_seed("rotation", name)
    return Problem(
        name=name,
        dim=n,
        build=lambda device, dtype: rotated_operator(eigenvalues(), seed, device, dtype),
        references=_references(n, eigenvalues, seed),
        traits=(SYNTHETIC, *traits),
        fingerprint=cache(lambda: f"{array_hash(eigenvalues())} {rotation_version(n)}"),
        ladder=lambda size: at_dimension(nearest(size, 1, MAX_DIM)),
    )


def _references(n: int, eigenvalues: Callable[[], Array], seed: int) -> References:
    """Exact answers from the spectrum; the diagonal from the dense matrix, where that is small."""

    def diagonal(_: Diagonal) -> Reference:
        spectrum = eigenvalues()
        op = rotated_operator(spectrum, seed, torch.device("cpu"), torch.float64)
        entries = to_dense(op).diagonal().numpy().copy()
        norm = float(np.abs(spectrum).max())
        return Reference({"diagonal": entries}, Source.DENSE, norm, bound=10 * 2.0**-52 * norm)

    def space(estimand: TopEigenspace) -> Reference:
        spectrum = eigenvalues()
        return eigenspace_reference(
            spectrum, lambda places: rotated_vectors(n, seed, places), estimand, Source.ANALYTIC
        )

    def solution(estimand: Solve) -> Reference:
        spectrum = eigenvalues()
        shifted = spectrum + estimand.damping
        refuse_singular(estimand, shifted)
        b = estimand.right_side(n)
        # The same rotation with the inverse eigenvalues; its rounding, as a change of A: that of b over x.
        inverse = rotated_operator(1 / shifted, seed, torch.device("cpu"), torch.float64)
        x = inverse.matmat(torch.as_tensor(b)[:, None])[:, 0].numpy()
        off = 10 * 2.0**-52 * float(np.linalg.norm(b)) / float(np.linalg.norm(x))
        return solve_reference(estimand, x, b, spectrum, Source.ANALYTIC, off)

    answers: References = {
        TopEigenvalues: lambda estimand: top_reference(eigenvalues(), estimand, Source.ANALYTIC),
        Trace: lambda _: trace_reference(eigenvalues(), Source.ANALYTIC),
        Density: lambda _: density_reference(eigenvalues(), Source.ANALYTIC),
        TopEigenspace: space,
        Solve: solution,
    }
    return {**answers, Diagonal: diagonal} if n <= DENSE_LIMIT else answers


STUDENT_T: Final = ProblemFamily(
    "student-t",
    student_t_problem,
    presets=(
        "student-t",
        "student-t[zero_fraction=0.5]",
        "student-t[zero_fraction=0.9]",
        "student-t[zero_fraction=0.99]",
        "student-t[zero_fraction=1]",
        "student-t[df=1]",
        "student-t[signed=false]",
    ),
    summary="Student-t eigenvalues with a controlled share of exact zeros, rotated; any n to 10^7",
)

SPECTRUM: Final = ProblemFamily(
    "spectrum",
    spectrum_problem,
    presets=tuple(f"spectrum[name={name}]" for name in SPECTRA),
    summary="a spectrum in closed form (power-law, step, spiked, ...), rotated; any n to 10^7",
)

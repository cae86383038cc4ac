"""The family `diagonal`: a full matrix whose diagonal is known exactly and far from flat."""

from __future__ import annotations

import math
from functools import cache
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Diagonal, Reference, Source, Trace
from hessbench.estimand.from_dense import DENSE_LIMIT, References, dense_references
from hessbench.operators import FunctionOperator, OperatorInfo, to_dense
from hessbench.problem import PSD, SYNTHETIC, Problem, ProblemFamily, array_hash
from hessbench.problems.parameters import at_least, in_range, nearest, one_of, spec_text
from hessbench.problems.spectra.closed_forms import ClosedForm, clustered, linear, power_law, spiked, step
from hessbench.seeding import derive_seed

MAX_DIM: Final = 10_000_000

PROFILES: Final = MappingProxyType[str, ClosedForm](
    {"power-law": power_law, "step": step, "spiked": spiked, "clustered": clustered, "linear": linear}
)
"""Diagonals, entry i as in `hessbench.problems.spectra.closed_forms`."""


def diagonal_problem(*, n: int = 1000, profile: str = "power-law", instance: int = 0) -> Problem:
    """A = D^(1/2) C D^(1/2): diagonal D known, every off-diagonal entry at play, positive semi-definite.

    C is a circulant correlation matrix. Its eigenvalues, one for each frequency, are uniform on [0, 2] from a seed and
    rescaled to mean 1, so its diagonal is exactly 1 and its other entries are of order 1 / sqrt(3 n), at every
    distance from the diagonal alike; the diagonal of A is therefore D. A random-sign estimate of entry i has the
    variance d_i mean(d) / 3 nearly: small entries beside large ones are the hard ones. Not a diagonal matrix.

    Args:
        n: Dimension, 1 to 10^7.
        profile: The diagonal: power-law, step, spiked, clustered or linear.
        instance: Number of the draw of C, from 0.

    Raises:
        ValueError: If a parameter is out of range.
    """
    family = "diagonal"
    in_range(family, "n", n, 1, MAX_DIM)
    one_of(family, "profile", profile, PROFILES)
    at_least(family, "instance", instance, 0)
    name = spec_text(family, diagonal_problem, n=n, profile=profile, instance=instance)
    seed = derive_seed("correlation", name)

    def build(device: torch.device, dtype: torch.dtype) -> FunctionOperator:
        return scaled_circulant(PROFILES[profile](n), correlation_spectrum(n, seed), device, dtype)

    return Problem(
        name=name,
        dim=n,
        build=build,
        references=_references(n, PROFILES[profile], seed),
        traits=(SYNTHETIC, PSD),
        fingerprint=cache(lambda: array_hash(PROFILES[profile](n), correlation_spectrum(n, seed))),
        ladder=lambda size: diagonal_problem(n=nearest(size, 1, MAX_DIM), profile=profile, instance=instance),
    )


def correlation_spectrum(n: int, seed: int) -> Array:
    """Eigenvalues of C at the frequencies 0..n // 2, with mean 1 over all n."""
    values = np.random.default_rng(seed).uniform(0, 2, size=n // 2 + 1)
    total = 2 * values.sum() - values[0] - (values[-1] if n % 2 == 0 else 0.0)
    return values * (n / total)


def scaled_circulant(diagonal: Array, spectrum: Array, device: torch.device, dtype: torch.dtype) -> FunctionOperator:
    """A = D^(1/2) C D^(1/2); one column costs one real FFT, one inverse one and three multiplications by a vector.

    Args:
        diagonal: Entries of D, none negative, shape (n,).
        spectrum: Eigenvalues of the circulant C at the frequencies 0..n // 2.
        device: Where the operator lives.
        dtype: Floating type it computes in.
    """
    n = diagonal.size
    root = torch.as_tensor(np.sqrt(diagonal)).to(device=device, dtype=dtype)
    response = torch.as_tensor(spectrum).to(device=device, dtype=dtype)[:, None]

    def matmat(block: Tensor) -> Tensor:
        rows = torch.mul(block.T, root, out=block.new_empty(block.shape[1], n))
        waves = torch.fft.rfft(rows)
        torch.view_as_real(waves).mul_(response)
        torch.fft.irfft(waves, n=n, out=rows)
        return torch.mul(rows.T, root[:, None], out=torch.empty_like(block, memory_format=torch.contiguous_format))

    return FunctionOperator(matmat, n, dtype, device, OperatorInfo(engine="scaled circulant, real FFTs"))


def _references(n: int, profile: ClosedForm, seed: int) -> References:
    """Diagonal and trace from the profile at any n; the spectrum from the dense matrix where that is small."""

    def norm() -> float:
        """The spectral norm is at least the largest entry of D and at most this, that times the norm of C."""
        return float(profile(n).max() * correlation_spectrum(n, seed).max())

    def dense() -> Array:
        op = scaled_circulant(profile(n), correlation_spectrum(n, seed), torch.device("cpu"), torch.float64)
        A = to_dense(op).numpy()
        return (A + A.T) / 2

    def trace(_: Trace) -> Reference:
        trace = math.fsum(profile(n))
        total = np.asarray([trace])
        return Reference({"trace": total, "abs_sum": total}, Source.ANALYTIC, norm(), 2.0**-53 * trace)

    def diagonal(_: Diagonal) -> Reference:
        return Reference({"diagonal": profile(n)}, Source.ANALYTIC, norm())

    solved = dense_references(dense) if n <= DENSE_LIMIT else {}
    return {**solved, Trace: trace, Diagonal: diagonal}


DIAGONAL_FAMILY: Final = ProblemFamily(
    "diagonal",
    diagonal_problem,
    presets=tuple(f"diagonal[profile={profile}]" for profile in PROFILES),
    summary="a full positive semi-definite matrix with a known diagonal that is far from flat; any n to 10^7",
)

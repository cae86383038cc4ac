"""Numbers that the eigenvalues alone decide: each is read from a density, and its truth from the whole spectrum."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hessbench.estimand.base import EPS, Array, Arrays, Estimand, Estimate, Reference, real_array
from hessbench.estimand.density import Density
from hessbench.specs import Value

DTYPES: Final = tuple(EPS)
"""Names of the dtypes in the order in which a reference holds what depends on them."""

SLACK: Final = 100.0
"""Constant c in c eps max |node|, by which a node may be off for the rounding of the operator alone."""


@dataclass(frozen=True)
class Atoms:
    """Eigenvalues as points with numbers: all of them, or as many as an estimate of the density puts at each node.

    Attributes:
        nodes: Where they are (m,).
        counts: How many are there (m,), which add up to `dim`; of an estimate not whole.
        dim: Number n of all of them.
        norm: Largest magnitude.
    """

    nodes: Array
    counts: Array
    dim: int
    norm: float


@dataclass(frozen=True)
class Enclosure:
    """Where the truth is, its eigenvalues being known to a bound.

    Attributes:
        least: Lower end.
        most: Upper end.
        unsure: What may separate a number that is right from the one given here, absolute.
    """

    least: float
    most: float
    unsure: float


@dataclass(frozen=True)
class SpectralQuantity(Estimand):
    """One number that the eigenvalues decide.

    Its error is the distance to where the truth is, a point or, where eigenvalues lie within their bound of an edge, an
    interval, over a scale of its own. Any method that answers `Density` answers it: the number is read from the nodes
    and the weights. Reference arrays: `least`, `most` and `unsure` (2,), in float32 and in float64; `scale` (1,); and
    `trivial` (1,), the answer that takes no product.
    """

    read_from: ClassVar[type[Estimand] | None] = Density
    example: ClassVar[Mapping[str, Value]] = {}
    """Parameters with which it is tried where any will do."""
    reads_rule: ClassVar[bool] = False
    """Whether it is the integral of a function, read from what a density was before it was smoothed, where it says."""

    @classmethod
    @override
    def default(cls) -> Self | None:
        return None

    @classmethod
    @override
    def of_size(cls, k: int) -> Self:
        del k
        return cast("Any", cls)(**cls.example)

    @abstractmethod
    def read(self, density: Atoms, slack: float) -> float:
        """The number that an estimated density has, whose nodes may be off by `slack` for rounding.

        Raises:
            ValueError: If it is not defined there, saying why.
        """

    @abstractmethod
    def enclosure(self, spectrum: Atoms, bound: float) -> Enclosure:
        """Where the truth is, all eigenvalues being known to a bound."""

    @abstractmethod
    def scale(self, spectrum: Atoms, at: Enclosure) -> float:
        """What the error is divided by, the truth being there."""

    def check_spectrum(self, spectrum: Atoms, bound: float) -> None:
        """Refuse a spectrum, known to a bound, on which the number is not defined.

        Raises:
            ValueError: Saying which eigenvalue, and what is accepted.
        """

    def trivial_value(self, dim: int) -> float:
        """The answer that takes no product."""
        del dim
        return 0.0

    @override
    @classmethod
    def trivial_error(cls, name: str, errors: Mapping[str, float | None]) -> float | None:
        return errors.get("trivial") if name == cls.primary else None

    def reference(self, density: Reference, counts: NDArray[np.int64]) -> Reference:
        """The truth, read from the density of all eigenvalues.

        Args:
            density: Reference of the density.
            counts: How often each of its nodes occurs (m,).

        Raises:
            ValueError: If the number is not defined on this spectrum.
        """
        spectrum = Atoms(density.arrays["nodes"], counts.astype(np.float64), int(counts.sum()), density.norm)
        self.check_spectrum(spectrum, density.bound_in("float64"))
        found = [self.enclosure(spectrum, density.bound_in(dtype)) for dtype in DTYPES]
        arrays = {
            **{name: np.asarray([getattr(one, name) for one in found]) for name in ("least", "most", "unsure")},
            "scale": np.asarray([self.scale(spectrum, found[-1])]),
            "trivial": np.asarray([self.trivial_value(spectrum.dim)]),
        }
        return dataclasses.replace(density, arrays=arrays)

    @override
    def to_arrays(self, value: Any, dim: int) -> Arrays:
        values = np.atleast_1d(real_array(value))
        if values.shape != (1,):
            raise ValueError(f"{self.key} is one number, got shape {values.shape}")
        return {"value": values}

    @override
    def errors(self, arrays: Arrays, reference: Reference, dtype: str) -> dict[str, float]:
        at, scale = _enclosure(reference, dtype), self._scale(reference, dtype)
        gap = _distance(float(arrays["value"][0]), at)
        return {
            self.primary: gap / scale if gap else 0.0,
            "absolute": gap,
            "relative": _relative(gap, at),
            "trivial": _over(_distance(float(reference.arrays["trivial"][0]), at), scale),
        }

    @override
    def floor(self, reference: Reference, dtype: str) -> float:
        unsure, scale = _enclosure(reference, dtype).unsure, self._scale(reference, dtype)
        known = np.isfinite(unsure)
        return min(1.0, EPS[dtype] + (_over(unsure, scale) if known else 1.0))

    @staticmethod
    def _scale(reference: Reference, dtype: str) -> float:
        """What errors are divided by: never below what the truth is known to."""
        unsure, scale = _enclosure(reference, dtype).unsure, float(reference.arrays["scale"][0])
        return max(scale, unsure) if np.isfinite(unsure) else scale


def read_from_density(estimand: SpectralQuantity, density: Estimate, dim: int, dtype: str) -> Estimate:
    """The number that an estimate of the density answers, with its standard error over independent starts.

    Where the density says which start each node is from, the number is also read from each start alone, with the nodes
    that all of them share: its standard error is that of the mean of these, the sample standard deviation over the root
    of the number of starts. The weights of a start, times their number, and of what is shared add up to one. Where all
    nodes are shared nothing is left to chance, and the standard error is 0; of one start there is none. It tells
    starts apart and nothing else: what all starts are off by alike, such as by few nodes, is not in it.

    A density that was smoothed to be shown may say the rule it had before: sums of a function are read from that, which
    is exact for polynomials of as high a degree as the products allow; shares and counts are read from the density.

    Args:
        estimand: What is asked for.
        density: Evaluated estimate of the density.
        dim: Dimension n of the operator.
        dtype: Name of the dtype the operator computed in.

    Returns:
        The number; NaN, and why in `diagnostics["reason"]`, where it is not defined on these nodes.

    Raises:
        ValueError: If the value is no density, or its starts are not those of its nodes.
    """
    smoothed = density.rule is None or not estimand.reads_rule
    measure = density.value if smoothed else density.rule
    Density().to_arrays(measure, dim)
    nodes, weights = (real_array(part) for part in cast("tuple[Any, Any]", measure))
    if not (np.isfinite(nodes).all() and np.isfinite(weights).all()):
        return Estimate(float("nan"), converged=density.converged, diagnostics=density.diagnostics)
    whole = Atoms(nodes, dim * weights, dim, float(np.abs(nodes[weights != 0]).max(initial=0.0)))
    labels = _labels(whole, density.starts if smoothed else None)
    alone = [] if labels is None else _each_start(whole, labels)
    slack = SLACK * EPS[dtype] * whole.norm
    try:
        value = estimand.read(whole, slack)
        each = [estimand.read(one, slack) for one in alone]
    except ValueError as undefined:
        said = {**density.diagnostics, "reason": str(undefined)}
        return Estimate(float("nan"), converged=False, diagnostics=said)
    stderr = dof = None
    if each:
        stderr, dof = float(np.std(each, ddof=1)) / len(each) ** 0.5, len(each) - 1.0
    elif labels is not None and bool((labels < 0).all()):
        stderr = 0.0
    return Estimate(value, stderr=stderr, stderr_dof=dof, converged=density.converged, diagnostics=density.diagnostics)


def _labels(whole: Atoms, starts: Any) -> NDArray[np.int64] | None:
    """From which start each node is; None where that is not said.

    Raises:
        ValueError: If the starts are not those of the nodes.
    """
    if starts is None:
        return None
    labels = np.asarray(starts, dtype=np.int64)
    if labels.shape != whole.nodes.shape:
        raise ValueError(f"starts of a density must match its nodes {whole.nodes.shape}, got {labels.shape}")
    return labels


def _each_start(whole: Atoms, labels: NDArray[np.int64]) -> list[Atoms]:
    """The density that each start has by itself, with what all share; none where fewer than two are told apart."""
    number = int(labels.max(initial=-1)) + 1
    shared = labels < 0
    found: list[Atoms] = []
    for start in range(number if number > 1 else 0):
        here = (labels == start) | shared
        counts = np.where(shared, 1, number)[here] * whole.counts[here]
        found.append(dataclasses.replace(whole, nodes=whole.nodes[here], counts=counts))
    return found


def _enclosure(reference: Reference, dtype: str) -> Enclosure:
    place = DTYPES.index(dtype)
    least, most, unsure = (float(reference.arrays[name][place]) for name in ("least", "most", "unsure"))
    return Enclosure(least, most, unsure)


def _distance(value: float, at: Enclosure) -> float:
    return max(at.least - value, value - at.most, 0.0)


def _relative(gap: float, at: Enclosure) -> float:
    return _over(gap, max(min(abs(at.least), abs(at.most)), at.unsure if np.isfinite(at.unsure) else 0.0))


def _over(gap: float, scale: float) -> float:
    """Gap / scale with 0 / 0 = 0."""
    if gap == 0:
        return 0.0
    return gap / scale if scale else float("inf")

"""Which of a spectrum to trust: bounds of the first eigenvalues, interval of the trace, shares by sign, resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from hessbench.estimand import Array
from hessbench.reports.spectra.answers import DensityAnswer, TraceAnswer, ValuesAnswer, whole_number
from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.measure import Measure
from hessbench.reports.spectra.ranks import bounds_of, known_ranks

NEAR: Final = 1e-3
"""Magnitudes up to this share of the largest count as zero in the shares by sign; no density resolves their sign."""

LEVEL: Final = 0.95
FEW: Final = 10
"""Degrees of freedom below which a standard error is itself too uncertain to be trusted far."""

GOOD: Final = 0.01
"""A relative bound up to which a value is called good."""


@dataclass(frozen=True)
class BoundedValue:
    """One of the first eigenvalues.

    Attributes:
        rank: From 1.
        value: As found.
        bound: An eigenvalue lies within it; None where the method does not say.
        truth: The eigenvalue of this rank; None where it is not known.
    """

    rank: int
    value: float
    bound: float | None
    truth: float | None

    @property
    def relative(self) -> float | None:
        """The bound over the magnitude; infinite at zero."""
        if self.bound is None:
            return None
        return self.bound / abs(self.value) if self.value else math.inf

    @property
    def sign_is_sure(self) -> bool:
        """Whether zero is beyond the bound."""
        return self.bound is not None and abs(self.value) > self.bound


@dataclass(frozen=True)
class TopTrust:
    """The first eigenvalues of the method with the smallest bounds."""

    method: str
    which: str
    matvecs: int
    values: tuple[BoundedValue, ...]

    @property
    def has_bounds(self) -> bool:
        """Whether the method says how far off its values may be."""
        return any(value.bound is not None for value in self.values)

    @property
    def number_good(self) -> int:
        """Values known to 1 % by their bound."""
        return sum(value.relative is not None and value.relative <= GOOD for value in self.values)


@dataclass(frozen=True)
class TraceTrust:
    """A trace with an interval.

    Attributes:
        method: Its name.
        matvecs: Products of a repeat.
        value: Mean over its repeats.
        half_width: Of the interval of 95 %; None where nothing says how sure it is.
        probes: Probes behind it, those of all repeats; 0 where that is not said.
        freedom: Degrees of freedom of its standard error.
        truth: The trace; None where it is not known.
    """

    method: str
    matvecs: int
    value: float
    half_width: float | None
    probes: int
    freedom: int
    truth: float | None

    @property
    def is_few(self) -> bool:
        """Whether the interval rests on so few probes that its width is a guess."""
        return bool(self.half_width) and self.freedom < FEW


@dataclass(frozen=True)
class Share:
    """A share of the eigenvalues: the mean over runs, and its standard error; None of one run."""

    mean: float
    stderr: float | None


@dataclass(frozen=True)
class SignShares:
    """The shares of a density by sign.

    Attributes:
        method: Its name, or what the truth comes from.
        matvecs: Products of a repeat; 0 of the truth.
        runs: Repeats behind the means; 0 of the truth.
        starts: Starts of each, 0 where that is not said.
        negative: Share below -near.
        zero: Share within.
        positive: Share above.
        least: The least node; of Lanczos the least Ritz value, below which there is an eigenvalue.
        most: The largest node.
        is_ritz: Whether the nodes are Ritz values.
        bracket: Between what the negative share lies by the quadrature itself, least and most, in the mean over the
            runs; None where a run's nodes are not those of one start.
    """

    method: str
    matvecs: int
    runs: int
    starts: int
    negative: Share
    zero: Share
    positive: Share
    least: float
    most: float
    is_ritz: bool = False
    bracket: tuple[Share, Share] | None = None


@dataclass(frozen=True)
class Trust:
    """What can be said of a spectrum, and how sure it is.

    Attributes:
        near: What counts as zero in the shares by sign, in eigenvalues.
        top: The first eigenvalues; None where none were asked for.
        traces: By method, the narrowest interval first.
        shares: By method, and the truth last.
        least: An eigenvalue lies at or below this for sure: a Ritz value less rounding; None without one.
    """

    near: float
    top: TopTrust | None
    traces: tuple[TraceTrust, ...]
    shares: tuple[SignShares, ...]
    least: float | None


def trust_of(spectrum: KeptSpectrum) -> Trust:
    """Judge what is kept of a spectrum."""
    size = _size(spectrum)
    near = NEAR * size
    shares = [_shares(answer, near) for answer in spectrum.densities]
    truth = spectrum.truth
    if truth is not None:
        shares.append(_true_shares(truth, near))
    ritz = [share.least for share in shares if share.is_ritz]
    rounding = 10 * size * (2.0**-23 if spectrum.dtype == "float32" else 2.0**-52)
    return Trust(
        near=near,
        top=_top(spectrum),
        traces=tuple(sorted((_trace(it, spectrum) for it in spectrum.traces), key=_narrow)),
        shares=tuple(shares),
        least=min(ritz) + rounding if ritz else None,
    )


def share_of(values: Array) -> Share:
    """The mean of values, one a run, and its standard error."""
    if values.size < 2:
        return Share(float(values.mean()), None)
    return Share(float(values.mean()), float(values.std(ddof=1) / math.sqrt(values.size)))


def _top(spectrum: KeptSpectrum) -> TopTrust | None:
    known = [(answer, bounds_of(answer)) for answer in spectrum.values]
    if not known:
        return None

    def order(one: tuple[ValuesAnswer, Array | None]) -> tuple[bool, float, int]:
        answer, bounds = one
        sizes = np.maximum(np.abs(answer.values), np.finfo(np.float64).tiny)
        worst = math.inf if bounds is None else float(np.median(bounds / sizes))
        return answer.which != "magnitude", worst, -answer.values.size

    answer, bounds = min(known, key=order)
    truth = known_ranks(spectrum, answer.which)
    values = tuple(
        BoundedValue(
            rank=place + 1,
            value=float(value),
            bound=None if bounds is None else float(bounds[place]),
            truth=None if truth is None or place >= truth.size else float(truth[place]),
        )
        for place, value in enumerate(answer.values)
    )
    return TopTrust(answer.spent.method, answer.which, answer.spent.matvecs, values)


def _trace(answer: TraceAnswer, spectrum: KeptSpectrum) -> TraceTrust:
    spent = answer.spent
    runs = answer.values.size
    # A trace that came with a density says nothing of its probes: they are the starts of the density.
    beside = [it.spent.diagnostics for it in spectrum.densities if it.spent.method == spent.method]
    said = [it.get(name) for it in (spent.diagnostics, *beside) for name in ("probes", "starts")]
    probes = next(filter(None, map(whole_number, said)), 0)
    claimed = [it for it in spent.stderrs if it is not None]
    half: float | None = None
    freedom = 0
    if claimed and len(claimed) == runs:
        freedom = runs * max(probes - 1, 1)
        half = _quantile(freedom) * float(np.linalg.norm(claimed)) / runs
    elif runs > 1:
        freedom = runs - 1
        half = _quantile(freedom) * float(answer.values.std(ddof=1)) / math.sqrt(runs)
    known = [it.arrays["trace"] for it in spectrum.references.values() if "trace" in it.arrays]
    truth = float(known[0][0]) if known else None
    return TraceTrust(spent.method, spent.matvecs, float(answer.values.mean()), half, probes * runs, freedom, truth)


def _quantile(freedom: int) -> float:
    return float(stats.t.ppf(0.5 + LEVEL / 2, freedom))


def _narrow(one: TraceTrust) -> tuple[bool, float]:
    return one.half_width is None, one.half_width or 0.0


def _shares(answer: DensityAnswer, near: float) -> SignShares:
    parts = np.asarray([[it.below(-near), it.within(-near, near), it.above(near)] for it in answer.measures])
    negative, zero, positive = (share_of(parts[:, place]) for place in range(3))
    starts = whole_number(answer.spent.diagnostics.get("starts"))
    is_ritz = answer.spent.spec.partition("[")[0] in _RITZ
    # The nodes of one start are its Gauss quadrature, those of several are not.
    one_start = starts == 1 if "starts" in answer.spent.diagnostics else is_ritz
    ends = np.asarray([it.bracket_below(-near) for it in answer.measures])
    seen = answer.mean.seen
    return SignShares(
        method=answer.spent.method,
        matvecs=answer.spent.matvecs,
        runs=len(answer.measures),
        starts=starts,
        negative=negative,
        zero=zero,
        positive=positive,
        least=float(seen.min()),
        most=float(seen.max()),
        is_ritz=is_ritz,
        bracket=(share_of(ends[:, 0]), share_of(ends[:, 1])) if is_ritz and one_start else None,
    )


_RITZ: Final = frozenset({"slq", "lanczos", "thick-restart-lanczos", "block-krylov"})
"""Methods whose nodes are Ritz values: no Ritz value is below the least eigenvalue."""


def _true_shares(truth: Measure, near: float) -> SignShares:
    parts = truth.below(-near), truth.within(-near, near), truth.above(near)
    negative, zero, positive = (Share(part, None) for part in parts)
    return SignShares(
        "the reference", 0, 0, 0, negative, zero, positive, float(truth.nodes.min()), float(truth.nodes.max())
    )


def _size(spectrum: KeptSpectrum) -> float:
    """The largest magnitude: of the reference, or of what was found."""
    norms = [it.norm for it in spectrum.references.values() if it.norm > 0]
    if norms:
        return max(norms)
    found = [answer.values for answer in spectrum.values] + [answer.mean.seen for answer in spectrum.densities]
    return max((float(np.abs(nodes).max()) for nodes in found), default=0.0)

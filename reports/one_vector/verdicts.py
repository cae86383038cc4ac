"""What the document claims of a single probe, and the rules that judge it, fixed before the run."""

from __future__ import annotations

from typing import Final

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, PublishedClaim
from hessbench.reports.claims.rules import Exponent, Size, deviation, fitted_exponent, typical, usually
from hessbench.reports.one_vector.results import KS, MOMENTS, WASSERSTEIN, LadderRung, OneVectorResults, SpectrumLadder

FALLS: Final = -0.3
"""Exponent of n down from which an error is said to fall; the law of a quadratic form gives -1/2 at best."""

MINIMAL: Final = 1.1
"""Factor between the errors of one probe and of several up to which the difference is minimal."""

_ROUNDING: Final = 1e-10
"""Errors up to this are rounding, and have no exponent."""

SUBJECTS: Final[tuple[tuple[str, str, Size], ...]] = (
    ("Wasserstein-1, scatter between starts", WASSERSTEIN, deviation),
    ("Wasserstein-1, the error itself", WASSERSTEIN, typical),
    ("Kolmogorov-Smirnov, the error itself", KS, typical),
    *((f"moment {place}, scatter between starts", name, deviation) for place, name in enumerate(MOMENTS, 1)),
)
"""What the exponent is fitted to: a name, an error, and whether its median or its standard deviation over starts."""


def exponent_of(ladder: SpectrumLadder, measure: str, size: Size, *, alone: bool = False) -> Exponent | None:
    """How an error falls with the dimension; None where there is no line, as where it is rounding.

    Args:
        ladder: A family of matrices.
        measure: Name of the error.
        size: Its median or its deviation over starts. The deviation of a distance is that within draws: what the steps
            miss of one draw and not of another is no scatter between starts.
        alone: Whether that of the probe without truncation is meant.
    """
    samples = [(rung.alone if alone else rung.single)[measure] for rung in ladder.rungs]
    if size is deviation and measure not in MOMENTS and not alone:
        samples = [_within_draws(ladder, rung, measure) for rung in ladder.rungs]
    if len(samples) < 2 or any(each.size < 2 or not float(size(each)) > _ROUNDING for each in samples):
        return None
    return fitted_exponent(_dimensions(ladder), samples, size)


def _within_draws(ladder: SpectrumLadder, rung: LadderRung, measure: str) -> Array:
    """Errors less the mean of their draw, scaled so that their mean square is that of an error in its draw."""
    errors = rung.single[measure]
    draws = rung.pooled[measure].size if "{draw}" in ladder.spec else 1
    groups = errors.reshape(draws, -1)
    number = groups.shape[1]
    if draws == 1 or number < 2:
        return errors
    return ((groups - groups.mean(axis=1, keepdims=True)) * np.sqrt(number / (number - 1))).ravel()


def predicted_exponent(ladder: SpectrumLadder, moment: str) -> float | None:
    """Exponent of the standard deviation that the eigenvalues give a moment; None where there is no line."""
    sizes = np.asarray([rung.predicted[moment] for rung in ladder.rungs])
    if sizes.size < 2 or not bool((sizes > _ROUNDING).all()):
        return None
    return fitted_exponent(_dimensions(ladder), [np.full(1, size) for size in sizes], typical, draws=1).value


def _dimensions(ladder: SpectrumLadder) -> Array:
    return np.asarray([float(rung.n) for rung in ladder.rungs])


def _falls_with_dimension(results: OneVectorResults) -> tuple[ClaimVerdict, ...]:
    return tuple(_on_all_ladders(results, *subject) for subject in SUBJECTS)


def _on_all_ladders(results: OneVectorResults, subject: str, measure: str, size: Size) -> ClaimVerdict:
    found = {ladder.name: exponent_of(ladder, measure, size) for ladder in results.ladders}
    fitted = {name: it for name, it in found.items() if it is not None}
    if not fitted:
        return ClaimVerdict(ClaimOutcome.UNDECIDED, "no line could be fitted", subject)
    falls = [name for name, it in fitted.items() if it.value <= FALLS and it.high < 0]
    stays = [name for name, it in fitted.items() if it.high >= 0]
    outcome = (
        ClaimOutcome.REFUTED if stays
        else ClaimOutcome.BORNE_OUT if len(falls) == len(fitted)
        else ClaimOutcome.UNDECIDED
    )  # fmt: skip
    detail = f"falls on {len(falls)} of {len(fitted)} families"
    rest = [f"{name} ({_written(it)})" for name, it in fitted.items() if name not in falls]
    if falls:
        values = [fitted[name].value for name in falls]
        detail += f", with exponents {min(values):.2f} to {max(values):.2f}"
    if rest:
        detail += f"; elsewhere: {', '.join(rest)}"
    return ClaimVerdict(outcome, detail, subject)


def _written(exponent: Exponent) -> str:
    return f"{exponent.value:.2f}, {exponent.low:.2f} to {exponent.high:.2f}"


def gain(ladder: SpectrumLadder, measure: str) -> float:
    """Median size of one probe's error over that of several, at the largest dimension; NaN for rounding."""
    rung = ladder.rungs[-1]
    pooled = float(np.median(np.abs(rung.pooled[measure])))
    return float(np.median(np.abs(rung.single[measure]))) / pooled if pooled > _ROUNDING else float("nan")


def _minimal_difference(measure: str, subject: str, results: OneVectorResults) -> ClaimVerdict:
    gains = {ladder.name: gain(ladder, measure) for ladder in results.ladders}
    known = {name: it for name, it in gains.items() if np.isfinite(it)}
    agreeing = sum(it <= MINIMAL for it in known.values())
    own = {ladder.name: float(np.median(np.abs(ladder.rungs[-1].single[measure]))) for ladder in results.ladders}
    beyond = [f"{name} ({it:.2f}, {own[name]:.1g})" for name, it in known.items() if it > MINIMAL]
    detail = f"at most {MINIMAL} in {agreeing} of {len(known)} families at their largest dimension"
    if beyond:
        detail += f"; above (factor, error of one probe): {', '.join(beyond)}"
    return ClaimVerdict(usually(agreeing, len(known)), detail, subject)


def _few_probes_do(results: OneVectorResults) -> tuple[ClaimVerdict, ...]:
    return (
        _minimal_difference(WASSERSTEIN, "Wasserstein-1", results),
        _minimal_difference(KS, "Kolmogorov-Smirnov", results),
        _minimal_difference(MOMENTS[0], "moment 1", results),
    )


_PLACE: Final = "section 4, last remark"
CLAIMS: Final[tuple[PublishedClaim[OneVectorResults], ...]] = (
    PublishedClaim(
        title="The error of one random vector falls as the dimension grows",
        sentence="in Appendix A we demonstrate that we expect the difference to reduce as we increase the problem "
        "dimension P",
        seed="002",
        place=_PLACE,
        measure="Exponent of n of the error of single-probe Lanczos quadrature, fitted over each family of matrices, "
        "with a 95 % interval by resampling starts.",
        rule=f"A family agrees where the exponent is at most {FALLS} and its interval lies below 0, and is a "
        "counter-example where the interval reaches 0. Borne out: all families agree. Refuted: one is a "
        "counter-example. Undecided otherwise.",
        judge=_falls_with_dimension,
    ),
    PublishedClaim(
        title="More random vectors make no difference",
        sentence="This informs our choice of only using a single random vector in our package, we compare results for "
        "different random vectors in Appendix A and find minimal differences.",
        seed="002",
        place=_PLACE,
        measure="Median error of one probe over that of the mean of five, at the largest dimension of each family.",
        rule=f"A family agrees where the factor is at most {MINIMAL}. Borne out: 9 of 10 families agree. Refuted: at "
        "most 1 of 10 does. Undecided between.",
        judge=_few_probes_do,
    ),
)
"""What the document says of a single random vector."""

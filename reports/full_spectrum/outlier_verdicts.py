"""Rules for what the document says of outliers: how many, whose they are, and when they come."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.stats

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.rules import share_uncertainty
from hessbench.reports.full_spectrum.groups import (
    BY_SIZE,
    CLASSES,
    LARGE,
    MAIN,
    SHALLOW,
    SMOOTH,
    Decide,
    TrainedGroup,
    agreeing,
    numbers,
    of_groups,
    spread,
    usual,
    usual_verdict,
)

ALIKE: Final = 0.1
"""Relative difference up to which an eigenvalue stands at the same location."""

APART: Final = 0.25
SPANNED: Final = 0.9
"""Share of a vector in a span from which on it is attributed to it."""

_LEVEL: Final = 0.05
_PERMUTATIONS: Final = 20_000


def number_of_outliers(measured: Measured, decide: Decide = usual) -> tuple[ClaimVerdict, ...]:
    """Whether the largest gap stands at C - 1 or C; the rule of counts is `decide`."""
    verdicts: list[ClaimVerdict] = []
    for subject, groups in _subjects():
        found = of_groups(measured, "gap-place", groups)
        if found:
            good = agreeing(found, lambda place: place in (CLASSES - 1, CLASSES))
            places = ", ".join(f"{place:.0f}" for place in sorted(found.values()))
            detail = f"at C - 1 or C in {good} of {len(found)} networks; places {places}"
            verdicts.append(usual_verdict(good, len(found), detail, subject, decide))
    large = measured.by_unit("gap-place", problem=LARGE)
    if large:
        good = agreeing(large, lambda place: place in (CLASSES - 1, CLASSES))
        places = ", ".join(f"{place:.0f}" for place in sorted(large.values()))
        verdicts.append(
            usual_verdict(good, len(large), f"in {good} of {len(large)}; places {places}", f"{LARGE}, MNIST", decide)
        )
    return tuple(verdicts) or _none("no spectrum")


def residual_without_outliers(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether no gap of R is wide, and none as wide as that of H."""
    ours, theirs = of_groups(measured, "gap-r", MAIN), of_groups(measured, "gap-h", MAIN)
    good = sum(ours[unit] <= 1.25 and ours[unit] < theirs[unit] for unit in ours)
    detail = (
        f"in {good} of {len(ours)} networks; largest ratio of R {spread(numbers(ours))}; of H {spread(numbers(theirs))}"
    )
    return (usual_verdict(good, len(ours), detail),)


def same_locations(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether the first C - 1 eigenvalues of H are those of G."""
    found = of_groups(measured, "outlier-shift", MAIN)
    outcome = _between(found, ALIKE, APART)
    near = agreeing(found, lambda it: it <= ALIKE)
    detail = f"within {100 * ALIKE:g} % in {near} of {len(found)} networks; largest difference {spread(numbers(found))}"
    shares = of_groups(measured, "rayleigh-share", MAIN)
    away = {unit: abs(1 - share) for unit, share in shares.items()}
    far = f"u^T G u / u^T H u, least of each network: {spread(numbers(shares))}"
    return (
        ClaimVerdict(outcome, detail, "places of eigenvalues", uncertainty=share_uncertainty(near, len(found))),
        ClaimVerdict(
            _between(away, ALIKE, APART),
            far,
            "Rayleigh share",
            uncertainty=share_uncertainty(agreeing(away, lambda it: it <= ALIKE), len(away)),
        ),
    )


def weyl(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Weyl's bound, which must hold, and how often Cauchy's interlacing does."""
    found = numbers(of_groups(measured, "weyl", (*MAIN, *SHALLOW, *SMOOTH)))
    crossed = numbers(of_groups(measured, "interlacing", MAIN))
    if not found.size:
        return _none("no spectrum")
    bad = int((found > 1 + 1e-9).sum())
    detail = (
        f"max |lambda_i(H) - lambda_i(G)| / |R|: {spread(found)}, above 1 in {bad} of {found.size}; share of the first "
        f"3 C places that interlace as Cauchy's theorem would have it: {spread(crossed)}"
    )
    # More than 1 would be a fault of this program, not of the theorem.
    return (ClaimVerdict(ClaimOutcome.THEOREM if not bad else ClaimOutcome.UNDECIDED, detail),)


def more_with_samples(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether more gaps pass those of bulks where more samples were trained on."""
    sizes, counts = _by_size(measured, "gaps-of-g")
    if np.unique(sizes).size < 2:
        return _none("fewer than two sample sizes")
    rho = _spearman(sizes, counts)
    drawn = _permuted(sizes, counts)
    p = (1 + int((drawn >= rho - 1e-12).sum())) / (1 + _PERMUTATIONS)
    low = (1 + int((drawn <= rho + 1e-12).sum())) / (1 + _PERMUTATIONS)
    means = ", ".join(f"{size:.0f}: {counts[sizes == size].mean():.1f}" for size in np.unique(sizes))
    detail = f"rho {rho:.2f} over {sizes.size} networks; mean count by images a class {means}"
    outcome = ClaimOutcome.BORNE_OUT if rho > 0 and p < _LEVEL else ClaimOutcome.UNDECIDED
    if rho < 0 and low < _LEVEL:
        outcome = ClaimOutcome.REFUTED
    return (ClaimVerdict(outcome, detail, "G, train", uncertainty=f"p = {p:.2g} by permutation"),)


def spanned_by_class_means(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether the outlier vectors lie in the span of the class means, and of the cross-class means."""
    verdicts: list[ClaimVerdict] = []
    for measure, subject in (("span-class", "C class means"), ("span-cross", "C^2 cross-class means")):
        found = of_groups(measured, measure, MAIN)
        good = agreeing(found, lambda it: it >= SPANNED)
        detail = (
            f"in {good} of {len(found)} networks; least share of each network's C - 1 vectors {spread(numbers(found))}"
        )
        large = measured.by_unit(measure, problem=LARGE)
        if large:
            detail += f"; {LARGE}: {spread(numbers(large))}"
        verdicts.append(usual_verdict(good, len(found), detail, subject))
    return tuple(verdicts)


def by_data_or_architecture(measured: Measured) -> tuple[ClaimVerdict, ...]:
    """Whether the outliers vary with the data and the bulk with the architecture."""
    cells = [(group, _profile(measured, group)) for group in (*MAIN, *SHALLOW)]
    if any(profile is None for _, profile in cells):
        return _none("not all four cells were run")
    verdicts: list[ClaimVerdict] = []
    for subject, part, factor in (("outliers by data", 0, "data"), ("bulk by architecture", 1, "architecture")):
        blocks = [profile[part] for _, profile in cells if profile is not None]
        value = _share(blocks, factor)
        rng = np.random.default_rng(0)
        drawn = [
            _share([block[rng.integers(0, block.shape[0], block.shape[0])] for block in blocks], factor)
            for _ in range(2000)
        ]
        low, high = np.quantile(drawn, [0.025, 0.975])
        outcome = (
            ClaimOutcome.BORNE_OUT if low > 0.5 else ClaimOutcome.REFUTED if high < 0.5 else ClaimOutcome.UNDECIDED
        )
        detail = f"the {factor} has {100 * value:.0f} % of what the two factors explain"
        verdicts.append(
            ClaimVerdict(outcome, detail, subject, uncertainty=f"95 %: {100 * low:.0f} to {100 * high:.0f} %")
        )
    return tuple(verdicts)


def _profile(measured: Measured, group: TrainedGroup) -> tuple[Array, Array] | None:
    """Logs of the first C eigenvalues, and of quantiles of the others' magnitudes, a row for each network."""
    outliers = [measured.by_unit(f"log-outlier-{k}", problem=group.name) for k in range(1, CLASSES + 1)]
    bulk = [measured.by_unit(f"log-bulk-{q}", problem=group.name) for q in (50, 75, 90, 99)]
    if not outliers[0] or len(outliers[0]) < 2:
        return None
    return np.stack([numbers(it) for it in outliers], axis=1), np.stack([numbers(it) for it in bulk], axis=1)


def _share(blocks: list[Array], factor: str) -> float:
    """Mean over columns of the factor's share of the sum of squares of both; cells in the order of MAIN and SHALLOW."""
    means = np.stack([block.mean(axis=0) for block in blocks]).reshape(2, 2, -1)  # architecture, data, column
    data = (means.mean(axis=0)[0] - means.mean(axis=0)[1]) ** 2
    architecture = (means.mean(axis=1)[0] - means.mean(axis=1)[1]) ** 2
    wanted = data if factor == "data" else architecture
    return float((wanted / (data + architecture)).mean())


def _by_size(measured: Measured, measure: str) -> tuple[Array, Array]:
    sizes: list[float] = []
    counts: list[float] = []
    for group in BY_SIZE:
        found = measured.by_unit(measure, problem=group.name)
        sizes += [float(group.per_class)] * len(found)
        counts += list(found.values())
    return np.asarray(sizes), np.asarray(counts)


def _spearman(x: Array, y: Array) -> float:
    a, b = scipy.stats.rankdata(x), scipy.stats.rankdata(y)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _permuted(x: Array, y: Array) -> Array:
    """Spearman's rho of x with permutations of y."""
    a, b = scipy.stats.rankdata(x), scipy.stats.rankdata(y)
    if a.std() == 0 or b.std() == 0:
        return np.zeros(_PERMUTATIONS)
    rows = np.random.default_rng(0).permuted(np.tile(b - b.mean(), (_PERMUTATIONS, 1)), axis=1)
    return np.asarray(rows @ (a - a.mean()) / (a.size * a.std() * b.std()))


def _between(found: dict[str, float], small: float, large: float) -> ClaimOutcome:
    """Borne out where usually small, refuted where usually large."""
    outcome = usual(agreeing(found, lambda it: it <= small), len(found))
    if outcome is ClaimOutcome.BORNE_OUT or not found:
        return outcome
    far = usual(agreeing(found, lambda it: it >= large), len(found))
    return ClaimOutcome.REFUTED if far is ClaimOutcome.BORNE_OUT else ClaimOutcome.UNDECIDED


def _subjects() -> tuple[tuple[str, tuple[TrainedGroup, ...]], ...]:
    return (("24-24, MNIST and Fashion", MAIN), ("34, MNIST and Fashion", SHALLOW), ("24-24 tanh, MNIST", SMOOTH))


def _none(reason: str) -> tuple[ClaimVerdict, ...]:
    return (ClaimVerdict(ClaimOutcome.UNDECIDED, reason),)

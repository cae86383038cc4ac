"""The promises tried on cases of no registry: families of trials that take turns until the time is up."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from scipy.stats import binom

import hessbench
from hessbench.estimand import TopEigenvalues
from hessbench.laws.flag_trials import flag_trial
from hessbench.methods import ESTIMATORS
from hessbench.problem import Problem
from hessbench.problems.held_out.certified_trials import certified_trial
from hessbench.problems.held_out.interval_trials import interval_trial
from hessbench.problems.held_out.model_trials import held_out_trial
from hessbench.problems.held_out.spectra import held_out_spectrum
from hessbench.problems.references.trace_interval import LEVEL

SIGNIFICANCE: Final = 1e-3
"""Chance that a promise of a share of misses is called broken where it is kept."""


@dataclass(frozen=True)
class Finding:
    """What one turn of a family found, or several together.

    Attributes:
        family: Name of the family.
        tried: Cases.
        refused: Those of them that were refused with a sentence, or not answered.
        broken: Those that broke what was promised of them.
        details: For each broken one, or run with broken ones, its name, from which it can be made again, and what is
            wrong.
    """

    family: str
    tried: int = 0
    refused: int = 0
    broken: int = 0
    details: tuple[str, ...] = ()

    def __add__(self, other: Finding) -> Finding:
        return Finding(
            self.family, self.tried + other.tried, self.refused + other.refused, self.broken + other.broken,
            self.details + other.details,
        )  # fmt: skip


@dataclass(frozen=True)
class Family:
    """Trials of one kind of promise.

    Attributes:
        name: What is tried, in words.
        turn: One turn from a seed; consecutive seeds meet different kinds of cases.
        misses: Share of the cases that may be broken, by the promise itself; 0 where none may.
    """

    name: str
    turn: Callable[[int], Finding]
    misses: float = 0.0

    def allowed(self, finding: Finding) -> int:
        """Most broken cases that the promise allows, among those that were answered."""
        answered = finding.tried - finding.refused
        return int(binom.isf(SIGNIFICANCE, answered, self.misses)) if self.misses and answered else 0


def model_turn(seed: int) -> Finding:
    """Products and references of one network by `from_model`, against dense matrices by torch alone."""
    trial = held_out_trial(seed)
    wrong = trial.outcome == "wrong"
    details = (f"{trial.name}: {trial.detail}",) if wrong else ()
    return Finding(MODELS, 1, trial.outcome == "refused", wrong, details)


def certified_turn(seed: int) -> Finding:
    """One certified reference, of a spectrum made to defeat it."""
    trial = certified_trial(held_out_spectrum(seed, high=1500))
    broken = trial.outcome == "broken"
    detail = f"{trial.name}: error {trial.error:.3g}, bound {trial.bound:.3g}: {trial.detail}"
    return Finding(CERTIFIED, 1, trial.outcome == "refused", broken, (detail,) if broken else ())


def flag_turn(seed: int) -> Finding:
    """Every flag `converged` of one run of a built-in method; methods and kinds of spectra meet in all ways."""
    spectrum, (method, spec) = held_out_spectrum(seed, **FLAG_SIZES), SAYING[seed % len(SAYING)]
    bound, n = method.bind(spec, spectrum.estimand), spectrum.eigenvalues.size
    problem = Problem("held-out", n, lambda _, dtype: spectrum.build(dtype))
    if bound.skip_reason(problem) or bound.min_matvecs(n) > FLAG_BUDGET * n:
        return Finding(FLAGS)
    trial = flag_trial(
        bound, spectrum.build(), spectrum.truth, norm=spectrum.norm, num_matvecs=FLAG_BUDGET * n, seed=seed,
        tolerance=RELATIVE.get(method.name),
    )  # fmt: skip
    more = f", and {trial.wrong - 1} more of this run" if trial.wrong > 1 else ""
    first = tuple(f"{spectrum.name}: {line}{more}" for line in trial.details[:1])
    return Finding(FLAGS, trial.given, 0, trial.wrong, first)


def interval_turn(seed: int) -> Finding:
    """One statistical interval of a trace, which misses by its nominal share."""
    trial = interval_trial(held_out_spectrum(seed, high=500), seed)
    return Finding(INTERVALS, 1, 0, not trial.covers, () if trial.covers else (trial.name,))


FLAG_BUDGET: Final = 3
"""Products, in dimensions."""
FLAG_SIZES: Final[dict[str, int]] = {"low": 24, "high": 100, "max_k": 12}
RELATIVE: Final = {"power-iteration": 2 * 1e-3**0.5, "sketch-and-refine": 2.0**-26}
"""Errors allowed, in units of the norm, where a method stops by a tolerance of its own: sqrt(eps) for the second."""
SAYING: Final = tuple(
    (method, spec)
    for method in ESTIMATORS
    if TopEigenvalues in method.estimands and method.is_anytime
    for spec in method.presets or (method.name,)
)
"""Built-in methods that may say that eigenvalues have converged, with the settings of their presets."""

MODELS: Final = "products and references of networks"
CERTIFIED: Final = "certified references"
FLAGS: Final = "flags of convergence"
INTERVALS: Final = "intervals of traces"

FAMILIES: Final = (
    Family(MODELS, model_turn),
    Family(CERTIFIED, certified_turn),
    Family(FLAGS, flag_turn),
    Family(INTERVALS, interval_turn, misses=1 - LEVEL),
)
"""What is tried."""


def default_seed() -> int:
    """A seed that changes with the version, so that every release is tried on cases of its own."""
    return int.from_bytes(hashlib.sha256(hessbench.__version__.encode()).digest()[:4], "big")


def self_check(seed: int, seconds: float) -> Iterator[Finding]:
    """Try every family in turn until the time is up.

    Next is the family that has taken least time so far. The same seed gives the same cases in each family, however
    many of them the time allows.

    Args:
        seed: Of the first case of each family; the others follow it.
        seconds: Time, at least one turn of each family.
    """
    start = time.monotonic()
    spent = [0.0] * len(FAMILIES)
    turns = [0] * len(FAMILIES)
    while 0 in turns or time.monotonic() - start < seconds:
        place = min(range(len(FAMILIES)), key=lambda i: (turns[i] > 0, spent[i]))
        before = time.monotonic()
        yield FAMILIES[place].turn(seed + turns[place])
        spent[place] += time.monotonic() - before
        turns[place] += 1


def summed(findings: Iterable[Finding]) -> dict[Family, Finding]:
    """Findings of each family together."""
    totals = {family.name: Finding(family.name) for family in FAMILIES}
    for finding in findings:
        totals[finding.family] += finding
    return {family: totals[family.name] for family in FAMILIES}

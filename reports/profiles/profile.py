"""Performance profiles, the share of targets reached within a cost, and what changes when a method is left out.

A performance profile is the distribution of a ratio: of what a method needs on an instance to what the best method
needs there. Whoever fails has an infinite ratio: its curve is censored and never comes to 1. The ratio depends on who
else is compared, and so may the order of two methods; hence every method is left out in turn.

Sources: E. D. Dolan and J. J. More, Benchmarking optimization software with performance profiles, Math. Program. 91
(2002), doi:10.1007/s101070100263. N. Gould and J. Scott, A note on performance profiles for benchmarking software, ACM
Trans. Math. Softw. 43 (2016), doi:10.1145/2950048. N. Hansen et al., COCO: a platform for comparing continuous
optimizers in a black-box setting, Optim. Methods Softw. 36 (2021), doi:10.1080/10556788.2020.1808977.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from hessbench.ledger.answering import Ranking
from hessbench.reports.costs.ranked import RANKED
from hessbench.reports.profiles.crossing import Costs, Crossing

TAUS: Final = (1.0, 2.0, 4.0, 10.0)
"""Ratios at which a profile is tabulated; at 1 it is the share of instances on which a method is best."""
ORDER_AT: Final = 2.0
"""Ratio at which the order of two methods is compared with and without a third."""
_ROUNDING: Final = 1e-9


def ratios(costs: Costs) -> Costs:
    """Ratio of each cost to the least on its instance (Dolan and More 2002, doi:10.1007/s101070100263).

    Args:
        costs: (methods, instances), infinite where a method failed.

    Returns:
        The same shape: 1 for the best and for whoever is level with it, infinite for a failure. Where the best costs
        nothing, whatever costs something has an infinite ratio.
    """
    if not costs.size:
        return costs
    best = costs.min(axis=0)
    found = np.full(costs.shape, np.inf)
    np.divide(costs, best, out=found, where=np.isfinite(costs) & (best > 0))
    found[(costs == best) & np.isfinite(costs)] = 1.0
    return found


def share_within(values: Costs, limit: float) -> Costs:
    """Share (methods,) of values (methods, instances) that are finite and at most a limit: the profile at a ratio."""
    return (np.isfinite(values) & (values <= limit * (1 + _ROUNDING))).mean(axis=1)


def steps(values: Costs) -> list[tuple[float, float]]:
    """The distribution of values (instances,) as steps: each finite value, and the share of all that are at most it."""
    finite, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    shares = np.cumsum(counts) / max(values.size, 1)
    return [(float(value), float(share)) for value, share in zip(finite, shares, strict=True)]


def pooled(crossing: Crossing, by: Ranking) -> Costs:
    """Costs (methods, targets x instances) of every target on every instance, for their empirical distribution.

    This is COCO's: the share of pairs of target and instance that are reached within a cost (Hansen et al. 2021,
    doi:10.1080/10556788.2020.1808977), without its simulated restarts, and with the cost itself in place of evaluations
    over dimension.
    """
    return np.concatenate([crossing.known(tolerance, by) for tolerance in crossing.tolerances], axis=1)


@dataclass(frozen=True)
class ProfileRow:
    """One method of a profile: its share of instances at some ratios, and that which reached the tolerance at all.

    Attributes:
        crossing: What was compared.
        by: The cost.
        tolerance: Largest error accepted.
        place: Of the method in the crossing.
        shares: At each ratio of `TAUS`.
        reached: Of all instances.
        instances: How many there are.
        unknown: Instances left out, because they could not be judged or a method's cost there is not known.
    """

    crossing: Crossing
    by: Ranking
    tolerance: float
    place: int
    shares: tuple[float, ...]
    reached: float
    instances: int
    unknown: int

    @property
    def method(self) -> str:
        """Name to show."""
        return self.crossing.methods[self.place]


def profile_rows(crossing: Crossing) -> tuple[ProfileRow, ...]:
    """The profiles as a table: by cost and tolerance, who is within the ratio 2 most often first."""
    found: list[ProfileRow] = []
    for by in RANKED:
        for tolerance in crossing.tolerances:
            costs = crossing.known(tolerance, by)
            if not costs.size:
                continue
            ratio = ratios(costs)
            shares = np.stack([share_within(ratio, tau) for tau in TAUS])
            reached = np.isfinite(costs).mean(axis=1)
            rows = [
                ProfileRow(
                    crossing, by, tolerance, place, tuple(map(float, shares[:, place])), float(reached[place]),
                    costs.shape[1], len(crossing.instances) - costs.shape[1],
                )
                for place in range(len(crossing.methods))
            ]  # fmt: skip
            found += sorted(rows, key=lambda row: (-row.shares[1], -row.reached, row.method))
    return tuple(found)


@dataclass(frozen=True)
class ReachedRow:
    """One method's share of all pairs of target and instance that it reached within its costs.

    Attributes:
        crossing: What was compared.
        by: The cost.
        place: Of the method in the crossing.
        reached: Share that it reached at all; the others are censored.
        quartiles: Costs within which a quarter, half and three quarters of all are reached; infinite where never.
        targets: Pairs of target and instance.
    """

    crossing: Crossing
    by: Ranking
    place: int
    reached: float
    quartiles: tuple[float, float, float]
    targets: int

    @property
    def method(self) -> str:
        """Name to show."""
        return self.crossing.methods[self.place]


def reached_rows(crossing: Crossing) -> tuple[ReachedRow, ...]:
    """The distribution of the cost of all targets as a table, by cost; who reached most first."""
    found: list[ReachedRow] = []
    for by in RANKED:
        costs = pooled(crossing, by)
        if not costs.size:
            continue
        ordered = np.sort(costs, axis=1)
        number = costs.shape[1]
        places = [max(0, int(np.ceil(share * number - _ROUNDING)) - 1) for share in (0.25, 0.5, 0.75)]
        rows = [
            ReachedRow(
                crossing, by, place, float(np.isfinite(of).mean()),
                (float(of[places[0]]), float(of[places[1]]), float(of[places[2]])), number,
            )
            for place, of in enumerate(ordered)
        ]  # fmt: skip
        found += sorted(rows, key=lambda row: (-row.reached, row.quartiles, row.method))
    return tuple(found)


@dataclass(frozen=True)
class WithoutMethod:
    """What becomes of the order of the others when one method is left out.

    Attributes:
        crossing: What was compared.
        by: The cost.
        tolerance: Largest error accepted.
        method: Who is left out.
        swaps: Pairs whose order at the ratio 2 turns around, each as the one that was ahead and the one that is then.
        levels: Pairs that were in an order and are level then, or the other way round.
        pairs: How many pairs there are.
    """

    crossing: Crossing
    by: Ranking
    tolerance: float
    method: str
    swaps: tuple[tuple[str, str], ...]
    levels: tuple[tuple[str, str], ...]
    pairs: int


def leave_one_out(crossing: Crossing) -> tuple[WithoutMethod, ...]:
    """Recompute every profile without each method, and say which orders change (Gould and Scott 2016).

    Two methods are in the order of their profiles at the ratio 2. Instances stay the same. With fewer than three
    methods there is no pair left to look at, and no row.
    """
    found: list[WithoutMethod] = []
    methods = crossing.methods
    for by in RANKED:
        for tolerance in crossing.tolerances:
            costs = crossing.known(tolerance, by)
            if not costs.size or len(methods) < 3:
                continue
            before = share_within(ratios(costs), ORDER_AT)
            for left, name in enumerate(methods):
                kept = [place for place in range(len(methods)) if place != left]
                after = dict(zip(kept, share_within(ratios(costs[kept]), ORDER_AT), strict=True))
                changed = [
                    (one, other, _sign(before[one], before[other]), _sign(after[one], after[other]))
                    for one, other in combinations(kept, 2)
                ]
                swaps = [(one, other) if was > 0 else (other, one) for one, other, was, now in changed if was * now < 0]
                levels = [(one, other) for one, other, was, now in changed if was != now and not was * now]
                found.append(
                    WithoutMethod(
                        crossing, by, tolerance, name, _named(methods, swaps), _named(methods, levels), len(changed)
                    )
                )
    return tuple(found)


def _sign(one: float, other: float) -> int:
    return int(one > other + _ROUNDING) - int(one < other - _ROUNDING)


def _named(methods: Sequence[str], pairs: Sequence[tuple[int, int]]) -> tuple[tuple[str, str], ...]:
    return tuple((methods[one], methods[other]) for one, other in pairs)

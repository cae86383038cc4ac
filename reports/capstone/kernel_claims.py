"""What the document claims of the tangent kernel, with the rules that judge it, fixed before the run."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from hessbench.reports.capstone.judging import NOTHING, judged, seen, spread
from hessbench.reports.capstone.measures import EIGENFUNCTIONS, GRANTED, RANDOMIZED, SAID, STEPS, step
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, PublishedClaim
from hessbench.reports.claims.measured import Measured

SAME: Final = 0.9
"""Overlap of the top eigenfunctions from which they look the same."""

LAZY: Final = 0.95
"""R^2 of the linearised network's predictions from which the training is lazy."""


def widths_of(results: Measured) -> tuple[int, ...]:
    """Hidden units for which laziness was measured, ascending."""
    names = {str(name) for name in cast("list[Any]", results.select("overlap")["problem"].tolist())}
    found = [re.fullmatch(r"width=(\d+)", name) for name in names]
    return tuple(sorted(int(it[1]) for it in found if it))


def _lazy(results: Measured) -> tuple[ClaimVerdict, ...]:
    verdicts: list[ClaimOutcome] = []
    told: list[str] = []
    within: list[str] = []
    for units in widths_of(results):
        name = f"width={units}"
        overlap, r2 = results.by_unit("overlap", problem=name), results.by_unit("prediction_r2", problem=name)
        agrees = [(overlap[net] >= SAME) == (r2[net] >= LAZY) for net in overlap]
        verdict = judged(agrees, [not it for it in agrees], f"overlap {seen(overlap)}, R^2 {seen(r2)}")
        verdicts.append(verdict.outcome)
        told.append(f"width {units}: {verdict.detail}")
        within.append(f"R^2 at width {units}: {spread(r2)}")
    if not verdicts:
        return (NOTHING,)
    outcome = ClaimOutcome.UNDECIDED
    if ClaimOutcome.REFUTED in verdicts:
        outcome = ClaimOutcome.REFUTED
    elif all(it is ClaimOutcome.BORNE_OUT for it in verdicts):
        outcome = ClaimOutcome.BORNE_OUT
    return (ClaimVerdict(outcome, "; ".join(told), uncertainty="; ".join(within)),)


def _features(results: Measured) -> tuple[ClaimVerdict, ...]:
    before = results.by_unit("class_share", problem=step(0))
    after = results.by_unit("class_share", problem=step(STEPS[-1]))
    change = {net: after[net] - before[net] for net in before if net in after}
    detail = f"share of u_1 to u_{EIGENFUNCTIONS} at step 0: {seen(before)}, at step {STEPS[-1]}: {seen(after)}"
    return (judged([it > 0 for it in change.values()], [it < 0 for it in change.values()], detail,
                   uncertainty=f"change: {spread(change)}"),)  # fmt: skip


def _products(results: Measured) -> tuple[ClaimVerdict, ...]:
    counted = set(results.values("products", method=RANDOMIZED).tolist())
    if not counted:
        return (NOTHING,)
    least, largest = min(counted), max(counted)
    exact = counted == {float(SAID[RANDOMIZED])}
    outcome = ClaimOutcome.BORNE_OUT if exact else ClaimOutcome.REFUTED
    number = f"{least:g}" if least == largest else f"{least:g} to {largest:g}"
    detail = f"{number} products counted, {SAID[RANDOMIZED]} said: sketch, power iteration and compression take 16 each"
    return (ClaimVerdict(outcome, detail, uncertainty="none: a count"),)


CLAIMS: Final[tuple[PublishedClaim[Measured], ...]] = (
    PublishedClaim(
        title="Where the first eigenfunctions stay, the training is lazy, and elsewhere it is not",
        sentence="if the top-6 eigenfunctions look the same at step 0 and step 500, the network is in the NTK regime. "
        "If they change a lot, it's not.",
        seed="000",
        place="section 6, the NTK / lazy regime",
        measure="Overlap (1/6) ||U(0)^T U(500)||_F^2 of the exact first six eigenfunctions on 200 test images; R^2 of "
        "the linearised network's outputs f_0 + J_0 (theta - theta_0) there; by width.",
        rule=f"A net agrees where overlap >= {SAME:g} and R^2 >= {LAZY:g} both hold or both fail. Borne out: 9 of 10 "
        "(5 of 5) nets agree at every width. Refuted: as many disagree at one width.",
        judge=_lazy,
    ),
    PublishedClaim(
        title="The first eigenfunctions become more feature-like",
        sentence='Visualize each eigenfunction as a 7×7 image. Are they becoming more "feature-like" through training?',  # noqa: RUF001
        seed="000",
        place="section 4",
        measure="Mean share of the exact u_1 to u_6 that lies in the span of the centred class indicators, on 200 test "
        "images.",
        rule="Borne out: it rises from step 0 to step 500 in 9 of 10 nets. Refuted: it falls in as many.",
        judge=_features,
    ),
    PublishedClaim(
        title="Randomised eigendecomposition of the kernel takes 16 + 1 x 16 products",
        sentence="eNTK top-6 via rSVD (16+1·16)",
        seed="000",
        place="section 5, exercise 5.1",
        measure="Products with the kernel that the counter charges.",
        rule=f"Borne out: {SAID[RANDOMIZED]}. Refuted: any other count; {GRANTED[RANDOMIZED]} is expected.",
        judge=_products,
    ),
)
"""Of the tangent kernel."""

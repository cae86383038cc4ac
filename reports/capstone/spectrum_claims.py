"""What the document claims of the Hessian's spectrum, with the rules that judge it, fixed before the run."""

from __future__ import annotations

from typing import Final

from hessbench.reports.capstone.judging import judged, seen, spread
from hessbench.reports.capstone.measures import CLASSES, LANCZOS, LATE, STEPS, TOP, step
from hessbench.reports.claims.claim import ClaimVerdict, PublishedClaim
from hessbench.reports.claims.measured import Measured

NORMAL: Final = (0.05, 0.15)
"""KS distance to the normal up to which a spectrum counts as Gaussian, and from which it does not."""

NEAR_ZERO: Final = (0.9, 0.5)
"""Share of eigenvalues within 1 % of the top from which there is a bulk near zero, and below which there is none."""

WITHIN: Final = 0.01
"""Largest relative error of a top eigenvalue that counts as found."""

CLOSE: Final = (0.1, 0.3)
"""Relative difference of Hessian and GGN up to which one stands for the other, and above which it does not."""

LOW_LOSS: Final = 0.1


def _gaussian(results: Measured) -> tuple[ClaimVerdict, ...]:
    found = results.by_unit("ks_to_normal", problem=step(0))
    later = results.values("ks_to_normal", problem=step(STEPS[-1])).tolist()
    detail = f"KS distance to the normal at step 0: {seen(found)}"
    if later:
        detail += f"; at step {STEPS[-1]}: {seen(later)}"
    agrees, disagrees = [it <= NORMAL[0] for it in found.values()], [it >= NORMAL[1] for it in found.values()]
    return (judged(agrees, disagrees, detail, uncertainty=spread(found)),)


def _bulk(results: Measured) -> tuple[ClaimVerdict, ...]:
    last = step(STEPS[-1])
    share, place = results.by_unit("near_zero_share", problem=last), results.by_unit("gap_place", problem=last)
    before = results.values("near_zero_share", problem=step(0)).tolist()
    detail = (
        f"share within 1 % of the top at step {STEPS[-1]}: {seen(share)} (step 0: {seen(before)}); "
        f"largest gap after place {seen(place)}"
    )
    agrees = [share[net] >= NEAR_ZERO[0] and place[net] <= 2 * CLASSES for net in share]
    return (judged(agrees, [it < NEAR_ZERO[1] for it in share.values()], detail, uncertainty=spread(share)),)


def _enough_steps(results: Measured) -> tuple[ClaimVerdict, ...]:
    errors = {number: results.by_unit("top_error", problem=step(number), method=LANCZOS) for number in STEPS}
    nets = errors[STEPS[0]]
    worst = {net: max(errors[number].get(net, float("inf")) for number in STEPS) for net in nets}
    each = "; ".join(f"step {number}: {seen(found)}" for number, found in errors.items())
    agrees = [it <= WITHIN for it in worst.values()]
    return (judged(agrees, [not it for it in agrees], f"largest relative error of the top {TOP}: {each}",
                   uncertainty=spread(worst)),)  # fmt: skip


def _fisher(results: Measured) -> tuple[ClaimVerdict, ...]:
    numbers = (*STEPS, LATE)
    differ = {number: results.by_unit("relative_difference", problem=step(number)) for number in numbers}
    loss = {number: results.by_unit("loss", problem=step(number)) for number in numbers}
    told = [f"step {n}: {seen(differ[n])} at loss {seen(loss[n])}" for n in numbers if differ[n]]
    agrees: list[bool] = []
    disagrees: list[bool] = []
    for net in differ[LATE]:
        low = [differ[n][net] for n in numbers if net in differ[n] and loss[n][net] <= LOW_LOSS]
        falls = differ[LATE][net] < differ[0][net]
        agrees.append(falls and bool(low) and max(low) <= CLOSE[0])
        disagrees.append(bool(low) and max(low) > CLOSE[1])
    detail = "norm of H - GGN over that of H: " + "; ".join(told)
    return (judged(agrees, disagrees, detail, uncertainty=spread(differ[LATE])),)


_BY_NETS: Final = "A net agrees or disagrees; 9 of 10 (5 of 5) that agree bear the claim out, as many that disagree "
_EVOLVE: Final = (
    'Watch the spectrum evolve from "diffuse Gaussian-like" at init to "bulk near zero plus a few outliers" after '
    "training."
)
CLAIMS: Final[tuple[PublishedClaim[Measured], ...]] = (
    PublishedClaim(
        title="The Hessian's spectrum is Gaussian-like at initialisation",
        sentence=_EVOLVE,
        seed="000",
        place="section 3, plot 2",
        measure="Kolmogorov-Smirnov distance of the exact spectrum at step 0 to the normal of its mean and standard "
        "deviation.",
        rule=f"{_BY_NETS}refute it. Agrees: at most {NORMAL[0]:g}. Disagrees: at least {NORMAL[1]:g}.",
        judge=_gaussian,
    ),
    PublishedClaim(
        title="After training it is a bulk near zero and a few outliers",
        sentence=_EVOLVE,
        seed="000",
        place="section 3, plot 2",
        measure="On the exact spectrum at step 500: the share of eigenvalues within 1 % of the largest magnitude, and "
        "the place k of the largest ratio lambda_k / lambda_(k+1) for 2 <= k <= 3 C.",
        rule=f"{_BY_NETS}refute it. Agrees: a share of at least {NEAR_ZERO[0]:g} and a place of at most 2 C = "
        f"{2 * CLASSES}. Disagrees: a share below {NEAR_ZERO[1]:g}.",
        judge=_bulk,
    ),
    PublishedClaim(
        title="40 steps of Lanczos give the top 10",
        sentence="For each checkpoint, run Lanczos with selective reorth for 40 steps and extract the top-10 Ritz "
        "values.",
        seed="000",
        place="section 2",
        measure="Largest relative error of the ten largest magnitudes, against the exact spectrum, at every step.",
        rule=f"{_BY_NETS}refute it. Agrees: at most {100 * WITHIN:g} % at each of the steps. Disagrees: otherwise.",
        judge=_enough_steps,
    ),
    PublishedClaim(
        title="The Fisher matrix approximates the Hessian at low loss",
        sentence="block-diagonal approximations of the Fisher (which approximates the Hessian for cross-entropy at low "
        "loss) work in practice",
        seed="000",
        place="section 6, K-FAC and friends",
        measure="Spectral norm of H - GGN over that of H, exact, at every step, and at a later one where the loss is "
        "low. Of cross-entropy the GGN is the Fisher matrix.",
        rule=f"{_BY_NETS}refute it. Agrees: smaller at the last step than at the first, and at most {CLOSE[0]:g} "
        f"wherever the loss is at most {LOW_LOSS:g}. Disagrees: above {CLOSE[1]:g} somewhere there.",
        judge=_fisher,
    ),
)
"""Of the Hessian's spectrum, and of what stands for it."""

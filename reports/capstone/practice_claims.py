"""What the document claims of K-FAC, influence functions and the budget, with the rules, fixed before the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hessbench.reports.capstone.judging import NOTHING, judged, seen, spread
from hessbench.reports.capstone.measures import (
    APPROXIMATIONS,
    BLOCKS,
    DAMPING,
    IN_WORDS,
    LATE,
    METHODS,
    STEPS,
    TEN_MILLION,
    step,
)
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, PublishedClaim
from hessbench.reports.claims.measured import Measured

DIRECTION: Final = (0.9, 0.5)
"""Cosine of the damped steps from which an approximation works, and up to which it does not."""

RANKING: Final = (0.7, 0.3)
"""Spearman's correlation with retraining from which influence functions tell the truth, and up to which they do not."""

_MISSING: Final = "the library that makes it was not installed: pip install 'hessbench[peers]', and run the study again"


def _kronecker(results: Measured) -> tuple[ClaimVerdict, ...]:
    verdicts: list[ClaimVerdict] = []
    for name in APPROXIMATIONS:
        cosine = {n: results.by_unit("step_cosine", problem=step(n), method=name) for n in (*STEPS, LATE)}
        if not any(cosine.values()):
            missing = ClaimVerdict(ClaimOutcome.NOT_TESTABLE, _MISSING, name)
            verdicts.append(replace(NOTHING, subject=name) if name == BLOCKS else missing)
            continue
        nets = [net for net in cosine[STEPS[-1]] if all(net in found for found in cosine.values())]
        worst = {net: min(found[net] for found in cosine.values()) for net in nets}
        agrees, disagrees = [it >= DIRECTION[0] for it in worst.values()], [it <= DIRECTION[1] for it in worst.values()]
        told = "; ".join(f"step {n}: {seen(found)}" for n, found in cosine.items())
        whole = results.values("distance_to_fisher", problem=step(STEPS[-1]), method=name).tolist()
        blocks = results.values("distance_to_blocks", problem=step(STEPS[-1]), method=name).tolist()
        detail = f"cosine with the exact damped step, {told}; relative Frobenius distance at step {STEPS[-1]} to the "
        detail += f"Fisher matrix {seen(whole)}"
        detail += "" if name == BLOCKS else f", to its block diagonal {seen(blocks)}"
        verdicts.append(judged(agrees, disagrees, detail, subject=name, uncertainty=f"least cosine: {spread(worst)}"))
    return tuple(verdicts)


def _influence(results: Measured) -> tuple[ClaimVerdict, ...]:
    rho = results.by_unit("influence_rho")
    if not rho:
        return (NOTHING,)
    products = results.values("solve_products").tolist()
    removed = results.values("left_out").tolist()
    detail = (
        f"Spearman's correlation with {min(removed):g} networks retrained without one example each: {seen(rho)}; "
        f"products until conjugate gradients are within 1 % of the dense solution: {seen(products)}"
    )
    agrees, disagrees = [it >= RANKING[0] for it in rho.values()], [it <= RANKING[1] for it in rho.values()]
    return (judged(agrees, disagrees, detail, uncertainty=spread(rho)),)


def binding(results: Measured, method: str) -> dict[str, float]:
    """Seconds of the products, seconds of the method's own work and bytes of its basis at P = 10^7, at full budget."""
    names = ("product_seconds", "own_seconds", "basis_bytes")
    found = {name: results.values(name, problem=TEN_MILLION, method=method) for name in names}
    return {name: float(values[0]) for name, values in found.items() if values.size}


def _binds(results: Measured) -> tuple[ClaimVerdict, ...]:
    verdicts: list[ClaimVerdict] = []
    for method in METHODS:
        found = binding(results, method)
        if not found:
            continue
        products, own, held = found["product_seconds"], found["own_seconds"], found["basis_bytes"] / 2**30
        first = "the products" if products >= own else "its own work"
        detail = (
            f"{products:.3g} s of products and {own:.3g} s of its own work, {held:.3g} GiB of vectors: the time goes "
            f"into {first}; weights of that size take {4e7 / 2**30:.2g} GiB"
        )
        verdicts.append(
            ClaimVerdict(ClaimOutcome.NOT_TESTABLE, detail, IN_WORDS[method], "(a question: answered in numbers)")
        )
    return tuple(verdicts) or (NOTHING,)


CLAIMS: Final[tuple[PublishedClaim[Measured], ...]] = (
    PublishedClaim(
        title="Block-diagonal approximations of the Fisher matrix work",
        sentence="block-diagonal approximations of the Fisher (which approximates the Hessian for cross-entropy at low "
        "loss) work in practice. K-FAC, EKFAC, Shampoo, Sophia.",
        seed="000",
        place="section 6, K-FAC and friends",
        measure="Cosine between the damped natural-gradient step with the approximation and with the exact Fisher "
        f"matrix, damping {DAMPING:g} lambda_1; beside it relative Frobenius distances to the Fisher matrix and to its "
        "block diagonal. K-FAC and EKFAC by curvlinops.",
        rule=f"Agrees: at least {DIRECTION[0]:g} at every step. Disagrees: at most {DIRECTION[1]:g} at one. 9 of 10 "
        "nets that agree bear the claim out, as many that disagree refute it.",
        judge=_kronecker,
    ),
    PublishedClaim(
        title="Influence functions by conjugate gradients tell what an example does",
        sentence="To know how much a training example affects a prediction, you need [gradient of f]^T H^-1 [gradient "
        "of L]. That inverse Hessian-vector product is solved with conjugate gradient (CG).",
        seed="000",
        place="section 6, influence functions",
        measure=f"Influence on the mean test loss by solves with GGN + {DAMPING:g} lambda_1, at step 500, against 60 "
        "networks retrained without one example each; error of conjugate gradients against the dense solution by "
        "products. On an indefinite Hessian the method is not defined, so that it is the GGN.",
        rule=f"Spearman's correlation of a net; agrees: at least {RANKING[0]:g}, disagrees: at most {RANKING[1]:g}. 9 "
        "of 10 (5 of 5) nets decide.",
        judge=_influence,
    ),
    PublishedClaim(
        title="Where the budget binds at ten million parameters",
        sentence="Where would the budget bind if this were a real ImageNet model?",
        seed="000",
        place="section 5, exercise 5.1",
        measure="At P = 10^7, measured: seconds of the products, seconds of the method's own work, bytes of its "
        "vectors.",
        rule="None: a question, not a claim. The largest is named.",
        judge=_binds,
    ),
)
"""Of what spectra are used for."""

"""The published claims about the Hessian of ResNet20, and the rule by which each is judged, fixed before the run."""

from __future__ import annotations

from functools import partial
from typing import Final

from hessbench.reports.claims.claim import PublishedClaim
from hessbench.reports.claims.measured import Measured
from hessbench.reports.sketch_resnet20 import judging
from hessbench.reports.sketch_resnet20.subjects import (
    errors_by_rank,
    everywhere,
    linear,
    optimal_trace,
    singular,
    together,
)

_TOP: Final = "Top-k Eigenvalues"
_SKETCHING: Final = "Hessian Sketching"
_EACH: Final = (
    " The other networks are judged each by the same rule: together borne out, or refuted, where nine of ten (five of "
    "five) are."
)

CLAIMS: Final[tuple[PublishedClaim[Measured], ...]] = (
    PublishedClaim(
        title="Lanczos needs an eighth of the products",
        sentence="Power Iteration needed to compute 349 matvec products while the Lanczos Method needed to compute 45.",
        seed="004",
        place=f"{_TOP}, after figure 5",
        measure="Products from which the largest relative error of the first 20 stays within 1 % of certified values; "
        "where power iteration ends above 1 %, products of both to its own final error. Median over starts of Lanczos.",
        rule="Ratio of the products. Borne out: at least 3.9, half of the document's 7.8. Refuted: below 2." + _EACH,
        judge=partial(everywhere, judging.fewer_products),
    ),
    PublishedClaim(
        title="4, 8, 14 and 45 products",
        sentence="By iteration 4 [...] the first eigenvalue had converged. By iteration 8 [...] the top 2 [...]. By "
        "iteration 14 [...] the top 4 [...]. By iteration 45 [...] the top 20 eigenvalues had all converged.",
        seed="004",
        place=f"{_TOP}, after figure 4",
        measure="Products from which the largest relative error of the first 1, 2, 4 and 20 stays within 1 %, median "
        "of the starts.",
        rule="Borne out: all four within a factor 1.5 of the document's. Refuted: one beyond a factor 3." + _EACH,
        judge=partial(everywhere, judging.counted_products),
    ),
    PublishedClaim(
        title="Lanczos runs in linear time",
        sentence="The speed of the Lanczos Algorithm. This algorithm runs in linear time.",
        seed="004",
        place=f"{_TOP}, figure 5",
        measure="Exponent of the seconds outside of products, of the basis and its orthogonalisation, in the steps "
        "from 20 to 100; finding the eigenvalues of T is left out, as in the document.",
        rule="For each way to reorthogonalise. Borne out: at most 1.1. Refuted: at least 1.5.",
        judge=linear,
    ),
    PublishedClaim(
        title="Over-estimated by 10 to 20 %",
        sentence="the top 20 eigenvalues were uniformly over-estimated by around 10 - 20%",
        seed="004",
        place="Conclusions",
        measure="Signed relative errors of the first 20 of every sketch of 50 and of 100.",
        rule="Borne out: all are above 0 and the median of the sketches' means lies from 5 to 30 %. Refuted: one is "
        "below 0 by more than the bound of the reference." + _EACH,
        judge=partial(everywhere, judging.over_estimates),
    ),
    PublishedClaim(
        title="The sketch keeps definiteness",
        sentence="this sketch seems to maintain the positive semi-definiteness of the Hessian to a large extent [...] "
        "4 out of the 50 eigenvalues were negative [...] I observed the same behavior for a larger sketch size of 100.",
        seed="004",
        place=f"{_SKETCHING}, figure 6",
        measure="Share of the eigenvalues of the sketch that are negative beyond the bound of the reference, median of "
        "the draws, at both sizes; the matrix's own count beside it.",
        rule="Borne out: at most 10 % at both sizes. Refuted: at least 25 % at one." + _EACH,
        judge=partial(everywhere, judging.definiteness),
    ),
    PublishedClaim(
        title="Little is gained from 50 to 100",
        sentence="The accuracy gained by doubling the sketch size ratio from 0.02% to 0.04% was minimal.",
        seed="004",
        place=f"{_SKETCHING}, figure 19",
        measure="Mean absolute error at size 100 over that at size 50, whose columns are the first 50 of the draw.",
        rule="Median of the draws. Borne out: at least .8. Refuted: at most .7." + _EACH,
        judge=partial(everywhere, judging.gain),
    ),
    PublishedClaim(
        title="Errors are uniform in rank and fall slightly",
        sentence="The eigenvalue over-estimates are uniform and seem to decrease for higher eigenvalues (note the "
        "slight downward trend in each of the series of data).",
        seed="004",
        place=f"{_SKETCHING}, beside figures 7 to 12",
        measure="Error at rank 20 over that at rank 1, by a line through the logarithms of the mean absolute errors. "
        "Of the published sketches of made-up matrices: of their median errors, no new run.",
        rule="Borne out: from .5 to 1. Refuted: outside. Undecided where the interval over the draws does not agree. "
        "Of the published sketches: usually, over sizes and shares of zeros, in each basis." + _EACH,
        judge=errors_by_rank,
    ),
    PublishedClaim(
        title="The trace of the sketch is optimally accurate",
        sentence="this method, which in essence performs Hutchinson Trace Estimation is optimally accurate because the "
        "sketching matrix is created from Rademacher vectors",
        seed="004",
        place="Conclusions",
        measure="Errors of the trace of the GGN by the sketch, Hutch++ and XNysTrace at 50 and 100 products, in pairs "
        "of draws.",
        rule="Borne out: no other is nearer in 4 of 5 draws. Refuted: one is.",
        judge=optimal_trace,
    ),
    PublishedClaim(
        title="First eigenvalues and trace are cheaper together",
        sentence="to compute the top 20 eigenvalues using 50 iterations of Lanczos Method and compute the trace would "
        "take a total of 29 minutes. In contrast, Hessian Sketching took 18 minutes",
        seed="004",
        place="Conclusions",
        measure="Seconds and both errors of the sketch of 50, of Lanczos 50 and Hutchinson 50, of Lanczos 50 with the "
        "trace of its own quadrature, and of a range finder that shares its products with Hutch++.",
        rule="Borne out: the sketch is on the Pareto front of the three in nine of ten drawings of the repeats. "
        "Refuted: in one of ten at most.",
        judge=together,
    ),
    PublishedClaim(
        title="More than 99 % of the eigenvalues are zero, or below 0.3",
        sentence="the plot shows how well over 99% of the eigenvalues are below 0.3. [...] The neural network Hessian "
        "was well over 99% singular.",
        seed="004",
        place="Background, figure 2, and before figure 19",
        measure="Rank of the GGN, exactly. Share of the Hessian's eigenvalues below 0.3 / 195 of the largest in "
        "magnitude by quadrature, with the bounds of the separation theorem and the interval over the starts.",
        rule="GGN: its rank is at most N C, a theorem. Hessian: borne out where the lower bound is above 99 %, refuted "
        "where the upper one is below.",
        judge=singular,
    ),
    PublishedClaim(
        title="Close eigenvalues take power iteration longer",
        sentence="because the eigenvalues became more closely packed after the first few, the number of iterations "
        "required to calculate each eigenvalue increased for the smaller eigenvalues",
        seed="004",
        place=f"{_TOP}, figure 3",
        measure="Products that each of the 20 took; their rank correlation with its place.",
        rule="Borne out: at least .5. Refuted: at most 0." + _EACH,
        judge=partial(everywhere, judging.products_grow),
    ),
    PublishedClaim(
        title="The rate is the ratio of neighbours",
        sentence="when computing eigenvalue lambda_i, this power iteration scheme will converge with at a rate of "
        "O(lambda_(i+1) / lambda_i)",
        seed="004",
        place=f"{_TOP}, before figure 3",
        measure="Slope of the logarithm of the relative error per product on log |lambda_(i+1) / lambda_i|, by least "
        "squares over the eigenvalues.",
        rule="Borne out: from .5 to 2. Refuted: outside. Undecided where the interval over the eigenvalues does not "
        "agree." + _EACH,
        judge=partial(everywhere, judging.rate),
    ),
)
"""What the document says of its network's Hessian."""

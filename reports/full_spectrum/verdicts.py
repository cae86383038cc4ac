"""The document's claims of whole spectra, and the rules that judge them, fixed before any run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hessbench.reports.claims.claim import ClaimVerdict, FormerRule, PublishedClaim
from hessbench.reports.claims.measured import Measured
from hessbench.reports.full_spectrum import bulk_verdicts as bulk
from hessbench.reports.full_spectrum import cost_verdicts as costs
from hessbench.reports.full_spectrum import first_rules
from hessbench.reports.full_spectrum import method_verdicts as methods
from hessbench.reports.full_spectrum import outlier_verdicts as outliers

_USUALLY: Final = (
    "Borne out: in 9 of 10 networks (5 of 5). Refuted: in at most 1 of 10 (0 of 5). Undecided between, and of fewer "
    "than five networks."
)


def _claim(
    title: str,
    sentence: str,
    place: str,
    measure: str,
    rule: str,
    judge: Callable[[Measured], tuple[ClaimVerdict, ...]],
    former: FormerRule[Measured] | None = None,
) -> PublishedClaim[Measured]:
    return PublishedClaim(title, sentence, "001", place, measure, rule, judge, former=former)


CLAIMS: Final[tuple[PublishedClaim[Measured], ...]] = (
    _claim(
        "As many outliers as classes",
        "The number of outliers arguably corresponds to the number of classes and there exists a clear separation of "
        "the outliers from the bulk.",
        "caption of figure 1",
        "Place k of the largest ratio lambda_k / lambda_(k+1) of H, 2 <= k <= 3 C, on exact spectra.",
        "A network agrees where k is C - 1 or C. " + _USUALLY,
        outliers.number_of_outliers,
        first_rules.NUMBER_OF_OUTLIERS,
    ),
    _claim(
        "R has no outliers",
        "We observe that its spectrum does not contain outliers.",
        "section 1",
        "Largest such ratio of R, on either side of zero, beside that of H.",
        "A network agrees where it is at most 1.25 and below that of H. " + _USUALLY,
        outliers.residual_without_outliers,
    ),
    _claim(
        "The outliers are those of G",
        "The outliers that are present in the top panel are also present, at the same locations, in the middle panel, "
        "but not present at all in the lower panel.",
        "caption of figure 4a",
        "Largest |lambda_k(H) - lambda_k(G)| / lambda_k(H) over k < C; and u^T G u / u^T H u of the vectors of H.",
        "Borne out: at most 10 % in 9 of 10 networks. Refuted: at least 25 % in 9 of 10. Undecided between.",
        outliers.same_locations,
    ),
    _claim(
        "H and G interlace",
        "The upper tail of the Hessian and covariance of gradients obey eigenvalue interlacing, as in Cauchy "
        "interlacing theorem.",
        "caption of figure 4c",
        "max |lambda_i(H) - lambda_i(G)| / |R|; the share of places that interlace is told beside it.",
        "H = G + R gives Weyl's inequality, a theorem: at most 1. Cauchy's theorem is about submatrices and says "
        "nothing here.",
        outliers.weyl,
    ),
    _claim(
        "The bulk is R's",
        "We observe that most of the energy in the bulk of the spectrum can be attributed to the averaged Hessian of "
        "predictions.",
        "section 1",
        "|P R P|^2 / (|P R P|^2 + |P G P|^2), Frobenius, P off the top C of H; and the number of eigenvalues of R over "
        "that of H where |lambda| is in [1e-3 lambda_1, lambda_(C+1)] of H.",
        "A network agrees above .5. " + _USUALLY,
        bulk.bulk_energy,
    ),
    _claim(
        "R is symmetric",
        "The spectrum of the averaged Hessian of predictions is almost perfectly symmetric about the origin.",
        "caption of figure 4d",
        "|tr R| / sum |lambda|; Kolmogorov-Smirnov test of the positive against the negated negative eigenvalues.",
        "A network agrees where the first is at most .01 and p > .05. " + _USUALLY + " Of networks that are piecewise "
        "linear in each parameter tr R = 0 is a theorem, and with one hidden layer the signs too.",
        bulk.symmetry,
    ),
    _claim(
        "A power-law tail, not a law of random matrices",
        "Fitting a power law trend on part of the spectrum results in a fit with an R^2 of 0.98. This implies that the "
        "distribution of the eigenvalues can not be Wigner's semicircle law, nor other classical random matrix theory "
        "distributions.",
        "caption of figure 4d",
        "Maximum-likelihood tail of the exact |lambda(R)|, start by Kolmogorov-Smirnov distance; Vuong's test against "
        "an exponential and a lognormal tail; distance to the nearest Marchenko-Pastur law and semicircle.",
        "A network agrees where the power law is preferred to both at p < .05; to the limit laws where the distance is "
        "above .1. " + _USUALLY,
        bulk.heavy_tail,
    ),
    _claim(
        "R^2 of a line shows a power law",
        "Fitting a power law trend (which appears linear on a log-log scale) on part of the spectrum results in a fit "
        "with an R^2 of 0.98.",
        "caption of figure 4d",
        "Control: the best line over at least half a decade through the document's density, one start, 256 steps, of "
        "matrices with a semicircle, a Marchenko-Pastur and an exponential spectrum.",
        "Refuted where the median R^2 of one of these is at least the published .98, since none has a power-law tail; "
        "borne out where none is.",
        bulk.straight_line,
    ),
    _claim(
        "The published exponent",
        "phi = 4.3e-4 |lambda|^-2.6 with an R^2 of 0.98.",
        "caption of figure 4d",
        "Slope of the same line through the density of R.",
        "The weights of the published figure are not there: not testable here, our number beside it.",
        bulk.published_fit,
    ),
    _claim(
        "More outliers with more samples",
        "In both train and test, as the sample size increases, more outliers emerge from the bulk.",
        "caption of figure 5",
        "Number of ratios of G, 2 <= k <= 3 C, above the largest of 200 parametric-bootstrap bulks, by images a class "
        "that were trained on.",
        "Borne out: Spearman's rho > 0 with p < .05 by permutation over the networks. Refuted: rho < 0 with p < .05.",
        outliers.more_with_samples,
    ),
    _claim(
        "Negative eigenvalues after long training",
        "Negative eigenvalues exist in the spectrum of the train Hessian. This is despite the fact that the model was "
        "trained for hundreds of epochs.",
        "caption of figure 1",
        "lambda_min of H beside the bound of the eigensolver, after 200 epochs.",
        "Borne out: below minus the bound in every network. One without refutes.",
        bulk.negative_eigenvalues,
    ),
    _claim(
        "Train and test differ in magnitude",
        "Note there is a clear difference in magnitude between the train and test Hessian.",
        "caption of figure 2",
        "lambda_1 of the test Hessian over that of the train Hessian.",
        "A network agrees above 2. " + _USUALLY,
        bulk.train_and_test,
    ),
    _claim(
        "Reorthogonalisation is not needed",
        "From our experience, we did not find the lack of reorthogonalization to be an issue, except for an occasional "
        "failure in computing the eigendecomposition of the tridiagonal matrix.",
        "section 2.5",
        "W1 to the exact spectrum without over that with full reorthogonalisation, same start, M = 256; failures of "
        "the solver; copies among the Ritz values.",
        "Density: a network agrees where the ratio is at most 1.1; any failure refutes. "
        + _USUALLY
        + " Eigenvalues: a "
        "network agrees where no copy appears.",
        methods.without_reorthogonalisation,
    ),
    _claim(
        "Without reorthogonalisation Lanczos takes O(M N p)",
        "The total runtime complexity of the algorithm is therefore O(M n_train p).",
        "section 2.4",
        "Processor seconds of the recurrence without reorthogonalisation on Hessians of perceptrons in float32 by "
        "steps M, images N and parameters p, the others fixed: exponents of lines on logarithmic axes.",
        "For each of the three. Borne out: at most 1.1. Refuted: at least 1.5.",
        costs.linear_time,
    ),
    _claim(
        "Three vectors are saved",
        "We only save three vectors and as such the memory complexity is merely O(p).",
        "section 2.4",
        "Most vectors of length p that are alive when a product is asked for, at M = 32 and 256.",
        "Borne out: as many at both, and at most 8: the start, its copy and what the product itself takes are beside "
        "the three. Refuted: more at 256.",
        costs.few_vectors,
    ),
    _claim(
        "Deflation detects outliers and resolves the bulk",
        "Using low rank deflation allows for precise detection of outlier location and improved 'resolution' of the "
        "bulk distribution.",
        "caption of figure 3",
        "W1 of the bulk alone, and the relative error of the C outliers, with deflation over without, at equal total "
        "products. Without, outliers are read as the first C distinct Ritz values; or, whatever stands between them, "
        "each by the nearest.",
        "A network agrees where it is smaller; one where both are rounding says nothing. " + _USUALLY,
        methods.deflation,
        first_rules.DEFLATION,
    ),
    _claim(
        "The outliers cost C x 256 products",
        "It is therefore natural to extract the top C outliers using, for example, the QR algorithm. (T = 256)",
        "sections 2.8 and 3.2",
        "Largest relative error of the C values by 40 products of Lanczos, and by the document's 2560.",
        "Refuted: 40 products have them within 1 % in 9 of 10 networks. Borne out: in at most 1 of 10.",
        methods.price_of_deflation,
    ),
    _claim(
        "NORMALIZATION brings the spectrum into [-1, 1]",
        "Result: Linear operator H with spectrum in the range [-1, 1].",
        "algorithm 4",
        f"Starts whose interval an eigenvalue leaves, {methods.STARTS} for each matrix H, G and R of each network, "
        "M_0 = 64, kappa = .05, both readings of the margin.",
        "Borne out: no miss. One miss refutes.",
        methods.contains,
        first_rules.CONTAINS,
    ),
    _claim(
        "KPM is temperamental beside Lanczos",
        "The Lanczos method was effective and useful, while KPM was temperamental and in some ways problematic.",
        "section 2, before 2.1",
        "W1 of the whole spectrum and of the bulk alone, at the document's 320 products, as it is and after deflation.",
        "A network agrees where KPM has more than twice the error of Lanczos, or no density. "
        + _USUALLY
        + " After deflation, Lanczos with bounds of the whole spectrum, and with bounds of the rest as KPM has them.",
        methods.temperamental,
        first_rules.TEMPERAMENTAL,
    ),
    _claim(
        "The bulk by architecture, the outliers by data",
        "Their claim was that the bulk is affected by the architecture while the outliers depend on the data.",
        "section 1",
        "Two architectures of 2050 parameters (24-24 and 34) on two data sets, five networks each: share of either "
        "factor in the sum of squares of both, of log lambda_1..C and of log quantiles of the other |lambda|.",
        "Borne out: the share is above .5 and its interval, by resampling networks, too. Refuted: below .5 likewise.",
        outliers.by_data_or_architecture,
    ),
    _claim(
        "The outlier vectors are class means",
        "We can solidly attribute the outliers of the Hessian to the covariance of the gradients.",
        "section 1; the means by class and label are of the later document, arXiv:1901.08244",
        "Share of each of the first C - 1 vectors of H in the span of the C class means, and of the C^2 cross-class "
        "means, of the gradients; the least of them.",
        "A network agrees from .9 on. " + _USUALLY,
        outliers.spanned_by_class_means,
    ),
    _claim(
        "Most eigenvalues are zero where parameters are many",
        "In all cases there is a big concentration of eigenvalues at zero due to the large number of parameters in the "
        "model compared to the small amount of training examples.",
        "caption of figure 1",
        "Zeros of G among all P, and the share of eigenvalues of H within 1e-3 lambda_1 of zero.",
        "G has rank at most N (C - 1): a theorem. H: borne out from half of the eigenvalues on, in the mean; refuted "
        "up to a quarter.",
        bulk.concentration,
        first_rules.CONCENTRATION,
    ),
    _claim(
        "Trained weights have heavy tails",
        "The spectrum of the trained weights in deep neural networks follows a heavy-tailed distribution.",
        "section 1, of another document",
        "Singular values of the weight matrices.",
        "Not testable on matrices of this size.",
        bulk.trained_weights,
    ),
    _claim(
        "The spectrum of deep networks can be approximated at full scale",
        "We provide an algorithm that allows to approximate the spectrum of the Hessian of deep nets with tens of "
        "millions of parameters.",
        "section 1",
        "The C outliers of the GGN of perceptrons with 118,282 parameters by the pipeline, beside the exact spectrum "
        "by the Gram matrix.",
        "A network agrees within 1 %. " + _USUALLY + " No larger network has a known spectrum here.",
        methods.at_scale,
        first_rules.AT_SCALE,
    ),
)
"""What the document says, a rule for each sentence."""

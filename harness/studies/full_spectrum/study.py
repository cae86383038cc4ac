"""The study as it is shipped."""

from __future__ import annotations

from typing import Final

from hessbench.reports.full_spectrum.figures import figures
from hessbench.reports.full_spectrum.verdicts import CLAIMS
from hessbench.studies.full_spectrum.units import units_of
from hessbench.studies.study import Study

FULL_SPECTRUM: Final = Study(
    name="full-spectrum",
    title="Whole spectra of Hessians, their GGN and the rest",
    summary="exact spectra of H, G and R of 35 small trained networks, their outliers, bulks and tails, and the "
    "document's normalisation, deflation and densities on them and on perceptrons of 118,282 parameters. Some twelve "
    "minutes on two cores.",
    introduction=(
        "Perceptrons of 2050 parameters are trained by the document's recipe (momentum .9, batches of 128, decay 5e-4, "
        "a tenth from one and from two thirds of 200 epochs on, the rate of a grid of five with the most test images "
        "right) on MNIST and Fashion-MNIST at 7 x 7 pixels. All eigenvalues of their Hessians H, GGNs G and rests R = "
        "H - G are computed, so that what the document says of spectra is judged on the truth, and its algorithms by "
        "their error. G is what the document calls the covariance of gradients, R its averaged Hessian of predictions.",
        "A network is the unit: the bounds of every rule are over independently trained networks.",
    ),
    claims=CLAIMS,
    units=units_of,
    figures=figures,
    unjudged=(
        "VGG11 and ResNet18, up to 1000 images a class, CIFAR-100 and ImageNet: their training for hundreds of epochs "
        "fits no scale here. The largest at the scale medium has 895,210 parameters and is told, not judged: no "
        "spectrum of it is known.",
        "The rule for the width of the Gaussian, 2 / ((M - 1) sqrt(8 log 1.25)), and the grid of learning rates are "
        "taken over as they are: the document claims nothing of either.",
        "The document's deflation and the failures of its tridiagonal solver are judged with the claims they belong "
        "to.",
    ),
)

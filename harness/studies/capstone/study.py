"""The study `capstone` as it ships."""

from __future__ import annotations

from typing import Final

from hessbench.reports.capstone.figures import figures
from hessbench.reports.capstone.ledger_table import ledger_table
from hessbench.reports.capstone.verdicts import CLAIMS
from hessbench.studies.capstone.design import design
from hessbench.studies.study import Study

CAPSTONE: Final = Study(
    name="capstone",
    title="Spectroscopy of a small network across its training",
    summary="the Hessian and the tangent kernel of a perceptron on 7 x 7 MNIST at four steps of its training, ten "
    "trainings, each against the exact spectrum; laziness by width, K-FAC, influence functions against training again, "
    "and the cost ledger with its column of ten million parameters measured. Some six minutes on two cores.",
    introduction=(
        "One perceptron 49-32-10 (1930 parameters) is trained by plain descent, rate 0.1, on minibatches of 64 of 500 "
        "images of 7 x 7 MNIST, ten times from other seeds, and looked at before the first update and after 10, 100 "
        "and 500; once more after 10,000, where the loss is low. The Hessian and the GGN are made whole, so that every "
        "claim is judged on exact spectra, and the document's four computations by their error against these, beside "
        "others at the same number of products.",
        "The tangent kernel is that of 200 test images. Networks of 512 and 4096 hidden units are trained the same "
        "way, at a rate that falls as 1 / width from 512 on. For the ledger the same four estimators are run at ten "
        "million parameters with a few products each, which give the seconds of all of them.",
        "Numbers in the verdicts are medians over the nets, the least and the largest of them in brackets.",
    ),
    claims=CLAIMS,
    units=design,
    figures=figures,
    tables=ledger_table,
    unjudged=(
        "Memory in the ledger is the vectors that a method declares to hold: at ten million parameters each was run "
        "with a few products, which hold fewer, so that a measured peak would be none of the document's budgets. That "
        "Lanczos holds as many vectors whatever its steps, and takes seconds in proportion to steps, images and "
        "parameters, is judged in the study full-spectrum.",
        "That spectra hide where eigenvectors live, and that samples and layers differ, is what the document asks to "
        "be named, not a claim: it is drawn, with the constructed example of equal eigenvalues whose vectors are "
        "spread (dashes: the same matrix in a rotated basis).",
        "The mass outside of the document's grid, and the trace beside the squared gradient norm, are drawn: the "
        "document says nothing of them that could be refuted.",
        "Shampoo and Sophia, named beside K-FAC and EKFAC, keep their approximations inside an optimiser, from its "
        "steps: there is no matrix at a checkpoint to compare.",
    ),
)

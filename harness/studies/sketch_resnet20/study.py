"""The study `sketch-resnet20`."""

from __future__ import annotations

from typing import Final

from hessbench.reports.sketch_resnet20.figures import draw_figures
from hessbench.reports.sketch_resnet20.tables import pairs_tables
from hessbench.reports.sketch_resnet20.verdicts import CLAIMS
from hessbench.studies.sketch_resnet20.plan import plan_units
from hessbench.studies.study import Study

SKETCH_RESNET20: Final = Study(
    name="sketch-resnet20",
    title="the sketch and the first eigenvalues of a ResNet20",
    summary="the first 20 eigenvalues and the trace of the Hessian of a trained ResNet20 by power iteration, "
    "Lanczos, the sign sketch and what answers both at once, with a verdict on each published claim there and "
    "on other networks and data. Some twelve minutes on two cores.",
    introduction=(
        "The document compares power iteration, Lanczos and a sign sketch S^T H S on the Hessian of a trained "
        "ResNet20. Here each is run on the same weights and 64 training images of CIFAR-10 with a checkpoint "
        "at every product, and read against eigenvalues that are certified. The document does not say how many "
        "images its Hessian is over, so its values differ from these; its counts and relative errors stand "
        "beside ours.",
        "Products are counted; seconds are of the machine that ran it, and leave out the reading of the "
        "checkpoints. Starts and draws of one network are repeats, not replicates: what is said of networks "
        "is judged on the others too.",
        "Not at this scale: the same network on 256 images, further trainings of the convolutional network, "
        "and vgg11-bn, which is for an accelerator; `--scale medium --plan` lists and prices them.",
        "Five starts of Lanczos and five draws of the sketch, on which verdicts rest; one of what only stands beside "
        "them in the table of pairs. Power iteration is ended after 1000 products where it does not end by itself.",
    ),
    claims=CLAIMS,
    units=plan_units,
    figures=draw_figures,
    tables=pairs_tables,
    unjudged=(
        "The loss surfaces of figure 1 are pictures, without a number that could be borne out or refuted.",
        "That the trace tells smoothness over a training, that eigenvalues go to zero during it, and that some layers "
        "keep a high trace, is taken from other work: the document measures one trained network, of whose training no "
        "other weights are published.",
        "Smaller sketches and made-up matrices of other sizes are judged in the study sketch.",
        "A second-order method from the sketch is a wish of the document, without a measurement: testing it would be a "
        "study of optimisers.",
    ),
)

"""The studies that ship, each run and written by one command."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from hessbench.reports.advice.page import write_advice_study
from hessbench.reports.calibration.page import write_calibration_study
from hessbench.reports.density.page import write_density_study
from hessbench.reports.density.verdicts import CLAIMS as DENSITY_CLAIMS
from hessbench.reports.one_vector.page import write_one_vector_study
from hessbench.reports.one_vector.verdicts import CLAIMS as ONE_VECTOR_CLAIMS
from hessbench.reports.sketch.page import write_sketch_study
from hessbench.reports.sketch.verdicts import CLAIMS as SKETCH_CLAIMS
from hessbench.studies.advice import AdviceDesign, run_advice
from hessbench.studies.calibration import CalibrationDesign, run_calibration
from hessbench.studies.capstone.study import CAPSTONE
from hessbench.studies.density import DensityDesign, run_density
from hessbench.studies.few_gradients.study import FEW_GRADIENTS
from hessbench.studies.full_spectrum.study import FULL_SPECTRUM
from hessbench.studies.one_vector import OneVectorDesign, run_one_vector
from hessbench.studies.sketch import Design, run_study
from hessbench.studies.sketch_resnet20.study import SKETCH_RESNET20
from hessbench.studies.study import Study, WholeStudy

STUDIES: Final[Mapping[str, Study | WholeStudy[Any]]] = MappingProxyType({
    study.name: study
    for study in (
        CAPSTONE,
        WholeStudy(
            name="sketch",
            summary="errors of the sign sketch S^T A S against its size and the share of zero eigenvalues, a verdict "
            "on each published claim, and whether sketch-and-refine beats Lanczos. Some five minutes on two cores.",
            claims=SKETCH_CLAIMS,
            run=partial(run_study, Design()),
            write=write_sketch_study,
        ),
        WholeStudy(
            name="one-vector",
            summary="how the error of Lanczos quadrature with a single random vector falls as the matrix grows, from "
            "10^3 to 10^6 and on networks of growing width, and what more vectors would gain. Some eight minutes on "
            "two cores.",
            claims=ONE_VECTOR_CLAIMS,
            run=partial(run_one_vector, OneVectorDesign()),
            write=write_one_vector_study,
        ),
        WholeStudy(
            name="density",
            summary="Lanczos quadrature, KPM and the forms with deflation at equal products over every made-up "
            "spectrum of the registry and a network at four steps of its training: who wins by which distance, and "
            "whether KPM is temperamental, and when. Some three minutes on two cores.",
            claims=DENSITY_CLAIMS,
            run=partial(run_density, DensityDesign()),
            write=write_density_study,
        ),
        WholeStudy(
            name="calibration",
            summary="how often the interval of every method that claims a standard error of the trace holds the truth, "
            "from 2 to 30 probes, and which of them can be believed. Some five minutes on two cores.",
            claims=(),
            run=partial(run_calibration, CalibrationDesign()),
            write=write_calibration_study,
        ),
        FEW_GRADIENTS,
        WholeStudy(
            name="advice",
            summary="what `hessbench advise` recommends for questions whose answers are known, whether the answers are "
            "within the tolerance, and whether what was promised of them was right. Some ten minutes on two cores.",
            claims=(),
            run=partial(run_advice, AdviceDesign()),
            write=write_advice_study,
        ),
        FULL_SPECTRUM,
        SKETCH_RESNET20,
    )
})  # fmt: skip
"""Every study by its name."""

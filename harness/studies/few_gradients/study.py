"""The study as it is shipped: a question is a unit, so that what ends it costs one question at most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Final

from typing_extensions import override

from hessbench.estimand import parse_estimand
from hessbench.reports.claims.measured import Measured
from hessbench.reports.few_gradients.page import NAME, write_few_gradients_study
from hessbench.reports.few_gradients.results import FewGradientsResults, NetworkQuestion, QuestionRuns, UnaskedQuestion
from hessbench.studies.few_gradients.kept_questions import read_back, take_down
from hessbench.studies.few_gradients.measuring import FewGradientsDesign, Problems, answered, questions_of
from hessbench.studies.few_gradients.questions import AskedMethods
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.study import Study
from hessbench.studies.unit import Unit, UnitRecord


@dataclass(frozen=True)
class FewGradientsStudy(Study):
    """A study with a page of its own, which judges targets and no published claim."""

    @override
    def write(self, measured: Measured, setting: StudySetting, out: Path, command: str) -> Path:
        """Write the page of what is measured.

        Args:
            measured: What is kept of all units.
            setting: At which scale, where, and from which seed.
            out: Folder to write.
            command: Command line that made it.

        Returns:
            The page.
        """
        design = design_of(setting)
        found: list[QuestionRuns] = []
        for question, asked in design.questions:
            name = unit_name(question)
            if name in measured.units:
                found += read_back(measured, name, questions_of(question, asked))
        results = FewGradientsResults(design.threads, tuple(found), tuple(left_out(design)))
        return write_few_gradients_study(results, out, command)


def design_of(setting: StudySetting) -> FewGradientsDesign:
    """What is run at a setting.

    Raises:
        ValueError: If it is not on the CPU, or not at the scale that there is.
    """
    if setting.device != "cpu" or setting.scale is not Scale.SMALL:
        raise ValueError(f"{NAME} is timed on a CPU at one scale: --device cpu and --scale small are accepted")
    return replace(FewGradientsDesign(), seed=setting.seed)


def units_of(setting: StudySetting) -> list[Unit]:
    """A unit for each question that can be asked here.

    Args:
        setting: From which seed.

    Raises:
        ValueError: As `design_of`.
    """
    design = design_of(setting)
    problems, parts = _problems(), replace(design, questions=())
    return [
        Unit(
            unit_name(question),
            partial(measure_question, question=question, asked=asked, design=parts),
            _predicted(question, asked),
            definition=_versions(asked),
        )
        for question, asked in design.questions
        if not problems.of(question.problem).refusal
    ]


def measure_question(
    record: UnitRecord, *, question: NetworkQuestion, asked: AskedMethods, design: FewGradientsDesign
) -> None:
    """Ask a question of all its methods, and take down what came of it.

    Args:
        record: Of the unit.
        question: The question.
        asked: Who is asked.
        design: How often, and on how many threads.
    """
    take_down(record, answered(_problems(), question, asked, design))


def left_out(design: FewGradientsDesign) -> list[UnaskedQuestion]:
    """Questions that cannot be asked here, and why."""
    problems = _problems()
    refusals = [(question, problems.of(question.problem).refusal) for question, _ in design.questions]
    return [UnaskedQuestion(question.name, question.network, why) for question, why in refusals if why]


def unit_name(question: NetworkQuestion) -> str:
    """Of the unit that asks a question; in a series another question of the same network has the same name."""
    return f"{question.network}: {question.name}" + (f" by {question.series}" if question.series else "")


@cache
def _problems() -> Problems:
    return Problems()


def _versions(asked: AskedMethods) -> str:
    """Versions of the methods: what another version answers is measured again."""
    catalog, estimand = _problems().catalog, parse_estimand(asked.estimand)
    named = [catalog.method(spec, estimand) for spec in asked.methods]
    return " ".join(f"{bound.spec} {bound.method.version}" for bound in named)


def _predicted(question: NetworkQuestion, asked: AskedMethods) -> float:
    """Seconds: most of those that its methods are granted, and of the truth where that is not there yet."""
    granted = 8.0 if asked.most_s is None else asked.most_s
    large = "resnet20" in question.problem
    truth = 150.0 if "samples=1024" in question.problem else 60.0 if "weights=random" in question.problem else 10.0
    return len(asked.methods) * granted * (1.0 if large else 0.3) + (truth if large else 2.0)


FEW_GRADIENTS: Final = FewGradientsStudy(
    name=NAME,
    title="What an answer costs in gradients",
    summary="what traces, diagonals, first eigenvalues and densities of networks cost in gradients, by whole products "
    "and by rows, subsets of the samples and parts of the Hessian, and which targets that meets; a question at a time, "
    "and the same command goes on where it was ended; `hessbench train cnn-3c3d` gets the weights of one network. Some "
    "twenty-five minutes on two cores.",
    introduction=(),
    claims=(),
    units=units_of,
    figures=lambda _: (),
)

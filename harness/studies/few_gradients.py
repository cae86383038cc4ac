"""What an answer about a network costs in gradients: by whole products, and by rows, subsets and parts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.cells.build import build
from hessbench.cells.cell import Cell
from hessbench.cells.counted_run import CountedRun
from hessbench.cells.execute import classify
from hessbench.cells.measure import measure
from hessbench.estimand import Estimate, parse_estimand
from hessbench.estimand.base import Reference
from hessbench.ledger.costs import Costs
from hessbench.ledger.record import Status
from hessbench.method import BoundMethod
from hessbench.problem import PARTS, ROWS, SUBSET, Problem
from hessbench.reports.few_gradients.results import (
    CostPoint,
    FewGradientsResults,
    MethodRuns,
    NetworkQuestion,
    QuestionRuns,
)

DEVICE: Final = "cpu"
_STRUCTURED: Final = frozenset({ROWS, PARTS, SUBSET})

Budgets = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class AskedMethods:
    """Methods of a kind of question, each with its budgets."""

    estimand: str
    error: str
    methods: Budgets


WHOLE: Final = (1, 2, 3, 5, 8, 12, 20, 30, 40)
FEW_ROWS: Final = (16, 32, 48, 64, 80, 96, 128, 160, 224, 320, 480, 640)
"""Of a network whose gradient takes as long as some rows."""

MANY_ROWS: Final = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Of one whose gradient takes less than a row."""


def trace_methods(rows: tuple[int, ...], checked: int = 0) -> AskedMethods:
    """Methods of a trace.

    Args:
        rows: Budgets of those by rows.
        checked: Products over one sample beside them, of a Hessian: one for two of its tensors.
    """
    counts = tuple(count + checked for count in rows)
    return AskedMethods(
        "trace",
        "relative",
        MappingProxyType({
            "hutchinson": (*WHOLE, 80, 160, 320), "hutchpp": (12, 40, 80, 160), "heavy-rows": counts,
            "sampled-rows": counts, "split-trace": counts,
        }),
    )  # fmt: skip


TOP: Final = AskedMethods(
    "top-eigenvalues[k=20]",
    "max_relative",
    MappingProxyType({
        "lanczos[reorth=full]": (25, 30, 35, 40, 45, 50, 60, 80, 120), "block-krylov": (40, 60, 80, 120),
        "pruned-lanczos": (60, 80, 100, 120, 160, 200),
    }),
)  # fmt: skip


def top_by_rows(rows: tuple[int, ...]) -> AskedMethods:
    """Methods of the top of a GGN, with budgets of those by rows."""
    return AskedMethods(TOP.estimand, TOP.error, MappingProxyType({**TOP.methods, "heavy-rows": rows}))


DIAGONAL: Final = AskedMethods(
    "diagonal",
    "relative_norm",
    MappingProxyType({
        "hutchinson-diagonal": (10, 20, 40), "xdiag": (20, 40), "ggn-diagonal-mc": (1, 2, 5, 10),
        "ggn-diagonal-exact": (10,), "heavy-rows": FEW_ROWS, "sampled-rows": FEW_ROWS,
    }),
)  # fmt: skip
DENSITY: Final = AskedMethods(
    "density",
    "wasserstein1",
    MappingProxyType({"slq": (10, 20, 40, 80), "slq[steps=40]": (40, 80), "heavy-rows": FEW_ROWS[1:]}),
)

RESNET: Final = "resnet20-cifar10[operator={operator},samples={samples},split=test]"
MLP: Final = "mlp[data=mnist-7x7,operator={operator},recipe=momentum:0,step={step}]"


@dataclass(frozen=True)
class FewGradientsDesign:
    """What is run.

    Attributes:
        questions: Each with its methods and their budgets.
        repeats: Seeds of each method.
        threads: Of the tensor library.
        most_s: Seconds after which a method gets no further repeat of a question.
    """

    questions: tuple[tuple[NetworkQuestion, AskedMethods], ...] = field(default_factory=lambda: _questions())
    repeats: int = 5
    threads: int = 2
    most_s: float = 15.0


def run_few_gradients(design: FewGradientsDesign, say: Callable[[str], None]) -> FewGradientsResults:
    """Run every method on every question, a gradient timed before and after each run.

    Args:
        design: What is run.
        say: Told how it goes on.
    """
    torch.set_num_threads(design.threads)
    begin = time.perf_counter()
    catalog = load_catalog()
    found: list[QuestionRuns] = []
    for question, asked in design.questions:
        problem = catalog.problem(question.problem)
        if problem.refusal:
            say(f"{question.network} is left out: {problem.refusal}")
            continue
        found.append(_question(catalog, problem, question, asked, design))
        say(f"{question.network}, {question.name}: {time.perf_counter() - begin:.0f} s")
    return FewGradientsResults(design.threads, tuple(found))


def _question(
    catalog: Catalog, problem: Problem, question: NetworkQuestion, asked: AskedMethods, design: FewGradientsDesign
) -> QuestionRuns:
    estimand = parse_estimand(asked.estimand)
    finder = problem.finder(type(estimand))
    network: Any = problem.network() if problem.network is not None else None
    assert finder is not None
    samples = int(network.num_samples)
    gradient = network.to(torch.device(DEVICE), torch.float32).own_gradient()
    gradient()
    clock = _GradientClock(gradient)
    reference = finder(estimand)
    runs: list[MethodRuns] = []
    for spec, budgets in asked.methods.items():
        bound = catalog.method(spec, estimand)
        if not bound.skip_reason(problem):
            runs.append(_method(problem, bound, budgets, question, reference, clock, design))
    return QuestionRuns(question, problem.dim, samples, clock.median_s, tuple(runs))


class _GradientClock:
    """Times a gradient whenever it is asked, and knows the median of all times."""

    def __init__(self, gradient: Callable[[], object]) -> None:
        self._gradient = gradient
        self._seconds: list[float] = []

    def tick(self) -> None:
        """Time one gradient."""
        begin = time.perf_counter()
        self._gradient()
        self._seconds.append(time.perf_counter() - begin)

    @property
    def median_s(self) -> float:
        """Median seconds of a gradient."""
        return statistics.median(self._seconds)


def _method(
    problem: Problem,
    bound: BoundMethod,
    budgets: tuple[int, ...],
    question: NetworkQuestion,
    reference: Reference,
    clock: _GradientClock,
    design: FewGradientsDesign,
) -> MethodRuns:
    """The repeats of a method; those of one that is not anytime are a run for each budget."""
    structured = bool(_STRUCTURED & {*bound.method.requires, *bound.method.also_takes.values()})
    # More products than n tell nothing new; there may be more rows than that.
    most = budgets[-1] if structured else problem.dim
    least = bound.min_matvecs(problem.dim)
    fitting = tuple(dict.fromkeys(min(budget, most) for budget in budgets if budget >= least))
    grids = [fitting] if bound.method.is_anytime else [(budget,) for budget in fitting]
    begin = time.perf_counter()
    repeats: list[tuple[tuple[float, ...], list[tuple[Costs, float, float]]]] = []
    failure = ""
    for repeat in range(design.repeats if fitting else 0):
        if repeat and time.perf_counter() - begin > design.most_s:
            break
        points: list[tuple[Costs, float, float]] = []
        builds: list[float] = []
        for grid in grids:
            cell = Cell(problem.name, str(bound.spec), bound.estimand.spec, grid, repeat, threads=design.threads)
            clock.tick()
            failure = _run(cell, problem, bound, question, reference, points, builds) or failure
            clock.tick()
        if points:
            repeats.append((tuple(builds), points))
    unit = clock.median_s
    return MethodRuns(
        method=str(bound.spec),
        structured=structured,
        build=np.asarray([statistics.median(builds) / unit for builds, _ in repeats]),
        repeats=tuple(tuple(_point(*point, unit) for point in points) for _, points in repeats),
        failure="" if repeats else failure or "no budget of the study is enough for it",
    )


def _run(
    cell: Cell,
    problem: Problem,
    bound: BoundMethod,
    question: NetworkQuestion,
    reference: Reference,
    points: list[tuple[Costs, float, float]],
    builds: list[float],
) -> str:
    """Build, run and score; what came of it is added to the lists. Returned is why it failed, if it did."""
    try:
        begin = time.perf_counter()
        op = build(cell, problem, by_rows=bound.method.by_rows)
        builds.append(time.perf_counter() - begin)

        def tell(_: int, estimate: Estimate, costs: Costs) -> None:
            answer = bound.answer(estimate, problem.dim, cell.dtype)
            if answer is None:
                return
            arrays = bound.estimand.to_arrays(answer.value, problem.dim)
            error = bound.estimand.errors(arrays, reference, cell.dtype)[question.error]
            size = abs(float(reference.arrays["trace"][0])) if "trace" in reference.arrays else np.nan
            width = answer.half_width(0.99)
            points.append((costs, error, np.nan if width is None else width / size))

        status, reason = measure(CountedRun(op, cell, bound), tell)
    except Exception as failure:  # noqa: BLE001 -- a method may raise anything; the page says what
        return classify(failure)[1]
    return "" if status is Status.OK else reason


def _point(costs: Costs, error: float, width: float, unit: float) -> CostPoint:
    return CostPoint(costs.matvecs, costs.gradient_equivalents, (costs.wall_s or 0.0) / unit, error, width)


def _questions() -> tuple[tuple[NetworkQuestion, AskedMethods], ...]:
    """The questions of the page: ResNet20 in full, an MLP by the step of its training and its samples, and others."""
    found: list[tuple[NetworkQuestion, AskedMethods]] = []

    def ask(name: str, network: str, spec: str, asked: AskedMethods, series: str = "", place: float = 0.0) -> None:
        found.append((NetworkQuestion(name, network, spec, asked.estimand, asked.error, series, place), asked))

    resnet = "ResNet20, 64 images"
    for operator, name, asked in (
        ("hessian", "trace of the Hessian", trace_methods(FEW_ROWS, 36)),
        ("ggn", "diagonal of the GGN", DIAGONAL),
        ("ggn", "top 20 of the GGN", top_by_rows(FEW_ROWS[1:])),
        ("ggn", "density of the GGN", DENSITY),
        ("hessian", "top 20 of the Hessian", TOP),
    ):
        ask(name, resnet, RESNET.format(operator=operator, samples=64), asked)
    for step in (0, 10, 100, 500):
        for operator, name, asked in (
            ("hessian", "trace of the Hessian", trace_methods(MANY_ROWS, 4)),
            ("ggn", "top 20 of the GGN", top_by_rows(MANY_ROWS[:-2])),
            ("hessian", "top 20 of the Hessian", TOP),
        ):
            spec = MLP.format(operator=operator, step=step)
            ask(name, f"MNIST MLP, step {step}", spec, asked, "step of the training", step)
    # Few samples where the truth would take minutes.
    for name, spec in (
        ("tanh MLP on digits", "digits-mlp[step=500]"),
        ("cnn-3c3d at random weights, 20 images", "cnn-3c3d[per_class=2,weights=random]"),
        ("ResNet20 at random weights, 16 images", "resnet20-cifar10[samples=16,weights=random]"),
    ):
        ask("trace of the Hessian", name, spec, trace_methods(MANY_ROWS if "digits" in name else FEW_ROWS, 36))
    for per_class in (10, 40, 160):
        for operator, name, asked in (
            ("ggn", "trace of the GGN", trace_methods(MANY_ROWS)),
            ("hessian", "top 20 of the Hessian", TOP),
        ):
            spec = f"mlp[data=mnist-7x7,operator={operator},per_class={per_class},recipe=momentum:0,step=500]"
            ask(name, f"MNIST MLP, {10 * per_class} images", spec, asked, "number of images", 10 * per_class)
    return tuple(found)

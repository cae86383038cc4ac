"""What the study of few gradients asks, of which networks, and of which methods with which budgets: data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from hessbench.reports.few_gradients.results import INTERVAL, NetworkQuestion
from hessbench.reports.few_gradients.targets import (
    BULK_OF_GGN,
    DENSITY_OF_GGN,
    DIAGONAL_OF_GGN,
    DIAGONAL_OF_HESSIAN,
    IMAGES,
    RESNET,
    RESNET_IMAGES,
    STEPS,
    TOP_OF_GGN,
    TOP_OF_HESSIAN,
    TOP_WITH_INTERVAL,
    TRACE_OF_GGN,
    TRACE_OF_HESSIAN,
    TRACE_WITH_INTERVAL,
)

Budgets: TypeAlias = Mapping[str, tuple[int, ...]]
Asked: TypeAlias = "tuple[NetworkQuestion, AskedMethods]"

RESNET_SPEC: Final = "resnet20-cifar10[operator={operator},samples={samples},split=test]"
MLP_SPEC: Final = "mlp[data=mnist-7x7,operator={operator},recipe=momentum:0,step={step}]"

FEW_ROWS: Final = (16, 32, 48, 64, 80, 96, 128, 160, 224, 320, 480, 640)
"""Of a network whose gradient takes as long as some rows."""

BACKPACK: Final = "backpack-own-ggn-diagonal"
BACKPACK_LABEL: Final = "BackPACK DiagGGNExact"
"""As the page calls it."""

BACKPACK_BUDGET: Final = 1000
"""More than it takes: a gradient, and a square for each output."""

_CHUNK: Final = 16
"""Rows of ResNet20 that come at once: where a cost by the number of images is fitted, no budget between is left out."""

MANY_ROWS: Final = (32, 64, 128, 256, 512, 1024, 2048)
"""Of one whose gradient takes less than a row, so that none is left to win with more."""

_FEW_IMAGES: Final = 256
"""Most of ResNet20 of which the Gram matrix of all rows is affordable in a minute."""

EXACT_OF_HESSIAN: Final[Budgets] = {"hessian-diagonal-exact": (256,)}
"""More than it takes: squares of outputs and of the units in which the network is curved, and its check."""

RESNET_TENSORS: Final = 36
"""Products over one sample that the check of its structure takes: one for two tensors."""


@dataclass(frozen=True)
class AskedMethods:
    """Methods of a kind of question, each with its budgets.

    Attributes:
        estimand: Canonical spec.
        error: The error that is shown, one of the estimand's.
        methods: Budgets by the spec of a method.
        also: Names of the questions that the same runs answer by another error.
        elsewhere: Problem of a method whose answer is known to be the same there.
        truth: Problem whose truth stands for this one's; its own by default.
        backpack: Whether BackPACK is asked too.
        most_s: Seconds that a method does not pass by another repeat; those of the design by default.
    """

    estimand: str
    error: str
    methods: Budgets
    also: Mapping[str, str] = field(default_factory=dict[str, str])
    elsewhere: Mapping[str, str] = field(default_factory=dict[str, str])
    truth: str = ""
    backpack: bool = False
    most_s: float | None = None


def trace_methods(whole: Budgets, rows: tuple[int, ...], checked: int = 0) -> AskedMethods:
    """Methods of a trace.

    Args:
        whole: Those of whole products.
        rows: Budgets of those by rows.
        checked: Products over one sample beside them, of a Hessian: one for two of its tensors.
    """
    counts = tuple(count + checked for count in rows)
    by_rows = {"heavy-rows": counts, "sampled-rows": counts, "split-trace": counts}
    exact = EXACT_OF_HESSIAN if checked else {}
    methods = {**whole, **by_rows, **exact}
    return AskedMethods("trace", "relative", MappingProxyType(methods), {INTERVAL: TRACE_WITH_INTERVAL})


def diagonal_methods(problem: str, rows: tuple[int, ...], checked: int = 0) -> AskedMethods:
    """Methods of a diagonal.

    Args:
        problem: Spec of the Hessian; of its GGN where that is asked for.
        rows: Budgets of those by rows.
        checked: As in `trace_methods`; 0 for a GGN.
    """
    whole: dict[str, tuple[int, ...]] = {"hutchinson-diagonal": (10, 20, 40), "xdiag": (20, 40)}
    counts = tuple(count + checked for count in rows)
    by_rows = {"heavy-rows": counts, "sampled-rows": counts}
    exact = {"ggn-diagonal-exact": (10,)}
    if "operator=ggn" in problem:
        methods = {**whole, "ggn-diagonal-mc": (1, 2, 5), **exact, **by_rows}
        return AskedMethods("diagonal", "relative_norm", MappingProxyType(methods), backpack=True)
    methods = {**whole, **by_rows, "split-diagonal": counts, **EXACT_OF_HESSIAN, **exact}
    return AskedMethods(
        "diagonal", "relative_norm", MappingProxyType(methods),
        elsewhere={"ggn-diagonal-exact": ggn_of(problem)},
    )  # fmt: skip


def top_methods(
    lanczos: tuple[int, ...], block: tuple[int, ...], pruned: tuple[int, ...], wide: tuple[int, ...] = ()
) -> AskedMethods:
    """Methods of the first 20 eigenvalues, by products; with the interval that one of them gives.

    Args:
        lanczos: Budgets of single columns.
        block: Those of blocks of 4.
        pruned: Those of the heavy samples, by single columns.
        wide: Those of blocks of 10, with and without pruning.
    """
    methods = {
        "lanczos[reorth=full]": lanczos, "block-krylov": block, "block-krylov[block=10]": wide,
        "pruned-lanczos": pruned, "pruned-krylov": wide,
    }  # fmt: skip
    asked = {name: budgets for name, budgets in methods.items() if budgets}
    return AskedMethods("top-eigenvalues[k=20]", "max_relative", MappingProxyType(asked), {INTERVAL: TOP_WITH_INTERVAL})


def top_by_rows(products: AskedMethods, rows: tuple[int, ...]) -> AskedMethods:
    """Methods of the top of a GGN, with budgets of those by rows."""
    return replace(products, methods=MappingProxyType({**products.methods, "heavy-rows": rows}), also={})


def density_methods(rows: tuple[int, ...], slq: tuple[int, ...] = (10, 20, 40, 80)) -> AskedMethods:
    """Methods of a density."""
    methods = {"slq": slq, "slq[steps=40]": slq[-2:], "heavy-rows": rows}
    return AskedMethods("density", "wasserstein1", MappingProxyType(methods), {"bulk_wasserstein1": BULK_OF_GGN})


def ggn_of(problem: str) -> str:
    """The GGN of the network of a Hessian's spec."""
    name, _, inside = problem.partition("[")
    kept = [part for part in inside.rstrip("]").split(",") if part and not part.startswith("operator=")]
    return f"{name}[{','.join(sorted([*kept, 'operator=ggn']))}]"


def study_questions() -> tuple[Asked, ...]:
    """The questions of the page: ResNet20 in full, an MLP by the step of its training and its images, and others."""
    return (*_of_resnet(), *_by_step(), *_of_others(), *_by_images(), *_by_resnet_images())


_SMALL_WHOLE: Final[Budgets] = {
    "hutchinson": (1, 2, 3, 5, 8, 12, 20, 30, 40, 80, 160, 320), "hutchpp": (12, 40, 80, 160)
}  # fmt: skip
_LARGE_WHOLE: Final[Budgets] = {"hutchinson": (1, 2, 3, 5, 8, 12, 20, 30, 40, 80), "hutchpp": (40, 80)}
_SMALL_TOP: Final = top_methods(
    (25, 30, 35, 40, 45, 50, 60, 80, 120), (40, 60, 80, 120),
    (30, 35, 40, 45, 50, 55, 60, 70, 80, 90, 100, 110, 120, 130, 140, 160, 180, 200, 240, 280),
    (50, 60, 70, 80, 90, 100, 120, 140, 160),
)  # fmt: skip
_LARGE_TOP: Final = top_methods(
    (30, 34, 36, 38, 40, 42, 44, 48, 54, 60), (),
    # Of a Hessian rows count too, up to 80 before the first product.
    (30, 34, 36, 38, 40, 42, 44, 48, 52, 56, 60, 70, *range(76, 125, 2), 130, 140, 160),
)  # fmt: skip


def _question(name: str, network: str, spec: str, asked: AskedMethods, series: str = "", place: float = 0.0) -> Asked:
    return NetworkQuestion(name, network, spec, asked.estimand, asked.error, series, place), asked


def _of_resnet() -> list[Asked]:
    hessian, ggn = (RESNET_SPEC.format(operator=operator, samples=64) for operator in ("hessian", "ggn"))
    few = FEW_ROWS[:-2]
    found = [
        _question(TRACE_OF_HESSIAN, RESNET, hessian, trace_methods(_LARGE_WHOLE, few, RESNET_TENSORS)),
        _question(DIAGONAL_OF_GGN, RESNET, ggn, diagonal_methods(ggn, FEW_ROWS)),
        # Its residual has no diagonal, which is checked of each run by rows: the truth is that of the GGN.
        _question(DIAGONAL_OF_HESSIAN, RESNET, hessian,
                  replace(diagonal_methods(hessian, FEW_ROWS, RESNET_TENSORS), truth=ggn)),
        _question(TOP_OF_GGN, RESNET, ggn, top_by_rows(_LARGE_TOP, few[1:])),
        _question(DENSITY_OF_GGN, RESNET, ggn, density_methods(few[1:])),
        _question(TOP_OF_HESSIAN, RESNET, hessian, _LARGE_TOP),
    ]  # fmt: skip
    # Most targets are told of these: most methods that use the network are to have five repeats.
    return [(question, replace(asked, most_s=16.0)) for question, asked in found]


def _by_step() -> list[Asked]:
    found: list[Asked] = []
    for step in (0, 10, 100, 500):
        hessian, ggn = (MLP_SPEC.format(operator=operator, step=step) for operator in ("hessian", "ggn"))
        found += _all_of(f"MNIST MLP, step {step}", hessian, ggn, MANY_ROWS, 4, STEPS, step)
    return found


def _all_of(
    network: str, hessian: str, ggn: str, rows: tuple[int, ...], checked: int, series: str = "", place: float = 0.0
) -> list[Asked]:
    """Every task, of a small network."""
    return [
        _question(TRACE_OF_HESSIAN, network, hessian, trace_methods(_SMALL_WHOLE, rows, checked), series, place),
        _question(DIAGONAL_OF_GGN, network, ggn, diagonal_methods(ggn, rows), series, place),
        _question(DIAGONAL_OF_HESSIAN, network, hessian, _curved_diagonal(rows, checked), series, place),
        _question(TOP_OF_GGN, network, ggn, top_by_rows(_SMALL_TOP, rows), series, place),
        _question(DENSITY_OF_GGN, network, ggn, density_methods(rows), series, place),
        _question(TOP_OF_HESSIAN, network, hessian, _SMALL_TOP, series, place),
    ]


def _curved_diagonal(rows: tuple[int, ...], checked: int) -> AskedMethods:
    """Methods of the diagonal of a Hessian that is not its GGN's."""
    counts = tuple(count + checked for count in rows)
    methods = {"hutchinson-diagonal": (10, 40, 160), "xdiag": (40, 160), "split-diagonal": counts}
    methods |= EXACT_OF_HESSIAN
    return AskedMethods("diagonal", "relative_norm", MappingProxyType(methods))


def _of_others() -> list[Asked]:
    """Few samples where the truth would take minutes."""
    found = _all_of("tanh MLP on digits", "digits-mlp[step=500]", "digits-mlp[operator=ggn,step=500]", MANY_ROWS, 4)
    for name, spec in (
        ("cnn-3c3d, trained, 20 images", "cnn-3c3d[per_class=2]"),
        ("cnn-3c3d at random weights, 20 images", "cnn-3c3d[per_class=2,weights=random]"),
        ("ResNet20 at random weights, 64 images", "resnet20-cifar10[weights=random]"),
    ):
        few = FEW_ROWS[:10]
        found += [
            _question(TRACE_OF_HESSIAN, name, spec, trace_methods(_LARGE_WHOLE, few, RESNET_TENSORS)),
            _question(TOP_OF_GGN, name, ggn_of(spec), top_by_rows(_LARGE_TOP, few[1:])),
        ]
        if spec != "cnn-3c3d[per_class=2,weights=random]":
            more = (DIAGONAL_OF_GGN, diagonal_methods(ggn_of(spec), few)), (DENSITY_OF_GGN, density_methods(few[1:]))
            found += [_question(task, name, ggn_of(spec), replace(asked, most_s=3.0)) for task, asked in more]
    return found


def _by_images() -> list[Asked]:
    found: list[Asked] = []
    for per_class in (10, 40, 160):
        images = 10 * per_class
        for operator, name, asked in (
            ("ggn", TRACE_OF_GGN, trace_methods(_SMALL_WHOLE, MANY_ROWS)),
            ("hessian", TOP_OF_HESSIAN, _SMALL_TOP),
        ):
            spec = f"mlp[data=mnist-7x7,operator={operator},per_class={per_class},recipe=momentum:0,step=500]"
            found.append(_question(name, f"MNIST MLP, {images} images", spec, replace(asked, also={}), IMAGES, images))
    return found


def _by_resnet_images() -> list[Asked]:
    """The trace wherever all rows can be squared, the top where its truth ships or takes seconds."""
    found: list[Asked] = []
    for samples in (64, 128, 256, 1024):
        spec = RESNET_SPEC.format(operator="ggn", samples=samples)
        rows = tuple(count * samples // 64 for count in (16, 32, 48, 64, 80, 96))
        drawn = tuple(sorted({*(count for count in FEW_ROWS if count <= rows[-1]), *rows}))
        whole: Budgets = {"hutchinson": (5, 10, 20) if samples <= _FEW_IMAGES else (5, 10)}
        by_rows = {"heavy-rows": rows, "sampled-rows": drawn}
        network = f"ResNet20, {samples} images"
        trace = AskedMethods("trace", "relative", MappingProxyType({**whole, **by_rows}))
        found.append(_question(TRACE_OF_GGN, network, spec, trace, RESNET_IMAGES, samples))
        if samples <= _FEW_IMAGES:
            top = top_by_rows(top_methods((26, 28, 30, 32, 34, 36), (), ()), tuple(range(32, rows[-1] + 1, _CHUNK)))
            found.append(_question(TOP_OF_GGN, network, spec, top, RESNET_IMAGES, samples))
    return found

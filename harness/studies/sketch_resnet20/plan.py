"""What the study runs at each scale, in units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from hessbench.reports.sketch_resnet20 import named
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.sketch_resnet20.runs import measure_lanczos, measure_runs
from hessbench.studies.sketch_resnet20.sketches import measure_ggn_traces, measure_sketches, measure_traces
from hessbench.studies.sketch_resnet20.truths import measure_ggn, measure_published, measure_truth
from hessbench.studies.unit import Unit

_POWER: Final = 450.0
"""Products that power iteration takes to its end, about."""

_MOST: Final = 1000
"""Products at which it is ended: more than twice what the document counts, and above the 914 that were seen."""

_STEPS: Final = 60
_LONG: Final = 100


@dataclass(frozen=True)
class OtherNetwork:
    """A network on which the claims are looked at beside the document's.

    Attributes:
        spec: Of the problem.
        product_s: Seconds of a product there.
        power: Products that power iteration takes to its end there, about.
        truth_s: Seconds until its first 20 are certified, its training included where it is trained when first needed.
        repeats: Starts of Lanczos and draws of the sketch.
    """

    spec: str
    product_s: float
    truth_s: float
    repeats: int
    power: float = _POWER


RESNET_256: Final = "resnet20-cifar10[samples=256]"
AKAMASTER: Final = "resnet20-cifar10[weights=akamaster]"
CNN: Final = "cnn-3c3d[data=cifar10]"
MLP: Final = "mlp[activation=relu,data=mnist,run={run},widths=128-128]"
VGG: Final = "vgg11-bn[data=cifar10]"


def plan_units(setting: StudySetting) -> tuple[Unit, ...]:
    """The units of the study: the document's network, its GGN, and the others.

    Args:
        setting: At `small` two trained ResNet20 on 64 images, a convolutional network and three independent trainings
            of an MLP; at `medium` more starts, ten trainings of the MLP, five of the convolutional network, the
            document's network on 256 images, and vgg11-bn.
    """
    if setting.scale is Scale.MEDIUM:
        return _medium(setting)
    others = [
        *(OtherNetwork(MLP.format(run=run), 0.004, 16.0, 3) for run in setting.runs(3)),
        OtherNetwork(CNN, 0.063, 45.0, 2, 900.0),
        OtherNetwork(AKAMASTER, 0.1, 3.0, 2),
    ]
    return (*_document(setting, 0.093), *(unit for it in others for unit in _network(it, setting)))


def _medium(setting: StudySetting) -> tuple[Unit, ...]:
    others = [
        OtherNetwork(AKAMASTER, 0.02, 3.0, 5),
        OtherNetwork(RESNET_256, 0.04, 120.0, 5),
        *(OtherNetwork(CNN[:-1] + f",run={run}]", 0.01, 60.0, 5) for run in setting.runs(5)),
        *(OtherNetwork(MLP.format(run=run), 0.004, 20.0, 5) for run in setting.runs(10)),
        OtherNetwork(VGG, 0.05, 420.0, 5),
    ]
    return (*_document(setting, 0.02), *(unit for it in others for unit in _network(it, setting)))


def _document(setting: StudySetting, product_s: float) -> list[Unit]:
    """Everything on the document's own network: five starts and draws, fewer of what no verdict rests on."""
    spec, device = named.DOCUMENT, setting.device
    five, two = setting.runs(5), setting.runs(2)

    def top(method: str, budgets: tuple[int, ...], repeats: range, products: float) -> Unit:
        measure = partial(measure_runs, spec=spec, method=method, budgets=budgets, repeats=repeats, device=device)
        return Unit(f"{spec}: {method}", measure, 2 + 1.1 * products * product_s)

    def trace(method: str, budgets: tuple[int, ...], repeats: range) -> Unit:
        measure = partial(measure_traces, spec=spec, method=method, budgets=budgets, repeats=repeats, device=device)
        return Unit(f"{spec}: trace by {method}", measure, 2 + 1.1 * sum(budgets) * len(repeats) * product_s)

    def lanczos(method: str, budgets: tuple[int, ...], repeats: range) -> Unit:
        measure = partial(measure_lanczos, spec=spec, method=method, budgets=budgets, repeats=repeats, device=device)
        return Unit(f"{spec}: {method}", measure, 2 + 1.2 * sum(budgets) * product_s)

    once = range(five.start, five.start + 1)
    return [
        Unit(f"{spec}: truth", partial(measure_truth, spec=spec, trace=True), 3.0),
        lanczos(named.LANCZOS, (_LONG, *[_STEPS] * 4), five),
        lanczos(named.LANCZOS_NONE, (_LONG,), once),
        Unit(
            f"{spec}: sketches", partial(measure_sketches, spec=spec, repeats=five, device=device), _drawn(5, product_s)
        ),
        top(named.SHARED, named.SIZES, two, 2.0 * sum(named.SIZES)),
        trace(named.HUTCHPP, named.SIZES, once),
        trace(named.SLQ, (200,), once),
        top(named.POWER, (_MOST,), once, _POWER),
        top(named.REFINED, (_LONG,), once, 1.5 * _LONG),
        top(named.RANGE, named.SIZES, once, 1.0 * sum(named.SIZES)),
        Unit(f"{named.GGN}: spectrum", partial(measure_ggn, spec=named.GGN), 3.0),
        Unit(f"{named.GGN}: traces", partial(measure_ggn_traces, spec=named.GGN, repeats=five), 80.0),
        Unit("published sketches of made-up matrices", measure_published, 1.0),
    ]


def _network(net: OtherNetwork, setting: StudySetting) -> list[Unit]:
    """What the claims need on another network."""
    repeats, device = setting.runs(net.repeats), setting.device
    once = range(repeats.start, repeats.start + 1)
    lanczos = partial(
        measure_lanczos, spec=net.spec, method=named.LANCZOS, budgets=(_STEPS,) * net.repeats, repeats=repeats,
        device=device,
    )  # fmt: skip
    sketches = partial(measure_sketches, spec=net.spec, repeats=repeats, device=device)
    power = partial(
        measure_runs, spec=net.spec, method=named.POWER, budgets=(_MOST,), repeats=once, device=device
    )  # fmt: skip
    return [
        Unit(f"{net.spec}: truth", partial(measure_truth, spec=net.spec, trace=False), net.truth_s),
        Unit(f"{net.spec}: {named.LANCZOS}", lanczos, 2 + 1.2 * _STEPS * net.repeats * net.product_s),
        Unit(f"{net.spec}: sketches", sketches, _drawn(net.repeats, net.product_s)),
        Unit(f"{net.spec}: {named.POWER}", power, 2 + 1.1 * net.power * net.product_s),
    ]


def _drawn(repeats: int, product_s: float) -> float:
    """Predicted seconds of nested sketches: their products, and the signs and inner products."""
    return 2 + repeats * (named.SIZES[-1] * product_s + 1.0)

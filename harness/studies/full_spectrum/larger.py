"""Larger networks: the document's pipeline on their own products, beside the exact spectrum of the GGN."""

from __future__ import annotations

import time

import numpy as np
import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import Density
from hessbench.estimand.base import Array
from hessbench.methods.attribution import rayleigh_share
from hessbench.methods.density.deflation import deflate
from hessbench.methods.density.normalisation import find_escape, normalise
from hessbench.problems.spectra.bulk_bootstrap import gap_ratios
from hessbench.reports.full_spectrum import method_verdicts as names
from hessbench.reports.full_spectrum.groups import CLASSES, LARGE, TrainedGroup
from hessbench.seeding import derive_seed, make_generator
from hessbench.studies.full_spectrum.exact import LAST, class_means
from hessbench.studies.full_spectrum.networks import accuracy, built, catalog, chosen_rate, spec_of
from hessbench.studies.full_spectrum.pipelines import PIPELINES, score_pipelines
from hessbench.studies.units import UnitCosts, UnitRecord, costs_of

_TOP_STEPS = 200
_DEFLATION = 100
_BOUNDS = 64
_CHECK = 64


def measure_perceptron(record: UnitRecord, group: TrainedGroup, run: int, first: int) -> None:
    """A perceptron whose GGN has a known spectrum by its Gram matrix: every pipeline on G, and the outliers of H.

    Args:
        record: Takes it down.
        group: How it is trained; N C must be small enough for the Gram matrix.
        run: Number of the training.
        first: Number of the training on which the learning rate is chosen.
    """
    rate = chosen_rate(group, first)
    record.add("rate", rate, problem=LARGE)
    G = built(spec_of(group, run, rate, "ggn"))
    arrays = catalog().problem(spec_of(group, run, rate, "ggn")).references[Density](Density()).arrays
    counts = np.rint(arrays["weights"] * G.dim).astype(np.int64)
    exact = np.repeat(arrays["nodes"], counts)
    record.add("zero-share-of-g", float((exact <= 1e-10 * exact[-1]).mean()), problem=LARGE)
    score_pipelines(record, LARGE, G, exact, run, names.BUDGET, PIPELINES)
    H = built(spec_of(group, run, rate, "hessian"))
    found = deflate(H, "lanczos", 2 * LAST, _TOP_STEPS, make_generator(derive_seed("full-spectrum top", str(run))))
    order = np.argsort(found.values)[::-1]
    top = found.values[order]
    ratios = gap_ratios(top[: LAST + 1], 2, LAST)
    record.add("gap-place", 2 + int(ratios.argmax()), problem=LARGE)
    record.add("gap-h", float(ratios.max()), problem=LARGE)
    record.add("residual-of-top", found.residual / float(top[0]), problem=LARGE)
    few = found.vectors[:, torch.as_tensor(order[: CLASSES - 1].copy())].contiguous()
    record.add("rayleigh-share", float(rayleigh_share(G, H, few).min()), problem=LARGE)
    truth = exact[::-1][: CLASSES - 1]
    record.add("outlier-shift", float((np.abs(top[: CLASSES - 1] - truth) / top[: CLASSES - 1]).max()), problem=LARGE)
    class_means(record, LARGE, G, few)
    record.keep("top-h", top[:LAST])
    record.keep("top-g", exact[::-1][:LAST])


def measure_training(record: UnitRecord, family: str, group: TrainedGroup, run: int, rate: float) -> None:
    """Train a network with one rate of the grid, and keep its weights; its share of test images that are right.

    Args:
        record: Takes it down.
        family: Architecture.
        group: How it is trained.
        run: Number of the training.
        rate: First learning rate.
    """
    problem = f"{family} {group.data} n={group.per_class} rate={rate:g}"
    record.add("accuracy", accuracy(spec_of(group, run, rate, "hessian", family=family)), problem=problem)


def measure_convolutional(
    record: UnitRecord, family: str, group: TrainedGroup, run: int, first: int, device: str, *, splits: tuple[str, ...]
) -> None:
    """The pipeline on H, G and R of a network of which no exact spectrum is known, in float32.

    Args:
        record: Takes it down.
        family: Architecture.
        group: How it is trained.
        run: Number of the training.
        first: Number of the training on which the learning rate is chosen.
        device: Where products are made.
        splits: Images the matrices are a mean over.
    """
    rate = chosen_rate(group, first, family)
    problem = f"{family} {group.data} n={group.per_class}"
    record.add("rate", rate, problem=problem)
    where = torch.device(device)
    for split in splits:
        for operator in ("hessian", "ggn", "residual"):
            op = built(spec_of(group, run, rate, operator, split, family=family), where, torch.float32)
            _pipeline(record, problem, f"{operator} {split}", op, run)


def _pipeline(record: UnitRecord, problem: str, what: str, op: object, run: int) -> None:
    counted = CountingOperator(op, names.BUDGET + _DEFLATION + _BOUNDS + _CHECK)  # pyright: ignore[reportArgumentType]
    generator = torch.Generator(counted.device).manual_seed(derive_seed("full-spectrum large", what, str(run)) % 2**63)
    start = time.perf_counter()
    found = deflate(counted, "lanczos", CLASSES, _DEFLATION, generator)
    spec = f"lanczos-density[by=lanczos,deflation={CLASSES},share=0.25]"
    estimate = catalog().method(spec, Density()).run(counted, names.BUDGET, generator)
    seconds = time.perf_counter() - start
    costs = costs_of(counted, seconds)
    nodes, weights = (np.asarray(part, dtype=np.float64) for part in estimate.value)
    for place, value in enumerate(found.values):
        record.add(f"{what}: value {place + 1}", float(value), problem=problem, method=names.BY_LANCZOS, costs=costs)
    record.keep(what, _sorted(nodes, weights))
    bounds = normalise(counted, generator=generator, steps=_BOUNDS)
    beyond = find_escape(counted, bounds.low, bounds.high, num_matvecs=_CHECK, generator=generator)
    record.add(f"{what}: escape", beyond, problem=problem, costs=UnitCosts(num_matvecs=bounds.spent + _CHECK))


def _sorted(nodes: Array, weights: Array) -> Array:
    order = np.argsort(nodes)
    return np.stack([nodes[order], weights[order]])

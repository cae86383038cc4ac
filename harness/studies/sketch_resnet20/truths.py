"""The truths of the study: certified first eigenvalues, traces, and the exact spectrum of the GGN."""

from __future__ import annotations

import csv
from importlib import resources
from typing import Any, Final

import numpy as np
import torch

from hessbench.catalog import load_catalog
from hessbench.estimand import Density, TopEigenvalues, Trace
from hessbench.problem import Problem
from hessbench.reports.sketch_resnet20 import named
from hessbench.studies.sketch_resnet20.networks import ready_problem
from hessbench.studies.sketch_resnet20.runs import TOP
from hessbench.studies.units import UnitRecord

_PUBLISHED: Final = "published/sketch-study/errors.csv"


def measure_truth(record: UnitRecord, *, spec: str, trace: bool) -> None:
    """Find the certified first 20 of a matrix, and its trace where it is asked for; what ships is read.

    Args:
        record: Where they are kept.
        spec: Of the problem.
        trace: Whether the trace is asked for.
    """
    problem = _problem(spec)
    reference = _finder(problem, TopEigenvalues)(TOP)
    top = reference.arrays["eigenvalues"]
    found = _finder(problem, Trace)(Trace()).arrays if trace else {}
    facts = [found["trace"][0], found["abs_sum"][0]] if found else [np.nan, np.nan]
    record.keep("top", top)
    record.keep("facts", [reference.bound_in("float32"), *facts, problem.dim])
    for value in top:
        record.add(named.TRUTH, value, problem=problem.name, method=str(reference.source))


def measure_ggn(record: UnitRecord, *, spec: str) -> None:
    """Count the eigenvalues of a GGN that are not zero, and the columns of its factor, and keep its exact spectrum.

    Args:
        record: Where they are kept.
        spec: Of the problem.

    Raises:
        ValueError: If the problem is not of a network.
    """
    problem = _problem(spec)
    network: Any = problem.network() if problem.network is not None else None
    if network is None:
        raise ValueError(f"spec must be that of a network, got {spec}")
    with torch.no_grad():
        outputs = network.forward(network.parameters, network.batches[0].inputs)
    reference = _finder(problem, Density)(Density())
    nodes, weights = reference.arrays["nodes"], reference.arrays["weights"]
    counts = np.round(weights * problem.dim)
    beyond = np.abs(nodes) > reference.bound
    record.keep("nodes", nodes)
    record.keep("counts", counts)
    record.add(named.RANK, float(counts[beyond].sum()), problem=problem.name, method=str(reference.source))
    record.add(named.COLUMNS, network.num_samples * outputs.shape[1], problem=problem.name)


def measure_published(record: UnitRecord) -> None:
    """Read the published errors of sketches of made-up matrices, where the table is installed; nothing is run."""
    file = resources.files("hessbench.reports").joinpath(_PUBLISHED)
    if not file.is_file():
        return
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        record.add(
            named.PUBLISHED,
            float(row["median_error_percent"]),
            problem=row["basis"],
            method=f"zero fraction {row['zero_fraction']}, ratio {row['sketch_ratio']}",
        )


def _problem(spec: str) -> Problem:
    return ready_problem(load_catalog(), spec)


def _finder(problem: Problem, kind: Any) -> Any:
    finder = problem.finder(kind)
    if finder is None:
        raise ValueError(f"{problem.name} has no reference of {kind.key}")
    return finder

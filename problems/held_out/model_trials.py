"""Products and references of `from_model` held against dense matrices by torch alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from hessbench.estimand import TopEigenvalues, Trace
from hessbench.operators import LinearOperator, to_dense
from hessbench.problem import Problem
from hessbench.problems.curvature import OPERATORS
from hessbench.problems.engines.table import AUTO, engine_names
from hessbench.problems.from_model import from_model
from hessbench.problems.held_out.losses import HeldOutLoss, losses_of
from hessbench.problems.held_out.model import HeldOutModel
from hessbench.problems.held_out.plain_curvature import PlainCurvature
from hessbench.problems.monte_carlo_fisher import fisher_network
from hessbench.problems.network import Network
from hessbench.seeding import derive_seed, make_generator

ROUNDING: Final = 1e-13
"""Error accepted relative to the size of the squared Jacobian, where the curvature itself has cancelled."""
DRAWS: Final = 5
"""Targets drawn for each sample, for the Monte-Carlo Fisher matrix."""

_NO_SENTENCE: Final = (RuntimeError, AttributeError, TypeError, LookupError, ArithmeticError, AssertionError)


@dataclass(frozen=True)
class ModelTrial:
    """What became of one matrix of one network by one engine.

    Attributes:
        name: Architecture, loss, operator, engine and seed: enough to make it again.
        outcome: Right, wrong, or refused with a sentence.
        error: Largest error of an entry over the largest entry of the truth; NaN if refused.
        detail: Why it is refused, or what is wrong.
    """

    name: str
    outcome: Literal["right", "wrong", "refused"]
    error: float
    detail: str = ""


@dataclass(frozen=True)
class Case:
    """A network with its data and its dense truth."""

    plain: PlainCurvature
    targets: Tensor


@lru_cache(maxsize=4)
def drawn_case(model: HeldOutModel, loss: HeldOutLoss, seed: int) -> Case:
    """Draw weights, inputs and targets; one seed, one case."""
    module, inputs = model.draw(seed)
    with torch.no_grad():
        outputs = module(inputs.clone())
    generator = make_generator(derive_seed("held-out-targets", model.name, loss.name, str(seed)))
    targets = loss.targets(outputs, model.fitted, generator)
    objective = loss.objective(model.outputs)
    return Case(PlainCurvature(module, inputs, lambda outputs: objective(outputs, targets), loss.mean), targets)


def model_trial(
    model: HeldOutModel, loss: HeldOutLoss, operator: str, engine: str = AUTO, seed: int = 0, *, references: bool = True
) -> ModelTrial:
    """Make a matrix of a network by `from_model` in float64, and compare it with the definition.

    Args:
        model: The architecture.
        loss: A loss that its outputs allow.
        operator: One of `hessbench.problems.curvature.OPERATORS`.
        engine: A name of `hessbench.problems.engines.table.engine_names`.
        seed: Of weights and data.
        references: Whether the references of trace and top eigenvalues are held against the truth as well.

    Cost: n products and a dense Hessian; milliseconds for n below 100.
    """
    name = f"{model.name} {loss.name} {operator} {engine} seed={seed}"
    case = drawn_case(model, loss, seed)
    drawn = {"mc_samples": DRAWS, "seed": seed} if operator == "monte-carlo-fisher" else {}
    with _plain_attention():
        try:
            problem = from_model(
                case.plain.module, loss.make(model.outputs), (case.plain.inputs, case.targets), operator=operator,
                dtype=torch.float64, name="held-out", engine=engine, **drawn,
            )  # fmt: skip
            op = problem.build(torch.device("cpu"), torch.float64)
            found = to_dense(op)
        except ValueError as refusal:
            return ModelTrial(name, "refused", float("nan"), str(refusal))
        except _NO_SENTENCE as failure:
            return ModelTrial(name, "wrong", float("nan"), f"{type(failure).__name__}: {failure}".splitlines()[0])
        truth = (
            _fisher(case.plain, problem, seed)
            if operator == "monte-carlo-fisher"
            else _dense_truth(model, loss, seed, "ggn" if operator == "gram" else operator)
        )
        if operator == "gram":
            found, truth = _spectra(found, truth)
        accepted = model.tolerance * float(truth.abs().max()) + ROUNDING * case.plain.size
        gap = float((found - truth).abs().max())
        size = max(float(truth.abs().max()), accepted / model.tolerance)
        if not gap <= accepted:
            return ModelTrial(name, "wrong", gap / size, f"products differ by {gap:.2g}, accepted {accepted:.2g}")
        wrong = _wrong_references(problem, op, truth, accepted) if references else ""
    return ModelTrial(name, "wrong" if wrong else "right", gap / size, wrong)


def trials_of(model: HeldOutModel, seed: int = 0, *, every_engine: bool = False) -> Iterator[ModelTrial]:
    """Every loss and operator of an architecture, by `auto` or by every engine that takes no compiler."""
    for loss in losses_of(model.outputs):
        for operator in OPERATORS:
            names = engine_names(operator) if every_engine else (AUTO,)
            for engine in names:
                if engine != "compiled":
                    yield model_trial(model, loss, operator, engine, seed, references=engine == AUTO)


@lru_cache(maxsize=8)
def _dense_truth(model: HeldOutModel, loss: HeldOutLoss, seed: int, operator: str) -> Tensor:
    """The matrix by its definition, once for all engines."""
    return drawn_case(model, loss, seed).plain.matrix(operator)


def _fisher(plain: PlainCurvature, problem: Problem, seed: int) -> Tensor:
    """The matrix of the draws that the problem makes; the draws are its own, what is made of them is not."""
    network = problem.network() if problem.network is not None else None
    assert isinstance(network, Network)
    return plain.fisher(torch.cat([batch.targets for batch in fisher_network(network, DRAWS, seed).batches]))


def _spectra(gram: Tensor, ggn: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of a Gram matrix and of the GGN, the shorter one filled with zeros."""
    width = max(gram.shape[0], ggn.shape[0])
    ends = [nn_pad(torch.linalg.eigvalsh((A + A.T) / 2), width) for A in (gram, ggn)]
    return ends[0], ends[1]


def nn_pad(eigenvalues: Tensor, width: int) -> Tensor:
    """Eigenvalues with zeros to a width, ascending."""
    return torch.cat([eigenvalues, eigenvalues.new_zeros(width - eigenvalues.numel())]).sort().values


def _wrong_references(problem: Problem, op: LinearOperator, truth: Tensor, accepted: float) -> str:
    """What references say that is further from the truth than their bound, and than entries may differ; else empty."""
    eigenvalues = (truth if truth.ndim == 1 else torch.linalg.eigvalsh((truth + truth.T) / 2)).numpy()
    ranked = np.sort(np.abs(eigenvalues))[::-1]
    n = eigenvalues.size
    answers: list[tuple[Any, Any]] = [
        (Trace(), np.array(eigenvalues.sum())),
        (TopEigenvalues(min(5, op.dim)), ranked[: min(5, op.dim)]),
    ]
    for estimand, value in answers:
        reference = problem.references[type(estimand)](estimand)
        (key,) = (key for key in ("trace", "eigenvalues") if key in reference.arrays)
        gap = float(np.abs(np.abs(reference.arrays[key]) - np.abs(value)).max())
        allowed = reference.bound_in("float64") + n * accepted
        if not gap <= allowed:
            return f"reference of {estimand.spec} off by {gap:.2g}, bound {reference.bound_in('float64'):.2g}"
    return ""


def _plain_attention() -> Any:
    """Attention that torch can differentiate twice."""
    return sdpa_kernel(SDPBackend.MATH)

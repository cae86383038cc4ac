"""Products and references of `from_model` compared with dense matrices by torch alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import TopEigenvalues, Trace
from hessbench.exceptions import named_line
from hessbench.operators import LinearOperator, to_dense
from hessbench.problem import Problem
from hessbench.problems.curvature.engines.table import AUTO, engine_names
from hessbench.problems.curvature.matrices import OPERATORS
from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.held_out.architectures import held_out_models
from hessbench.problems.held_out.losses import HeldOutLoss, losses_of
from hessbench.problems.held_out.model import HeldOutModel
from hessbench.problems.held_out.plain_curvature import PlainCurvature
from hessbench.problems.networks.network import Network
from hessbench.problems.user_model.from_model import from_model
from hessbench.seeding import derive_seed, make_generator

ROUNDING: Final = 1e-13
"""Error accepted relative to the size of the squared Jacobian, where the curvature itself has cancelled."""
DRAWS: Final = 5
"""Targets drawn for each sample, for the Monte-Carlo Fisher matrix."""
STRIDE: Final = 89
"""Step from one architecture to the next, a prime, so that a short check meets every kind."""

_NO_SENTENCE: Final = (RuntimeError, AttributeError, TypeError, LookupError, ArithmeticError, AssertionError)


@dataclass(frozen=True)
class ModelTrial:
    """What became of one matrix of one network by one engine.

    Attributes:
        name: Architecture, loss, operator, engine and seed: enough to make it again.
        outcome: Right; refused with a sentence, where it may be; or wrong, which a refusal of what is to be accepted
            is as well.
        error: Largest error of an entry over the largest entry of the truth; NaN if there is no matrix.
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
        operator: One of `hessbench.problems.curvature.matrices.OPERATORS`.
        engine: A name of `hessbench.problems.curvature.engines.table.engine_names`.
        seed: Of weights and data.
        references: Whether the references of trace and top eigenvalues are compared with the truth as well.

    Cost: n products and a dense Hessian; milliseconds for n below 100.
    """
    name = f"{model.name} {loss.name} {operator} {engine} seed={seed}"
    case = drawn_case(model, loss, seed)
    draws = operator == "monte-carlo-fisher"
    try:
        problem = from_model(
            case.plain.module, loss.make(model.outputs), (case.plain.inputs, case.targets), operator=operator,
            dtype=torch.float64, name="held-out", engine=engine,
            mc_samples=DRAWS if draws else 1, seed=seed if draws else 0,
        )  # fmt: skip
        op = problem.build(torch.device("cpu"), torch.float64)
        found = to_dense(op)
    except ValueError as refusal:
        rightly = _rightly_refused(model, loss, operator, engine, seed, str(refusal))
        return ModelTrial(
            name, "refused" if rightly else "wrong", float("nan"), f"{'' if rightly else 'refused: '}{refusal}"
        )
    except _NO_SENTENCE as failure:
        return ModelTrial(name, "wrong", float("nan"), named_line(failure))
    truth = (
        _fisher(case.plain, problem, seed)
        if draws
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


def held_out_trial(seed: int) -> ModelTrial:
    """One trial drawn from a seed; consecutive seeds meet every architecture, each with a loss and a matrix of its own.

    Half of the trials of a matrix with several engines take `auto`, the others one by its name, none that compiles.
    """
    models = held_out_models()
    generator = np.random.default_rng([seed, 0x40DE])
    model = models[seed * STRIDE % len(models)]
    losses = losses_of(model.outputs)
    loss = losses[int(generator.integers(len(losses)))]
    operator = OPERATORS[int(generator.integers(len(OPERATORS)))]
    engines = [name for name in engine_names(operator) if name not in (AUTO, "compiled")]
    by_name = bool(engines) and generator.random() < 0.5
    engine = engines[int(generator.integers(len(engines)))] if by_name else AUTO
    return model_trial(model, loss, operator, engine, seed, references=not by_name)


def _rightly_refused(
    model: HeldOutModel, loss: HeldOutLoss, operator: str, engine: str, seed: int, sentence: str
) -> bool:
    """Whether torch has no second derivative, the loss no root, or the engine asked for says that it is not for this.

    A matrix that is zero may be refused too.
    """
    if operator in ("gram", "monte-carlo-fisher") and not loss.has_root:
        return True
    by_engine = {AUTO: "", "rules": "no rule for"}.get(engine, engine)
    named = [word for word in (model.refused, loss.refused, by_engine) if word]
    if any(word in sentence for word in named):
        return True
    known = operator not in ("gram", "monte-carlo-fisher") and not (model.refused or loss.refused)
    return known and not bool(_dense_truth(model, loss, seed, operator).any())


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
    ends = [_filled(torch.linalg.eigvalsh((A + A.T) / 2), width) for A in (gram, ggn)]
    return ends[0], ends[1]


def _filled(eigenvalues: Tensor, width: int) -> Tensor:
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

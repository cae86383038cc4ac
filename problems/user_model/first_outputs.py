"""A user's model called for the first time: in which way, on a few samples, and what comes out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from hessbench.exceptions import first_line
from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Batch, Forward
from hessbench.problems.user_model.calling import Arguments, OtherOutput
from hessbench.problems.user_model.sample_mixing import SHOWN, TRIED, compared, refuse_mixing

CPU: Final = torch.device("cpu")
FAILURES: Final = (RuntimeError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError)
"""What a model may raise that cannot be called so."""


def way_to_call(
    ways: Sequence[Arguments], called: Callable[[Arguments], Forward], at: Tensor, batch: Batch
) -> Arguments:
    """The first way to call a model that it can be called in on two samples; the first of all where there is none.

    Args:
        ways: The ways, the likelier one first.
        called: The forward pass of each.
        at: Parameters.
        batch: The first batch.
    """
    few = batch.part(slice(TRIED)).to(CPU, torch.float64)
    for way in ways if len(ways) > 1 else ():
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                called(way)(at.double(), few.inputs)
            except OtherOutput:
                return way
            except FAILURES:
                continue
        return way
    return ways[0]


def first_outputs(forward: Forward, parameters: Tensor, batch: Batch) -> Tensor:
    """Outputs (m, ...) of the first samples in float64; more than are returned are compared with each other.

    Raises:
        OtherOutput: If the model returns no tensor.
        ValueError: If the model cannot be called so, is random, mixes samples, or returns something else.
    """
    many = batch.part(slice(compared(batch, parameters))).to(CPU, torch.float64).inputs
    batch = batch.part(slice(SHOWN)).to(CPU, torch.float64)
    parameters = parameters.double()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            found = forward(parameters, batch.inputs)
        except OtherOutput:
            raise
        except FAILURES as failure:
            raise ValueError(call_failure(failure, batch.inputs)) from failure
        if found.ndim == 0 or found.shape[0] != batch.size or found.numel() == 0:
            raise ValueError(
                f"the model returns shape {tuple(found.shape)} for {batch.size} samples: (m, C) is needed, or (m,) or "
                "(m, ..., C), the samples along the first axis"
            )
        if found.dtype != torch.float64:
            raise ValueError(
                f"the model returns {found.dtype} for weights and inputs of torch.float64: let it create tensors in "
                "the dtype of its input, and cast nothing"
            )
        if not torch.equal(found, forward(parameters, batch.inputs)) and bool(found.isfinite().all()):
            raise ValueError("the model returns other outputs when it is called again: it must not draw at random")
        refuse_mixing(forward, parameters, many)
    return found


def outputs_shapes(
    forward: Forward, parameters: Tensor, batches: Sequence[Batch], shown: Tensor
) -> list[tuple[int, ...]]:
    """What the outputs of a sample look like in each batch: as in the first one where they are (m, C).

    Args:
        forward: Outputs (m, ...).
        parameters: Where.
        batches: The data.
        shown: Outputs of samples of the first batch.

    Cost: one pass of the first sample of every further batch, where a sample has more axes.

    Raises:
        ValueError: If the model cannot be called on one of them.
    """
    shapes = [tuple(shown.shape[1:])] * len(batches)
    if len(shapes[0]) == 1:
        return shapes
    for number, batch in enumerate(batches[1:], 1):
        one = batch.part(slice(1)).inputs
        with torch.no_grad():
            try:
                shapes[number] = tuple(forward(parameters, one).shape[1:])
            except FAILURES as failure:
                raise ValueError(call_failure(failure, one)) from failure
    return shapes


def call_failure(failure: Exception, inputs: Inputs) -> str:
    """Why the model could not be called."""
    said = first_line(failure).rstrip(".")
    if (
        isinstance(inputs, Tensor)
        and not inputs.is_floating_point()
        and not isinstance(failure, IndexError)
        and re.search(r"dtype|type|Float|Double", said)
    ):
        return (
            f"the inputs are {inputs.dtype} and the model takes floating numbers ({said}): convert them, as in "
            "inputs.float()"
        )
    return f"the model cannot be called on the data in torch.float64 and torch.float32 on the CPU: {said}"

"""The networks of the study: one perceptron on 7 x 7 MNIST, at steps of plain descent, from many seeds."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.problem import Problem
from hessbench.problems.networks.network import Network
from hessbench.reports.capstone.measures import LATE, STEPS

RECIPE: Final = "momentum:0"
"""Plain descent at rate 0.1 on minibatches of 64: what the built-in recipe is without its momentum."""

LONG: Final = f"momentum:0+steps:{LATE}"
"""The same training, carried on; its minibatches are the same."""

PER_CLASS: Final = 50
"""Training images of each class: 500."""

SEEN_PER_CLASS: Final = 20
"""Test images of each class on which the kernel lives: 200."""


@cache
def catalog() -> Catalog:
    """Problems and methods, collected once."""
    return load_catalog()


def spec(run: int, step: int, operator: str = "hessian", *, units: int = 32, test: bool = False) -> str:
    """Spec of a curvature matrix of one network at one step.

    Args:
        run: Number of the training.
        step: Updates made.
        operator: Which matrix.
        units: Hidden units.
        test: On 200 test images, in place of the 500 it is trained on.
    """
    recipe = RECIPE if step <= STEPS[-1] else LONG
    where = f"per_class={SEEN_PER_CLASS},split=test" if test else f"per_class={PER_CLASS}"
    return (
        f"mlp[data=mnist-7x7,operator={operator},{where},recipe={recipe},run={run},step={step},"
        f"train_per_class={PER_CLASS},widths={units}]"
    )


def problem(run: int, step: int, operator: str = "hessian", *, units: int = 32, test: bool = False) -> Problem:
    """The problem of `spec`.

    Args:
        run: Number of the training.
        step: Updates made.
        operator: Which matrix.
        units: Hidden units.
        test: On 200 test images, in place of the 500 it is trained on.

    Raises:
        ValueError: If it cannot be had here, with the remedy.
    """
    found = catalog().problem(spec(run, step, operator, units=units, test=test))
    if found.refusal:
        raise ValueError(f"{found.name}: {found.refusal}")
    return found


def network_of(
    run: int,
    step: int,
    *,
    units: int = 32,
    test: bool = False,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Network:
    """The network at a step, trained where it is not kept yet.

    Args:
        run: Number of the training.
        step: Updates made.
        units: Hidden units.
        test: On 200 test images, in place of the 500 it is trained on.
        device: Where it lives.
        dtype: In which it is computed.
    """
    # Not by `problem`, which refuses a wide network until it is trained: making the network trains it.
    asked = catalog().problem(spec(run, step, units=units, test=test))
    assert asked.network is not None
    made: Any = asked.network()
    return made.to(torch.device(device), dtype)

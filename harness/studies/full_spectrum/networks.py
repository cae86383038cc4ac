"""The networks: specs, the document's recipe, and its choice of a learning rate by test accuracy."""

from __future__ import annotations

from functools import cache
from typing import Final, cast

import torch
from torch import Tensor

from hessbench.catalog import Catalog, load_catalog
from hessbench.operators import LinearOperator, to_dense
from hessbench.problems.networks.network import Network
from hessbench.reports.full_spectrum.groups import TrainedGroup

RATES: Final = (0.1, 0.075, 0.05, 0.025, 0.01)
"""The document's grid for MNIST and Fashion-MNIST."""

TEST_PER_CLASS: Final = 50
"""Test images of each class that a test matrix is a mean over."""

_EPOCHS: Final = 200
_BATCH: Final = 128
_SELECTING: Final = 100


@cache
def catalog() -> Catalog:
    """Every problem and method, once."""
    return load_catalog()


def recipe(group: TrainedGroup, rate: float) -> str:
    """The document's recipe as a word of a spec; a batch is no larger than the samples."""
    batch = min(_BATCH, 10 * group.per_class)
    return f"rate:{rate:g}+momentum:0.9+decay:0.0005+batch:{batch}+schedule:thirds+epochs:{_EPOCHS}"


def steps_of(group: TrainedGroup) -> int:
    """Updates of the document's recipe."""
    samples = 10 * group.per_class
    return _EPOCHS * (samples // min(_BATCH, samples))


def spec_of(
    group: TrainedGroup,
    run: int,
    rate: float,
    operator: str,
    split: str = "train",
    *,
    family: str = "",
    engine: str = "",
) -> str:
    """A matrix of a network.

    Args:
        group: How it is trained.
        run: Number of the training.
        rate: Its first learning rate.
        operator: hessian or ggn.
        split: Images the matrix is a mean over: those trained on, or `TEST_PER_CLASS` of each class for test.
        family: Another architecture than the perceptron of the group.
        engine: How products are made; the fastest where it is empty.
    """
    images = group.per_class if split == "train" else TEST_PER_CLASS
    shape = f"widths={group.widths},activation={group.activation}," if not family else ""
    chosen = f",engine={engine}" if engine else ""
    return (
        f"{family or 'mlp'}[data={group.data},{shape}operator={operator},split={split},per_class={images},run={run},"
        f"train_per_class={group.per_class},recipe={recipe(group, rate)}{chosen}]"
    )


def built(spec: str, device: torch.device | None = None, dtype: torch.dtype = torch.float64) -> LinearOperator:
    """The operator of a spec; the network is trained where it is not kept."""
    return catalog().problem(spec).build(device or torch.device("cpu"), dtype)


def network_of(op: LinearOperator) -> Network:
    """The network an operator is a matrix of."""
    return cast("Network", op.network)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


@cache
def chosen_rate(group: TrainedGroup, run: int, family: str = "") -> float:
    """The rate of the document's grid with the most test images right; of equal ones the first."""
    return max(RATES, key=lambda rate: accuracy(spec_of(group, run, rate, "hessian", family=family, engine=_PLAIN)))


def dense(spec: str) -> Tensor:
    """The matrix (n, n) of a spec by products with the identity, made symmetric."""
    A = to_dense(built(spec))
    return (A + A.T) / 2


_PLAIN: Final = "kept-graph"


def accuracy(spec: str) -> float:
    """Share of 100 test images of each class that a network gets right; its spec is that of a training matrix."""
    text = spec.replace("split=train", "split=test")
    start = text.index("per_class=")
    end = text.index(",", start)
    network = network_of(built(f"{text[:start]}per_class={_SELECTING}{text[end:]}"))
    right = 0.0
    with torch.no_grad():
        for batch in network.batches:
            outputs = network.forward(network.parameters, batch.inputs)
            right += float((outputs.argmax(dim=1) == batch.targets).sum())
    return right / network.num_samples

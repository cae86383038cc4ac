"""The document's cost ledger: its four computations where there are ten million parameters, and on the way there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch

from hessbench.estimand import Density, Estimand, TopEigenvalues, Trace
from hessbench.reports.capstone.measures import (
    EIGENFUNCTIONS,
    GRANTED,
    HUTCHINSON,
    LANCZOS,
    RANDOMIZED,
    SLQ,
    TEN_MILLION,
    TOP,
)
from hessbench.studies.capstone.computations import ask
from hessbench.studies.capstone.trained import PER_CLASS, SEEN_PER_CLASS, catalog
from hessbench.studies.unit import UnitRecord

SIZES: Final[Mapping[str, int]] = MappingProxyType({"P = 10^5": 287, "P = 10^6": 970, TEN_MILLION: 3132})
"""Units of each of two hidden layers, w^2 + 61 w + 10 parameters, by the name of the size.

A network of one hidden layer would have 166,666 units there, whose activations outweigh the parameters; weights of two
layers are used in matrix products as those of larger networks are.
"""


@dataclass(frozen=True)
class FewProducts:
    """The same method with fewer products, from whose seconds those of all of them follow.

    Attributes:
        method: Spec.
        estimand: What is asked.
        products: Given to it.
    """

    method: str
    estimand: Estimand
    products: int


FEW: Final[Mapping[str, FewProducts]] = MappingProxyType({
    LANCZOS: FewProducts(LANCZOS, TopEigenvalues(TOP), 12),
    HUTCHINSON: FewProducts(HUTCHINSON, Trace(), 10),
    SLQ: FewProducts("slq[probe=signs,steps=6]", Density(), 6),
    RANDOMIZED: FewProducts("randomized-eigh[num_power_iterations=1,oversampling=0]", TopEigenvalues(2), 6),
})  # fmt: skip
"""How each of the document's methods is cut short."""

WHOLE: Final[Mapping[str, Estimand]] = MappingProxyType({
    LANCZOS: TopEigenvalues(TOP), HUTCHINSON: Trace(), SLQ: Density(), RANDOMIZED: TopEigenvalues(EIGENFUNCTIONS),
})  # fmt: skip


def network_spec(size: str, method: str) -> str:
    """Spec of the matrix that a method is asked about at a size; weights are drawn: prices depend on shapes alone."""
    units = SIZES[size]
    kernel = method == RANDOMIZED
    where = f"per_class={SEEN_PER_CLASS},split=test" if kernel else f"per_class={PER_CLASS}"
    operator = "ntk" if kernel else "hessian"
    return f"mlp[data=mnist-7x7,operator={operator},{where},weights=random,widths={units}-{units}]"


def measure_costs(record: UnitRecord, *, size: str, method: str, device: str) -> None:
    """Run a method with few products at a size, and take down what all of them take.

    Products take as long each as those that were made. Own work goes with the passes over vectors that the method
    declares, and so does memory with the vectors it declares to hold.

    Args:
        record: Of the unit.
        size: A name of `SIZES`.
        method: One of the document's four.
        device: Where it runs.

    Cost: the few products.
    """
    few, budget = FEW[method], GRANTED[method]
    asked = catalog().problem(network_spec(size, method))
    begin = time.perf_counter()
    op = asked.build(torch.device(device), torch.float32)
    op.matmat(torch.randn(op.dim, 1, device=op.device))
    build = time.perf_counter() - begin
    answer = ask(few.method, few.estimand, op, few.products, asked.name)
    spending = answer.counted.spending
    spent, in_products = answer.counted.matvecs, spending.operator_s
    own = max(answer.seconds - in_products, 0.0)
    short, whole = catalog().method(few.method, few.estimand), catalog().method(method, WHOLE[method])
    before, after = short.footprint(asked.dim, few.products), whole.footprint(asked.dim, budget)
    assert before is not None
    assert after is not None

    def add(measure: str, value: float) -> None:
        record.add(measure, value, problem=size, method=method)

    add("parameters", catalog().problem(network_spec(size, LANCZOS)).dim)
    add("products", budget)
    add("products_measured", spent)
    add("gradient_equivalents", spending.gradient_equivalents * budget / spent)
    add("build_seconds", build)
    add("product_seconds", in_products * budget / spent)
    add("own_seconds", own * after.passes / before.passes)
    add("basis_bytes", after.vectors * asked.dim * 4)

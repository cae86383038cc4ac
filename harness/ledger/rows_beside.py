"""Rows of a ledger that are not of cells: environments and measured prices, as far as readers need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from hessbench.ledger.record import DamagedRowError
from hessbench.ledger.typed_fields import field_checks


class EnvironmentRow(TypedDict):
    """The conditions that rows refer to by `environment`."""

    environment: str
    facts: Mapping[str, Any]


class _PricedRow(TypedDict):
    problem: str
    measured_problem: str
    kind_of_product: str
    dim: int
    device: str
    dtype: str
    threads: int


class PriceRow(_PricedRow, total=False):
    """The measured price of one product at one dimension, as far as readers need it."""

    seconds: float
    predicted_seconds: float | None
    bandwidth: float
    in_gradients: float
    in_gradients_min: float
    in_gradients_max: float
    column_seconds: float
    gradient_seconds: float


def check_row(row: Mapping[str, Any], declared: type) -> None:
    """Refuse a row that lacks a field of its kind, or holds another type in it; what it adds is left as it is.

    Raises:
        DamagedRowError: Naming the field.
    """
    required: frozenset[str] = getattr(declared, "__required_keys__")  # noqa: B009 -- unknown to the type checker
    for name, fits in field_checks(declared).items():
        if not (fits(row[name]) if name in row else name not in required):
            raise DamagedRowError(f"{name} does not hold what it should")

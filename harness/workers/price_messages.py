"""What a job says that measures prices: of products, of a build, and of a run beside its products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class _Priced:
    """A product that was timed, and where; the columns of a price in the ledger are those of the two kinds of it."""

    problem: str
    measured_problem: str
    kind_of_product: str
    dim: int
    device: str
    dtype: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class Price(_Priced):
    """The price of a product at one dimension, in seconds; bandwidth in bytes a second."""

    seconds: float
    predicted_seconds: float | None
    bandwidth: float

    def __post_init__(self) -> None:
        refuse_negative(dim=self.dim, seconds=self.seconds, bandwidth=self.bandwidth)


@dataclass(frozen=True, kw_only=True)
class UnitPrice(_Priced):
    """The price of one column in gradients of the same problem: median, least and most."""

    nominal: float
    in_gradients: float
    in_gradients_min: float
    in_gradients_max: float
    column_seconds: float
    gradient_seconds: float

    def __post_init__(self) -> None:
        refuse_negative(dim=self.dim, in_gradients=self.in_gradients, column_seconds=self.column_seconds)


@dataclass(frozen=True, kw_only=True)
class BuiltPrice:
    """What building an operator takes.

    Attributes:
        kind_of_product: Kind of its products.
        dim: Its dimension.
        engine: How products are made.
        build_s: Seconds of the build.
        build_peak_bytes: Memory at the peak of the build, above the process before it; null where nobody knows.
        operator_bytes: Memory that the operator keeps, likewise.
        base_bytes: Resident memory of the process before the build, likewise.
        bandwidth: Bytes a second, read and written; null where vectors are short.
    """

    kind_of_product: str
    dim: int
    engine: str
    build_s: float
    build_peak_bytes: int | None
    operator_bytes: int | None
    base_bytes: int | None
    bandwidth: float | None

    def __post_init__(self) -> None:
        refuse_negative(dim=self.dim, build_s=self.build_s)


@dataclass(frozen=True, kw_only=True)
class BlockPrice:
    """What one product with a block takes: seconds, and memory at the peak."""

    kind_of_product: str
    width: int
    seconds: float
    working_bytes: int | None

    def __post_init__(self) -> None:
        refuse_negative(width=self.width, seconds=self.seconds)


@dataclass(frozen=True, kw_only=True)
class MemoryPassPrice:
    """Seconds of a product under the allocator settings of the memory pass, and those with FLOPs counted."""

    kind_of_product: str
    width: int
    seconds: float
    counted_s: float

    def __post_init__(self) -> None:
        refuse_negative(width=self.width, seconds=self.seconds, counted_s=self.counted_s)


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What a run of a method takes beside its products, by a run on a small operator.

    Attributes:
        method: Spec of the method.
        estimand: Spec of the estimand.
        budget: Products that the run it stands for may spend.
        dim: Dimension of the small operator.
        allowed: Products that were allowed on it.
        spent: Products that were spent on it.
        own_s: Seconds outside of products.
        counted_own_s: Those with FLOPs counted.
        blocks: Number of products, by kind and width of the block, as in "product 4".
    """

    method: str
    estimand: str
    budget: int
    dim: int
    allowed: int
    spent: int
    own_s: float
    counted_own_s: float
    blocks: Mapping[str, int]

    def __post_init__(self) -> None:
        refuse_negative(own_s=self.own_s, spent=self.spent)


def refuse_negative(**numbers: float) -> None:
    """Refuse numbers that cannot be, naming the first.

    Raises:
        ValueError: If one is below 0.
    """
    for name, number in numbers.items():
        if number < 0:
            raise ValueError(f"has a negative {name}")

"""What a computation would cost at another size: prices of products, and the method's own traffic.

Seconds = sum over kinds of (products x price of one product at that size) + passes x P x itemsize / bandwidth.
Memory = vectors x P x itemsize. The numbers of products, passes and vectors come from the measured run and from what
its method declares of that size, see `costs.growth`; how another spectrum would change them, nothing says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.reports.costs.prices import Ladder, bandwidth, find, price_at
from hessbench.reports.writing import units

PREDICTED_DIM: Final = 10**7
ONE_WIDTH: Final = (
    "a network is priced at other sizes by the same architecture at two widths or more, which only a family that comes "
    "in several widths has, and only in a run with --prices"
)
"""Why the products of a network may have no price at another size."""

_PLAIN: Final = "product"
_ITEMSIZE: Final[Mapping[str, int]] = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Prediction:
    """Cost of one computation at one size; a part that cannot be said is None, with the reason.

    Attributes:
        products_s: Seconds inside products.
        own_s: Seconds of the method's own arithmetic.
        memory_bytes: The method's own vectors.
        time_reason: Why there is no total time, or what it rests on beside the problem's own ladder.
        memory_reason: Why there is no memory.
    """

    products_s: float | None
    own_s: float | None
    memory_bytes: float | None
    time_reason: str = ""
    memory_reason: str = ""

    @property
    def seconds(self) -> float | None:
        """Products and own arithmetic together."""
        return None if self.products_s is None or self.own_s is None else self.products_s + self.own_s


def own_seconds(passes: float, dim: int, width: int, bandwidth: float) -> float:
    """Seconds of a method's own arithmetic, which is bound by memory.

    Args:
        passes: Vectors read or written.
        dim: Numbers in a vector.
        width: Bytes of a number.
        bandwidth: Bytes per second.
    """
    return passes * dim * width / bandwidth


def own_bytes(vectors: float, dim: int, width: int) -> float:
    """Bytes of `vectors` vectors of `dim` numbers of `width` bytes."""
    return vectors * dim * width


def predict(
    known: Sequence[Ladder],
    *,
    problem: str,
    method: str,
    device: str,
    dtype: str,
    threads: int,
    counts: Mapping[str, float],
    own_vectors: float | None,
    own_passes: float | None,
    dim: int,
) -> Prediction:
    """Predict seconds and bytes at size `dim`.

    Args:
        known: Measured ladders.
        problem: Spec of the problem.
        method: Spec of the method.
        device: Device type.
        dtype: Name of the dtype.
        threads: Threads in use.
        counts: Products by kind.
        own_vectors: Vectors of length P the method says it holds.
        own_passes: Vectors of length P the method says it reads or writes.
        dim: The size P.

    Returns:
        What can be said, and why the rest cannot.
    """
    where = units.conditions(device, dtype, threads)
    width = _ITEMSIZE.get(dtype)
    if width is None:
        unknown = f"the size of a number of dtype {dtype} is not known"
        return Prediction(None, None, None, unknown, unknown)
    products_s: float | None = 0.0
    reasons: list[str] = []
    for kind, columns in counts.items():
        ladder = find(known, problem, kind, method, device, dtype, threads)
        if ladder is None:
            says = f"no price of a {kind} of {problem.partition('[')[0]} was measured on {where}"
            # Every kind but the plain one is of a network.
            reasons.append(says if kind == _PLAIN else f"{says}: {ONE_WIDTH}")
        elif not ladder.can_price(dim):
            reasons.append(f"the price of a {kind} was measured at one size only, and a line needs two")
        elif products_s is not None:
            products_s += columns * price_at(ladder.rungs, dim)
            if ladder.problem not in (problem, problem.partition("[")[0]):
                reasons.append(f"priced by the ladder of {ladder.problem}")
            continue
        products_s = None
    own_s = None
    speed = bandwidth(known, device, dtype, threads)
    if own_passes is None:
        reasons.append("the method does not declare its own passes over vectors")
    elif own_passes == 0:
        own_s = 0.0
    elif speed is None:
        reasons.append(f"no bandwidth was measured on {where}")
    else:
        own_s = own_seconds(own_passes, dim, width, speed)
    memory = None if own_vectors is None else own_bytes(own_vectors, dim, width)
    undeclared = "" if own_vectors is not None else "the method does not declare the vectors it holds"
    return Prediction(products_s, own_s, memory, "; ".join(reasons), undeclared)

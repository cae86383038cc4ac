"""What a method needs of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Footprint:
    """What a method needs of its own, for predictions at other sizes.

    Attributes:
        vectors: Vectors of length n held at the peak, the operator's not counted.
        passes: Vectors of length n read or written by the method's own arithmetic over the whole run.
    """

    vectors: float
    passes: float

"""What things cost before anything expensive runs: a product, and the first pilot of every method."""

from __future__ import annotations

from dataclasses import dataclass

from hessbench.advising.candidates import AdviceCandidate


@dataclass(frozen=True)
class ProductPrice:
    """What one product costs.

    Attributes:
        seconds: Of one with a single column.
        block_s: Seconds of a column in the widest block that was timed.
        block_width: That width.
        working_bytes: Memory beside what the operator keeps; None where nobody knows.
        operator_bytes: What that is.
        gradient_equivalents: What a product counts as, by multiplications.
        fixed_s: Seconds of a process, a build and what comes before the clock starts.
        told: Where the prices come from.
    """

    seconds: float
    block_s: float
    block_width: int
    working_bytes: int | None
    operator_bytes: int | None
    gradient_equivalents: float
    fixed_s: float
    told: str

    def bought(self, seconds: float) -> int:
        """How many products a time buys, one at a time."""
        return max(0, int((seconds - self.fixed_s) / max(self.seconds, 1e-9)))


@dataclass(frozen=True)
class PricedCandidate:
    """A method, and what its first pilot will take.

    Attributes:
        candidate: The method.
        budget: Products of that; of a method that takes as many as the dimension, these.
        seconds: Of one run; None where something is not known.
        held_bytes: Memory, with a margin; likewise.
        cannot: Why it cannot run here; empty where it can.
    """

    candidate: AdviceCandidate
    budget: int
    seconds: float | None = None
    held_bytes: int | None = None
    cannot: str = ""

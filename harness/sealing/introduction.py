"""What a sealed method's process is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Introduction:
    """All that a method's process is told of a run before it begins.

    Attributes:
        method: Spec of the method.
        estimand: Spec of the estimand.
        dim: Dimension of the operator.
        dtype: Its floating type, by name.
        device: Where it lives.
        threads: Threads of the tensor library.
        traits: What the problem declares of itself.
        known_low: What every eigenvalue is known to be at least.
        budget: Products it may spend.
        plugin: Python file that lists the method; empty where it is installed.
    """

    method: str
    estimand: str
    dim: int
    dtype: str
    device: str
    threads: int
    traits: tuple[str, ...]
    known_low: float
    budget: int
    plugin: str = ""

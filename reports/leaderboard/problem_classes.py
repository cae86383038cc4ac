"""Classes of problems on the leaderboard: the one place where they are defined, and in words that the page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MANY_ZEROS: Final = 0.5
"""Share of zero eigenvalues from which a matrix counts as one of many zeros."""


@dataclass(frozen=True)
class ProblemClass:
    """A class of problems: those of certain traits, and of certain families where it names any.

    Attributes:
        name: In a few words.
        meaning: Which problems it holds, in a sentence.
        traits: What must be declared of a problem.
        families: Beginnings of the problem's name, one of which it must have; any where empty.
        zeros: Least share of eigenvalues that must be declared zero.
    """

    name: str
    meaning: str
    traits: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    zeros: float = 0.0

    def holds(self, problem: str, traits: Sequence[str]) -> bool:
        """Whether it holds a problem, given its spec and what is declared of it."""
        return (
            set(self.traits) <= set(traits)
            and problem.startswith(self.families or "")
            and zero_share(traits) >= self.zeros
        )


def class_of(problem: str, traits: Sequence[str]) -> ProblemClass:
    """The first class that holds a problem.

    Args:
        problem: Its spec.
        traits: What is declared of it, as in a row of the ledger.
    """
    return next(it for it in PROBLEM_CLASSES if it.holds(problem, traits))


def zero_share(traits: Sequence[str]) -> float:
    """Share of zero eigenvalues that the traits name; 0 where they name none."""
    for trait in traits:
        name, _, number = trait.partition("=")
        if name == "zeros":
            try:
                return float(number)
            except ValueError:  # of a plugin's own
                return 0.0
    return 0.0


_NETWORKS: Final = (
    ("residual network", "networks with residual blocks", ("resnet",)),
    ("convolutional network", "convolutional networks without them", ("cnn-", "all-cnn", "vgg")),
    ("perceptron", "fully connected networks", ("digits-mlp", "mlp")),
    ("other network", "any other network", ()),
)
"""Architectures: the name of the class, the networks in words, and the beginnings of their problems' names."""

PROBLEM_CLASSES: Final[tuple[ProblemClass, ...]] = (
    *(
        ProblemClass(f"{name}, {kind}", f"{matrices} of {networks}.", ("network", *traits), families)
        for name, networks, families in _NETWORKS
        for kind, matrices, traits in (
            ("semi-definite", "Matrices declared positive semi-definite, such as the GGN,", ("psd",)),
            ("indefinite", "Hessians and other matrices", ()),
        )
    ),
    ProblemClass(
        "synthetic, many zeros",
        f"Matrices of known spectrum of whose eigenvalues at least {MANY_ZEROS:.0%} are zero, of any signs.",
        ("synthetic",),
        zeros=MANY_ZEROS,
    ),
    ProblemClass(
        "synthetic, semi-definite",
        "Other matrices of known spectrum that are declared positive semi-definite.",
        ("synthetic", "psd"),
    ),
    ProblemClass("synthetic, indefinite", "Other matrices of known spectrum.", ("synthetic",)),
    ProblemClass("other matrix", "Whatever is neither a network's nor synthetic."),
)
"""Every class, in the order in which they are tried and shown."""

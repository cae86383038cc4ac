"""Class-balanced orders of a split: a subset of any size is a prefix of one order."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hessbench.seeding import derive_seed

Integers: TypeAlias = NDArray[np.integer[Any]]


def balanced_order(labels: Integers, classes: int, name: str) -> NDArray[np.int64]:
    """The order in which the images of a split are taken: every prefix of b C images holds b of each of C classes.

    That holds up to the number m of images of the rarest class; what is left of the others follows. The images keep
    the order they are stored in where that is such an order already; otherwise a seeded one is made.

    Args:
        labels: Class numbers (N,), each class among them.
        classes: Number C of classes.
        name: Name of the data set, from which the seed is derived.

    Returns:
        A permutation (N,) of 0 to N - 1.
    """
    rows = labels[: rarest(labels, classes) * classes].reshape(-1, classes)
    if np.array_equal(np.sort(rows, axis=1), np.broadcast_to(np.arange(classes), rows.shape)):
        return np.arange(labels.size)
    return seeded_order(labels, classes, name)


def seeded_order(labels: Integers, classes: int, name: str) -> NDArray[np.int64]:
    """A balanced order drawn at random from the seed of a name: m rows of one image of each class, each row shuffled.

    What is left of the classes with more than m images follows in the order it is stored in.
    """
    generator = np.random.default_rng(derive_seed(f"{name}-subset"))
    m = rarest(labels, classes)
    columns = [generator.permutation(np.flatnonzero(labels == c))[:m] for c in range(classes)]
    chosen = generator.permuted(np.stack(columns, axis=1), axis=1).ravel()
    left = np.ones(labels.size, dtype=bool)
    left[chosen] = False
    return np.concatenate([chosen, np.flatnonzero(left)])


def rarest(labels: Integers, classes: int) -> int:
    """Number m of images of the rarest class."""
    return int(np.bincount(labels, minlength=classes).min())

"""The handwritten digits that scikit-learn bundles: 1797 images of 8 x 8 pixels from 0 to 16."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hessbench.problems.data.subsets import seeded_order

CLASSES: Final = 10
TRAIN_PER_CLASS: Final = 120
"""Of the 174 of the rarest class: two thirds, rounded up to a round number."""


def bundled_digits(split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (m, 8, 8) and labels (m,) of a split, in a seeded class-balanced order.

    `train` holds 120 images of each class, `test` the other 597: 54 of each class and the 57 that are left.
    """
    from sklearn.datasets import load_digits

    pixels, labels = (np.asarray(part, dtype=np.uint8) for part in load_digits(return_X_y=True))
    order = seeded_order(labels, CLASSES, "digits")
    cut = TRAIN_PER_CLASS * CLASSES
    index = order[:cut] if split == "train" else order[cut:]
    return pixels[index].reshape(-1, 8, 8), labels[index]

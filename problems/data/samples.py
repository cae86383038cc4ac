"""Samples of a data set: class-balanced subsets of its splits, scaled and normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessbench.problems.data.datasets import DataSet, Normalisation, data_set
from hessbench.problems.data.digits import bundled_digits
from hessbench.problems.data.files import read, read_labels
from hessbench.problems.data.subsets import balanced_order, rarest
from hessbench.problems.parameters import in_range, one_of


@dataclass(frozen=True, eq=False)
class Samples:
    """Images and their classes.

    Attributes:
        inputs: Images (N, C, H, W), float32.
        labels: Class numbers (N,), int64.
        classes: Number of classes.
    """

    inputs: Tensor
    labels: Tensor
    classes: int


def load(
    name: str,
    *,
    split: str = "train",
    per_class: int | None = None,
    normalisation: Normalisation | None = None,
) -> Samples:
    """Load a split, or as many images of each class, which come first in its balanced order; see `balanced_order`.

    Args:
        name: Name of a data set.
        split: train or test.
        per_class: Images of each class, 1 to `num_per_class(name, split)`; by default all images there are.
        normalisation: Mean and standard deviation of each channel of pixels in [0, 1], in place of the data set's own.

    Returns:
        The samples: pixels in [0, 1], pooled where the data set says so, normalised.

    Raises:
        ValueError: If a parameter is out of range, naming the range.
        OSError: With one sentence and the remedy, if the file of the data set is not there or damaged.
    """
    dataset = _checked(name, split)
    images, labels = bundled_digits(split) if dataset.file is None else read(dataset.origin, split)
    count = labels.size
    if per_class is not None:
        in_range(f"{name} ({split})", "per_class", per_class, 1, rarest(labels, dataset.classes))
        count = per_class * dataset.classes
    index = balanced_order(labels, dataset.classes, dataset.origin.name)[:count]
    inputs = _inputs(images[index], dataset, dataset.normalisation if normalisation is None else normalisation)
    return Samples(inputs, torch.as_tensor(labels[index].astype(np.int64)), dataset.classes)


def num_per_class(name: str, split: str = "train") -> int:
    """Most images of each class that a balanced subset can have: the number of images of the rarest class.

    Raises:
        ValueError: If there is no such data set or split.
        OSError: With one sentence and the remedy, if the file of the data set is not there or damaged.
    """
    dataset = _checked(name, split)
    labels = bundled_digits(split)[1] if dataset.file is None else read_labels(dataset.origin, split)
    return rarest(labels, dataset.classes)


def _checked(name: str, split: str) -> DataSet:
    dataset = data_set(name)
    one_of(name, "split", split, dataset.splits)
    return dataset


def _inputs(images: NDArray[Any], dataset: DataSet, normalisation: Normalisation) -> Tensor:
    """Images (N, C, H, W), float32: whole numbers up to the one division, so that each pixel is rounded once.

    Raises:
        ValueError: If the normalisation has not one finite mean and one positive deviation for each channel.
    """
    mean, std = (torch.tensor(values, dtype=torch.float32) for values in normalisation)
    channels = dataset.shape[0]
    if mean.shape != (channels,) or std.shape != (channels,) or not bool((std > 0).all() & mean.isfinite().all()):
        raise ValueError(
            f"{dataset.name}: normalisation takes {channels} finite means and {channels} positive standard "
            f"deviations, got {normalisation}"
        )
    pixels = torch.as_tensor(images)
    pixels = (pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)).to(torch.float32).contiguous()
    if dataset.window > 1:
        pixels = torch.nn.functional.avg_pool2d(pixels, dataset.window, dataset.stride)
    scaled = pixels.div_(dataset.origin.top)
    return scaled.sub_(mean[:, None, None]).div_(std[:, None, None])

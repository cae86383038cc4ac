"""The table of data sets: shapes, classes, normalisation, and where the images come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from hessbench.specs import suggest

Normalisation: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, of pixels in [0, 1]."""

SPLITS: Final = ("train", "test")


@dataclass(frozen=True)
class Archive:
    """A data set as it was published, and the file that holds it or a part of it.

    Attributes:
        file: Name of the `.npz`, in the user's folder or in the cache.
        openml_id: Number of the data set on OpenML.
        openml_name: Its name there.
        train_counts: Images of each class among the first images published, those to train on.
        test_counts: Images of each class among the rest.
        mean: Mean of each channel over the published training images, in [0, 1].
        std: Their standard deviation.
    """

    file: str
    openml_id: int
    openml_name: str
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Origin:
    """Images as they are stored; several data sets may be made of them.

    Attributes:
        name: Part of the seed of every selection.
        classes: Number of classes.
        pixels: Shape of one stored image, (H, W) or (H, W, 3).
        top: Largest pixel value.
        archive: Its file; None for what scikit-learn bundles.
    """

    name: str
    classes: int
    pixels: tuple[int, ...]
    top: int
    archive: Archive | None = None


@dataclass(frozen=True)
class DataSet:
    """Images of one shape with their classes.

    Attributes:
        name: How specs call it.
        origin: The images it is made of.
        normalisation: What pixels in [0, 1] are normalised by. Colour images by the mean and standard deviation of the
            published training images, as the field does; grey ones stay in [0, 1], so that zero is the background,
            which `adapted` pads with, and the digits are exact in every floating type.
        window: Side of the squares whose means are taken.
        stride: Steps from one square to the next.
        splits: Accepted splits.
    """

    name: str
    origin: Origin
    normalisation: Normalisation = ((0.0,), (1.0,))
    window: int = 1
    stride: int = 1
    splits: tuple[str, ...] = SPLITS

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.origin.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: channels, height, width."""
        height, width, *channels = self.origin.pixels
        height, width = ((side - self.window) // self.stride + 1 for side in (height, width))
        return channels[0] if channels else 1, height, width

    @property
    def file(self) -> str | None:
        """Name of the file that holds it; None for what scikit-learn bundles."""
        return self.origin.archive.file if self.origin.archive else None


def data_set(name: str) -> DataSet:
    """The data set of that name.

    Raises:
        ValueError: If there is none; the message names those there are.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}{suggest(name, DATASETS)}; accepted: {', '.join(DATASETS)}")
    return DATASETS[name]


_DIGITS = Origin("digits", classes=10, pixels=(8, 8), top=16)
_MNIST = Origin(
    "mnist",
    classes=10,
    pixels=(28, 28),
    top=255,
    archive=Archive(
        "mnist.npz",
        openml_id=554,
        openml_name="mnist_784",
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        mean=(0.1307,),
        std=(0.3081,),
    ),
)
_FASHION_MNIST = Origin(
    "fashion-mnist",
    classes=10,
    pixels=(28, 28),
    top=255,
    archive=Archive(
        "fashion_mnist.npz",
        openml_id=40996,
        openml_name="Fashion-MNIST",
        train_counts=(6000,) * 10,
        test_counts=(1000,) * 10,
        mean=(0.2860,),
        std=(0.3530,),
    ),
)
_CIFAR10 = Archive(
    "cifar10.npz",
    openml_id=40927,
    openml_name="CIFAR_10",
    train_counts=(5000,) * 10,
    test_counts=(1000,) * 10,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
)
_CIFAR100 = Archive(
    "cifar100.npz",
    openml_id=41983,
    openml_name="CIFAR-100",
    train_counts=(500,) * 100,
    test_counts=(100,) * 100,
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
)

DATASETS: Final[Mapping[str, DataSet]] = {
    found.name: found
    for found in (
        DataSet("digits", _DIGITS),
        DataSet("digits-7x7", _DIGITS, window=2, stride=1),
        DataSet("mnist", _MNIST),
        DataSet("mnist-7x7", _MNIST, window=4, stride=4),
        DataSet("fashion-mnist", _FASHION_MNIST),
        DataSet("fashion-mnist-7x7", _FASHION_MNIST, window=4, stride=4),
        DataSet("cifar10", Origin("cifar10", 10, (32, 32, 3), 255, _CIFAR10), (_CIFAR10.mean, _CIFAR10.std)),
        DataSet("cifar100", Origin("cifar100", 100, (32, 32, 3), 255, _CIFAR100), (_CIFAR100.mean, _CIFAR100.std)),
    )
}
"""Data sets by name."""

"""The table: shapes, normalisation, and what is said of a name it does not hold."""

import math

import pytest

from hessbench.problems.data import DATASETS
from hessbench.problems.data.datasets import data_set


@pytest.mark.parametrize(
    ("name", "shape", "classes", "file"),
    [
        ("digits", (1, 8, 8), 10, None),
        ("digits-7x7", (1, 7, 7), 10, None),
        ("mnist", (1, 28, 28), 10, "mnist.npz"),
        ("mnist-7x7", (1, 7, 7), 10, "mnist.npz"),
        ("fashion-mnist", (1, 28, 28), 10, "fashion_mnist.npz"),
        ("fashion-mnist-7x7", (1, 7, 7), 10, "fashion_mnist.npz"),
        ("cifar10", (3, 32, 32), 10, "cifar10.npz"),
        ("cifar100", (3, 32, 32), 100, "cifar100.npz"),
    ],
)
def test_a_data_set_has_its_published_shape(name, shape, classes, file):
    found = DATASETS[name]
    assert (found.name, found.shape, found.classes, found.file) == (name, shape, classes, file)
    assert found.splits == ("train", "test")


def test_there_are_eight():
    assert len(DATASETS) == 8


@pytest.mark.parametrize("name", DATASETS)
def test_grey_images_stay_between_0_and_1_and_colour_is_normalised_by_channel(name):
    found = DATASETS[name]
    mean, std = found.normalisation
    assert len(mean) == len(std) == found.shape[0]
    assert (found.normalisation == ((0.0,), (1.0,))) == (found.shape[0] == 1)
    assert all(0.15 < value < 0.35 for value in std) or std == (1.0,)


@pytest.mark.parametrize("name", [name for name, found in DATASETS.items() if found.file])
def test_the_published_counts_add_up(name):
    origin = DATASETS[name].origin
    assert origin.archive
    train, test = origin.archive.train_counts, origin.archive.test_counts
    assert len(train) == len(test) == origin.classes
    assert (sum(train), sum(test)) == ((50_000 if "cifar" in name else 60_000), 10_000)
    assert len(origin.archive.mean) == len(origin.archive.std) == math.prod(origin.pixels[2:])


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"^unknown data set 'minst'.*mnist.*accepted: digits, digits-7x7,"):
        data_set("minst")

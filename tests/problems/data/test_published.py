"""The real files, where there are any: balance, means, and what other modules made of them."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from hessbench.problems.data import DATASETS, load, num_per_class, unavailable

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not os.environ.get("HESSBENCH_DATA"), reason="HESSBENCH_DATA is not set"),
]

FILES = [(name, split) for name in ("mnist", "fashion-mnist", "cifar10", "cifar100") for split in ("train", "test")]

MEANS = {
    ("mnist", "train"): ([0.1319], [0.3094]),
    ("mnist", "test"): ([0.1325], [0.3105]),
    ("fashion-mnist", "train"): ([0.2867], [0.3534]),
    ("fashion-mnist", "test"): ([0.2868], [0.3524]),
    ("cifar10", "train"): ([0.4912, 0.4824, 0.4473], [0.2463, 0.2425, 0.2605]),
    ("cifar10", "test"): ([0.4957, 0.4855, 0.4514], [0.2488, 0.2448, 0.2636]),
    ("cifar100", "train"): ([0.5029, 0.4845, 0.4399], [0.2670, 0.2558, 0.2761]),
    ("cifar100", "test"): ([0.5071, 0.4866, 0.4422], [0.2727, 0.2564, 0.2771]),
}


def stored(name: str) -> dict[str, np.ndarray]:
    with np.load(Path(os.environ["HESSBENCH_DATA"]) / str(DATASETS[name].file), allow_pickle=False) as file:
        return {array: file[array] for array in ("x_train", "y_train")}


@pytest.fixture(autouse=True)
def skip_what_is_not_there(request):
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name and unavailable(name):
        pytest.skip(str(unavailable(name)))


@pytest.mark.parametrize(("name", "split"), FILES)
def test_every_prefix_of_whole_rows_is_balanced(name, split):
    m, classes = num_per_class(name, split), DATASETS[name].classes
    labels = load(name, split=split).labels[: m * classes]
    assert bool((labels.view(m, classes).sort(dim=1).values == torch.arange(classes)).all())


@pytest.mark.parametrize(("name", "split"), FILES)
def test_means_and_standard_deviations_are_those_measured_when_the_files_were_made(name, split):
    channels = DATASETS[name].shape[0]
    inputs = load(name, split=split, normalisation=((0.0,) * channels, (1.0,) * channels)).inputs.double()
    mean, std = MEANS[name, split]
    assert inputs.mean(dim=(0, 2, 3)).tolist() == pytest.approx(mean, abs=6e-5)
    assert inputs.std(dim=(0, 2, 3)).tolist() == pytest.approx(std, abs=6e-5)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_the_published_constants_are_near_those_of_the_file(name):
    channels = DATASETS[name].shape[0]
    inputs = load(name, normalisation=((0.0,) * channels, (1.0,) * channels)).inputs.double()
    archive = DATASETS[name].origin.archive
    assert archive
    assert inputs.mean(dim=(0, 2, 3)).tolist() == pytest.approx(archive.mean, abs=0.005)
    assert inputs.std(dim=(0, 2, 3)).tolist() == pytest.approx(archive.std, abs=0.002)


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [("mnist", 1000, 892), ("fashion-mnist", 1000, 1000), ("cifar10", 750, 200), ("cifar100", 10, 2)],
)
def test_the_counts_of_the_files(name, train, test):
    assert (num_per_class(name), num_per_class(name, "test")) == (train, test)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_the_training_images_keep_the_order_of_the_file(name):
    labels = stored(name)["y_train"][:100]
    assert load(name, per_class=10).labels.tolist() == labels.tolist()


def test_the_whole_test_split_is_loaded_with_what_is_over():
    assert load("mnist", split="test").labels.bincount().tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["cifar10"])
def test_pixels_are_rounded_as_by_the_plain_formula_in_float32(name):
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    samples = load(name, per_class=6, normalisation=(mean, std))
    arrays = stored(name)
    images, labels = arrays["x_train"][:60], arrays["y_train"][:60]
    pixels = torch.as_tensor(images).permute(0, 3, 1, 2).to(torch.float32) / 255
    wanted = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert torch.equal(samples.inputs, wanted)
    assert samples.labels.tolist() == labels.tolist()


@pytest.mark.parametrize("name", ["mnist-7x7"])
def test_pooled_mnist_keeps_the_mean(name):
    pooled = load(name).inputs.double()
    assert float(pooled.mean()) == pytest.approx(0.1319, abs=6e-5)
    assert pooled.shape == (10_000, 1, 7, 7)

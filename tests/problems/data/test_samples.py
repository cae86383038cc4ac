"""Samples: the digits, subsets of any data set, scaling, pooling and normalisation, and parameters out of range."""

import numpy as np
import pytest
import torch

from hessbench.problem import array_hash
from hessbench.problems.data import DATASETS, load, num_per_class
from hessbench.problems.data.digits import TRAIN_PER_CLASS
from hessbench.problems.network_families.digits_mlp import digits as mlp_digits


def content(samples):
    return array_hash(samples.inputs.numpy(), samples.labels.numpy())


@pytest.mark.parametrize("name", ["digits", "digits-7x7"])
def test_the_digits_are_between_0_and_1_and_exact(name):
    samples = load(name)
    assert samples.inputs.shape == (1200, *DATASETS[name].shape)
    assert (samples.inputs.dtype, samples.labels.dtype, samples.classes) == (torch.float32, torch.int64, 10)
    assert float(samples.inputs.min()) == 0
    assert float(samples.inputs.max()) == 1
    assert torch.equal(samples.inputs * 64, (samples.inputs * 64).round())
    assert torch.equal(samples.inputs.bfloat16().float(), samples.inputs)


def test_both_splits_together_are_all_the_digits_once():
    train, test = load("digits"), load("digits", split="test")
    assert torch.bincount(train.labels).tolist() == [TRAIN_PER_CLASS] * 10
    assert test.labels.numel() == 597
    together = torch.cat([train.inputs, test.inputs]).flatten(1)
    assert torch.unique(together, dim=0).shape[0] == 1797 == together.shape[0]


def test_the_counts_of_the_digits():
    assert num_per_class("digits") == 120 == num_per_class("digits-7x7")
    assert num_per_class("digits", "test") == 54


@pytest.mark.parametrize(("split", "b"), [("train", 1), ("train", 7), ("train", 120), ("test", 1), ("test", 54)])
def test_a_subset_of_the_digits_holds_as_many_of_each_class(split, b):
    samples = load("digits", split=split, per_class=b)
    assert torch.bincount(samples.labels).tolist() == [b] * 10


def test_a_subset_is_a_prefix_of_every_larger_one():
    small, large = load("digits", per_class=3), load("digits", per_class=20)
    assert torch.equal(small.inputs, large.inputs[:30])
    assert torch.equal(large.labels, load("digits").labels[:200])


def test_fifty_pooled_digits_of_each_class_are_those_of_the_perceptron():
    images, labels = mlp_digits()
    samples = load("digits-7x7", per_class=50)
    assert torch.equal(samples.inputs.flatten(1).double(), images)
    assert torch.equal(samples.labels, labels)


def test_the_same_is_loaded_whatever_the_global_generators_say():
    torch.manual_seed(1)
    np.random.seed(1)
    one = load("digits", per_class=5)
    torch.manual_seed(2)
    np.random.seed(2)
    assert content(one) == content(load("digits", per_class=5))


@pytest.mark.parametrize("other", [{"per_class": 4}, {"per_class": 5, "split": "test"}, {}])
def test_other_samples_are_other_content(other):
    assert content(load("digits", per_class=5)) != content(load("digits", **other))


@pytest.fixture
def stored(named, arrays):
    """Files of the user with random images, in no order; gives the arrays of one."""

    def store(name):
        made = arrays(name)
        np.savez_compressed(named / DATASETS[name].file, **made)
        return made

    return store


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_the_images_of_a_file_come_channels_first_with_their_own_labels(name, stored):
    made = stored(name)
    identity = ((0.0,) * DATASETS[name].shape[0], (1.0,) * DATASETS[name].shape[0])
    samples = load(name, split="test", normalisation=identity)
    assert samples.inputs.shape == (made["y_test"].size, *DATASETS[name].shape)
    assert samples.inputs.is_contiguous()
    images = made["x_test"].reshape(len(made["x_test"]), *DATASETS[name].shape[1:], -1)
    for image, label in zip(samples.inputs, samples.labels, strict=True):
        pixels = (image.permute(1, 2, 0).double().numpy() * 255).round()
        (row,) = np.flatnonzero((images == pixels).all(axis=(1, 2, 3)))
        assert made["y_test"][row] == label


def test_a_file_in_no_order_is_balanced(stored):
    stored("cifar10")
    assert torch.bincount(load("cifar10", per_class=3).labels).tolist() == [3] * 10


def test_a_file_in_a_balanced_order_keeps_it(named, arrays):
    made = arrays("mnist")
    made["y_train"] = np.tile(np.arange(10, dtype=np.uint8)[::-1], 4)
    np.savez(named / "mnist.npz", **made)
    samples = load("mnist", per_class=2)
    assert samples.labels.tolist() == made["y_train"][:20].tolist()
    np.testing.assert_allclose(samples.inputs[:, 0] * 255, made["x_train"][:20], atol=1e-4)


def test_colour_is_normalised_by_the_published_constants(stored):
    stored("cifar10")
    plain = load("cifar10", normalisation=((0, 0, 0), (1, 1, 1)))
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)))
    assert torch.equal(load("cifar10").inputs, (plain.inputs - mean) / std)


def test_mnist_is_pooled_by_means_over_squares_of_four(stored):
    stored("mnist")
    whole, pooled = load("mnist"), load("mnist-7x7")
    assert pooled.inputs.shape[1:] == (1, 7, 7)
    assert torch.equal(whole.labels, pooled.labels)
    means = whole.inputs.double().unflatten(2, (7, 4)).unflatten(4, (7, 4)).mean(dim=(3, 5))
    torch.testing.assert_close(pooled.inputs.double(), means, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"per_class": 121}, r"^digits \(train\): per_class must be between 1 and 120, got 121$"),
        ({"per_class": 55, "split": "test"}, r"^digits \(test\): per_class must be between 1 and 54, got 55$"),
        ({"per_class": 0}, r"per_class must be between 1 and 120, got 0"),
        ({"split": "tset"}, r"^digits: split must be one of train, test, got 'tset'.*test"),
        ({"normalisation": ((0, 0, 0), (1, 1, 1))}, r"^digits: normalisation takes 1 finite means and 1 positive"),
        ({"normalisation": ((0,), (0,))}, r"1 positive standard deviations"),
        ({"normalisation": ((float("nan"),), (1,))}, r"1 finite means"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_the_range(parameters, said):
    with pytest.raises(ValueError, match=said) as refusal:
        load("digits", **parameters)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("call", [load, num_per_class])
def test_an_unknown_name_is_refused(call):
    with pytest.raises(ValueError, match="unknown data set 'imagenet'"):
        call("imagenet")


def test_an_unknown_split_has_no_count():
    with pytest.raises(ValueError, match="split must be one of train, test"):
        num_per_class("digits", "valid")

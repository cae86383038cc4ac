"""Data of a user: what is read, copied and kept, and what is refused."""

from collections import UserDict

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)

from hessbench.problems.networks.inputs import tensors_of
from hessbench.problems.user_model.data import read_batches

X, Y = torch.arange(14.0).view(7, 2), torch.arange(7)
M = X > 4


class Pairs(Dataset):
    """Pairs, one by one; as many are noisy as `noise` says."""

    def __init__(self, noise=0.0):
        self.noise = noise

    def __len__(self):
        return 7

    def __getitem__(self, place):
        return X[place] + self.noise * torch.rand(()), int(Y[place])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


class Fetched(Pairs):
    """Offers the samples of a batch at once, as large data sets do."""

    def __getitems__(self, places):
        return [(10 * X[place], int(Y[place])) for place in places]


def read(data):
    return read_batches(data, torch.float32)


def sizes(data):
    return [batch.size for batch in read(data)]


@pytest.mark.parametrize("pair", [(X, Y), [X, Y], (X.numpy(), Y.numpy()), (X, Y.numpy())])
def test_a_pair_of_tensors_or_arrays_is_one_batch(pair):
    (batch,) = read(pair)
    assert torch.equal(batch.inputs, X)
    assert torch.equal(batch.targets, Y)


def test_a_list_of_pairs_is_a_list_of_batches():
    assert sizes([(X[:3], Y[:3]), [X[3:].numpy(), Y[3:]]]) == [3, 4]
    assert sizes(((X[:3], Y[:3]), (X[3:], Y[3:]))) == [3, 4]


LOADERS = {
    "tensors": lambda: DataLoader(TensorDataset(X, Y), batch_size=3),
    "pairs": lambda: DataLoader(Pairs(), batch_size=3),
    "workers": lambda: DataLoader(Pairs(), batch_size=3, num_workers=2),
    "a batch sampler": lambda: DataLoader(Pairs(), batch_sampler=BatchSampler(SequentialSampler(Y), 3, False)),
    "a list": lambda: list(DataLoader(Pairs(), batch_size=3)),
}


@pytest.mark.parametrize("loader", LOADERS)
def test_a_loader_gives_its_batches_in_order_a_ragged_last_one_too(loader):
    batches = read(LOADERS[loader]())
    assert [batch.size for batch in batches] == [3, 3, 1]
    assert torch.equal(torch.cat([batch.inputs for batch in batches]), X)
    assert torch.equal(torch.cat([batch.targets for batch in batches]), Y)


TREES = {
    "a tuple": ((X, M), lambda a, b: (a, b)),
    "a list": ([X, M], lambda a, b: (a, b)),
    "a dict": ({"x": X, "mask": M}, lambda a, b: {"x": a, "mask": b}),
    "a mapping of one's own": (UserDict({"x": X, "mask": M}), lambda a, b: {"x": a, "mask": b}),
    "arrays": ((X.numpy(), M.numpy()), lambda a, b: (a, b)),
    "a tree of trees": ({"x": (X, M)}, lambda a, b: {"x": (a, b)}),
}


@pytest.mark.parametrize("tree", TREES)
def test_inputs_may_be_trees_of_tensors_and_are_copied(tree):
    given, twin = TREES[tree]
    for data in ((given, Y), [(given, Y), [given, Y]]):
        for batch in read(data):
            assert str(batch.inputs) == str(twin(X, M))
            assert all(own.dtype == one.dtype and own is not one for own, one in zip(
                tensors_of(batch.inputs), (X, M), strict=True))  # fmt: skip
            assert batch.part(slice(2)).inputs.__class__ is batch.inputs.__class__


def test_tensors_beside_each_other_are_inputs_and_the_last_one_the_targets():
    for data in ((X, M, Y), [(X, M, Y)], [[X, M, Y]], DataLoader(TensorDataset(X, M, Y), batch_size=7)):
        (batch,) = read(data)
        assert [torch.equal(one, own) for one, own in zip(batch.inputs, (X, M), strict=True)] == [True, True]
        assert torch.equal(batch.targets, Y)


def test_a_dict_with_labels_is_a_batch_and_a_loader_of_samples_that_are_dicts_too():
    samples = [{"x": x, "mask": mask, "labels": y} for x, mask, y in zip(X, M, Y, strict=True)]
    for data in ({"x": X, "mask": M, "labels": Y}, UserDict(x=X, mask=M, labels=Y), DataLoader(samples, batch_size=7)):
        (batch,) = read(data)
        assert list(batch.inputs) == ["x", "mask"]
        assert torch.equal(batch.inputs["x"], X)
        assert batch.inputs["mask"].dtype == torch.bool
        assert torch.equal(batch.targets, Y)


def test_a_loader_without_batches_of_its_own_gives_those_of_its_data_set():
    batches = read(DataLoader([(X[:5], Y[:5]), (X[5:], Y[5:])], batch_size=None))
    assert [batch.size for batch in batches] == [5, 2]


def test_samples_are_fetched_together_where_the_data_set_can():
    (batch,) = read(DataLoader(Fetched(), batch_size=7))
    assert torch.equal(batch.inputs, 10 * X)


def test_drop_last_that_drops_nothing_is_fine():
    assert sizes(DataLoader(Pairs(), batch_size=7, drop_last=True)) == [7]


def test_data_are_copied():
    inputs, targets = X.numpy().copy(), Y.clone()
    (batch,) = read((inputs, targets))
    inputs[:] = 0
    targets.zero_()
    assert torch.equal(batch.inputs, X)
    assert torch.equal(batch.targets, Y)


@pytest.mark.parametrize(
    ("part", "dtype"),
    [
        (np.ones((7, 2)), torch.float64),
        (np.ones((7, 2), dtype=">f4"), torch.float64),
        (np.ones((7, 2), dtype=np.float16)[::-1], torch.float64),
        (torch.ones(7, 2, dtype=torch.bfloat16), torch.float64),
        (np.ones((7, 2), dtype=np.uint16), torch.int64),
        (np.ones((7, 2), dtype=np.int32), torch.int32),
        (np.ones((7, 2), dtype=np.uint8), torch.uint8),
        (np.ones((7, 2), dtype=bool), torch.bool),
        (torch.ones(7, 2, dtype=torch.int16), torch.int16),
    ],
)
def test_floating_values_are_rounded_and_integers_kept(part, dtype):
    (batch,) = read_batches((part, Y), torch.float64)
    assert batch.inputs.dtype == dtype
    assert bool((batch.inputs == 1).all())


REFUSED = {
    "a tensor": (
        lambda: X,
        "data: a pair (inputs, targets) of tensors or arrays, a list of such pairs, or a DataLoader is accepted",
    ),
    "a data set": (Pairs, "the key 'labels', got Pairs"),
    "lists of numbers": (lambda: ([1.0], [0]), "data: batch 1 is a list of 1"),
    "a triple with a tree": (lambda: [((X, X), Y, Y)], "data: batch 1 is a tuple of 3"),
    "a dictionary": (lambda: [{"x": X}], "data: batch 1 is a dict without the key 'labels', which its targets are"),
    "a dictionary alone": (lambda: {"x": X}, "data: batch 1 is a dict without the key 'labels'"),
    "nothing in a tree": (lambda: ({}, Y), "the inputs of batch 1 hold no tensor"),
    "no tensor in a tree": (lambda: ({"x": X, "mask": None}, Y), "the inputs of batch 1 (mask) are a NoneType; a tens"),
    "other keys later": (
        lambda: [({"x": X}, Y), ({"y": X}, Y)],
        "the inputs of batch 2 have other parts or names than those of batch 1",
    ),
    "another number in a part": (
        lambda: ((X, X[:3]), Y),
        "the inputs of batch 1 have 7 and 3 samples: every tensor needs the same number along",
    ),
    "texts": (lambda: (np.array(["a"] * 7), Y), "the inputs of batch 1 are an array of <U1; numbers are accepted"),
    "texts in a part": (lambda: [((X, "a"), Y)], "the inputs of batch 1 (part 2) are a str; a tensor or an array is"),
    "a scalar": (lambda: (torch.ones(()), Y), "the inputs of batch 1 must be a dense real tensor (m, ...)"),
    "complex": (lambda: (X + 1j, Y), "the inputs of batch 1 must be a dense real tensor"),
    "sparse": (lambda: (X.to_sparse(), Y), "the inputs of batch 1 must be a dense real tensor"),
    "one target less": (lambda: (X, Y[:6]), "batch 1 has 7 inputs and 6 targets: one target for each input is needed"),
    "empty": (lambda: [(X, Y), (X[:0], Y[:0])], "batch 2 is empty: leave it out"),
    "nothing": (lambda: [], "data holds no batch: at least one sample is needed"),
    "an empty loader": (lambda: DataLoader(TensorDataset(X[:0], Y[:0])), "data holds no batch"),
    "shuffled": (
        lambda: DataLoader(Pairs(), shuffle=True),
        "by a RandomSampler, which is no fixed order: make it with",
    ),
    "shuffled batches": (
        lambda: DataLoader(Pairs(), batch_sampler=BatchSampler(RandomSampler(Y), 3, False)),
        "by a RandomSampler",
    ),
    "batches of one's own": (lambda: DataLoader(Pairs(), batch_sampler=[[0, 1], [2]]), "by a list, which is no fixed"),
    "samples left out": (
        lambda: DataLoader(Pairs(), batch_size=3, drop_last=True),
        "drop_last leaves out 1 of 7 samples: make the DataLoader with drop_last=False",
    ),
    "a stream": (lambda: DataLoader(Stream()), "an IterableDataset has no order to rely on: pass list(loader)"),
    "a random transform": (
        lambda: DataLoader(Pairs(noise=1.0), batch_size=3),
        "the data set gives other samples when it is read again (a random transform)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_data_are_refused_in_one_sentence(case):
    make, says = REFUSED[case]
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 -- compared below, without escapes
        read(make())
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)

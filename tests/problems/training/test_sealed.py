"""Sealed files: what comes back is what was written, or nothing."""

import json
import pickle

import pytest
import safetensors.torch
import torch

from hessbench.problems.training.sealed import seal, state_hash, unseal

TENSORS = {
    "weight": torch.arange(6, dtype=torch.float32).reshape(2, 3).T,
    "mean": torch.tensor([0.5], dtype=torch.float64),
    "count": torch.tensor(3),
}
FACTS = {"step": "10", "loss": "0.25"}


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def test_tensors_and_facts_come_back():
    tensors, facts = unseal(seal(TENSORS, FACTS))
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)


def test_tied_tensors_are_written_one_by_one():
    tied = torch.ones(2)
    tensors, _ = unseal(seal({"a": tied, "b": tied}, {}))
    assert torch.equal(tensors["a"], tensors["b"])


def test_no_changed_byte_goes_unseen():
    data = seal(TENSORS, FACTS)
    for place in range(len(data)):
        try:
            found, facts = unseal(flipped(data, place))
        except ValueError:
            continue
        # A blank of the header's padding may turn into nothing that matters.
        assert facts == FACTS
        assert state_hash(found) == state_hash(TENSORS)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_file_is_refused(share):
    data = seal(TENSORS, FACTS)
    with pytest.raises(ValueError, match="is cut or is no safetensors file"):
        unseal(data[: int(share * len(data))])


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 64, b"\xff" * 64, b"not a file of tensors", pickle.dumps({"weight": 1})],
    ids=["empty", "zeros", "ones", "text", "pickle"],
)  # fmt: skip
def test_garbage_is_refused(data):
    with pytest.raises(ValueError, match="is cut or is no safetensors file"):
        unseal(data)


def test_a_file_without_a_seal_is_refused():
    with pytest.raises(ValueError, match="does not hold what was written"):
        unseal(safetensors.torch.save({"weight": torch.ones(1)}, {"step": "10"}))
    with pytest.raises(ValueError, match="is cut or is no safetensors file"):
        unseal(safetensors.torch.save({"weight": torch.ones(1)}))


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.zeros(3)},
        {"b": torch.zeros(2)},
        {"a": torch.zeros(2, 1)},
        {"a": torch.zeros(2, dtype=torch.float64)},
        {"a": torch.tensor([0.0, 1e-30])},
        {"a": torch.zeros(2), "b": torch.zeros(0)},
    ],
)
def test_state_hash_tells_names_shapes_dtypes_and_values_apart(other):
    assert state_hash(other) != state_hash({"a": torch.zeros(2)})


def test_state_hash_does_not_depend_on_the_order_of_names():
    assert state_hash(TENSORS) == state_hash(dict(reversed(TENSORS.items())))


def test_the_header_is_plain_json():
    data = seal(TENSORS, FACTS)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"]["loss"] == "0.25"

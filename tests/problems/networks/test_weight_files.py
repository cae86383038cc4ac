"""Weight files: what is read, what is refused without reading, and what a module accepts."""

import pickle

import numpy as np
import pytest
import safetensors.torch
import torch

from hessbench.problems.networks import ARCHITECTURES, initial_state, load_state, read_weights


@pytest.fixture
def model():
    return ARCHITECTURES["resnet20-padded"].make((1, 8, 8), 3)


@pytest.fixture
def arrays(model):
    return {name: value.numpy() for name, value in initial_state(model, "weights").items()}


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        safetensors.torch.save_file({name: torch.as_tensor(array) for name, array in arrays.items()}, path)
    return path


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.mark.parametrize("kind", [".npz", ".safetensors"])
def test_what_was_written_is_what_the_module_gets(kind, tmp_path, model, arrays):
    state = load_state(model, read_weights(write(tmp_path / f"mine{kind}", arrays)), "mine")
    assert list(state) == list(arrays)
    assert all(np.array_equal(state[name].numpy(), arrays[name]) for name in arrays)


def test_half_precision_becomes_float32_exactly(tmp_path):
    path = tmp_path / "half.safetensors"
    values = torch.tensor([1.5, -0.25])
    safetensors.torch.save_file({"a": values.bfloat16(), "b": values.half()}, path)
    arrays = read_weights(path)
    assert arrays["a"].dtype == np.float32
    assert np.array_equal(arrays["a"], values.numpy())
    assert np.array_equal(arrays["b"].astype(np.float32), values.numpy())


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.pkl", "NET.PTH", "net.ckpt"])
def test_a_pickle_is_refused_with_the_reason_and_the_remedy_and_never_opened(name, tmp_path):
    target = tmp_path / "written"
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(ValueError, match=r"can run any code .* safetensors") as refusal:
        read_weights(tmp_path / name)
    assert name in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)
    assert not target.exists()


@pytest.mark.parametrize("kind", [".npz", ".safetensors"])
def test_a_pickle_under_an_accepted_name_is_not_unpickled(kind, tmp_path):
    target = tmp_path / "written"
    (tmp_path / f"net{kind}").write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(ValueError, match="damaged"):
        read_weights(tmp_path / f"net{kind}")
    np.savez(tmp_path / "objects.npz", a=np.array([Bomb(target)], dtype=object))
    with pytest.raises(ValueError, match="damaged"):
        read_weights(tmp_path / "objects.npz")
    torch.save({"a": torch.ones(2)}, tmp_path / "torch.npz")
    with pytest.raises(ValueError, match="damaged"):
        read_weights(tmp_path / "torch.npz")
    assert not target.exists()


@pytest.mark.parametrize("kind", [".npz", ".safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused_by_name_without_its_path(kept, kind, tmp_path, arrays):
    path = write(tmp_path / f"mine{kind}", arrays)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(ValueError, match=f"^the weight file mine{kind} is empty, truncated or damaged$"):
        read_weights(path)


def test_a_flipped_byte_in_an_archive_is_noticed(tmp_path, arrays):
    path = write(tmp_path / "mine.npz", arrays)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        read_weights(path)


@pytest.mark.parametrize(
    ("shape", "torn"),
    [(b"(1000000,), }         ", b"(9999999999999999,), }"), (b"(1000000,), }", b"(1000000,  } ")],
    ids=["more memory than there is", "a header that is not closed"],
)
def test_a_header_that_cannot_be_right_is_damage(shape, torn, tmp_path):
    path = tmp_path / "huge.npz"
    np.savez(path, a=np.zeros(10**6))
    assert shape in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(shape, torn))
    with pytest.raises(ValueError, match=r"^the weight file huge\.npz is empty, truncated or damaged$"):
        read_weights(path)


def test_a_header_that_says_less_than_there_is_is_damage(tmp_path):
    path = tmp_path / "short.npz"
    np.savez(path, a=np.ones(1000, dtype=np.float32))
    path.write_bytes(path.read_bytes().replace(b"'<f4'", b"'<f2'"))
    with pytest.raises(ValueError, match=r"^the weight file short\.npz is empty, truncated or damaged$"):
        read_weights(path)


def test_other_kinds_missing_files_and_text_are_refused(tmp_path):
    (tmp_path / "mine.h5").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"read from \.npz or \.safetensors files, got mine\.h5"):
        read_weights(tmp_path / "mine.h5")
    with pytest.raises(FileNotFoundError, match=r"^there is no weight file gone\.npz$"):
        read_weights(tmp_path / "gone.npz")
    np.savez(tmp_path / "text.npz", a=np.array(["b"]))
    with pytest.raises(ValueError, match="holds a, which is not an array of numbers"):
        read_weights(tmp_path / "text.npz")


def test_names_and_shapes_that_do_not_fit_are_refused_in_one_sentence(model, arrays):
    with pytest.raises(ValueError, match=r"weights of Mine lack the array linear\.bias of shape \(3,\)"):
        load_state(model, {name: array for name, array in arrays.items() if name != "linear.bias"}, "Mine")
    with pytest.raises(ValueError, match=r"linear\.bias of Mine must have shape \(3,\), got \(10,\)"):
        load_state(model, {**arrays, "linear.bias": np.zeros(10, dtype=np.float32)}, "Mine")
    with pytest.raises(ValueError, match=r"hold the array fc\.bias of shape \(3,\), for which it has no place"):
        load_state(model, {**arrays, "fc.bias": np.zeros(3, dtype=np.float32)}, "Mine")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_in_float32_are_refused(value, model, arrays):
    with pytest.raises(ValueError, match=r"linear\.bias of Mine, of shape \(3,\), holds values that are not finite"):
        load_state(model, {**arrays, "linear.bias": np.array([0, value, 0])}, "Mine")


def test_whole_numbers_are_no_weights(model, arrays):
    with pytest.raises(
        ValueError, match=r"linear\.bias of Mine, of shape \(3,\), must hold floating numbers, got int64"
    ):
        load_state(model, {**arrays, "linear.bias": np.zeros(3, dtype=np.int64)}, "Mine")


def test_counters_are_neither_needed_nor_kept_and_memory_is_not_shared(model, arrays):
    arrays["bn1.num_batches_tracked"] = np.array(5)
    state = load_state(model, arrays, "Mine")
    assert "bn1.num_batches_tracked" not in state
    state["linear.bias"] += 1
    assert not np.array_equal(state["linear.bias"].numpy(), arrays["linear.bias"])


def test_tensors_are_taken_as_arrays_are(model, arrays):
    tensors = {name: torch.as_tensor(array).requires_grad_() for name, array in arrays.items()}
    state = load_state(model, tensors, "Mine")
    assert all(np.array_equal(state[name].numpy(), arrays[name]) for name in arrays)
    assert not any(value.requires_grad for value in state.values())
    state["linear.bias"] += 1
    assert not torch.equal(state["linear.bias"], tensors["linear.bias"])

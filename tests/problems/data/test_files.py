"""Files: where they are looked for, what is wrong with them in one sentence, checksums, and no unpickling."""

import hashlib
import time

import numpy as np
import pytest
import torch

from hessbench.problems.data import DATASETS, files, load, num_per_class, read_once, unavailable
from hessbench.problems.data.files import side_file

NAMES = [name for name, found in DATASETS.items() if found.file]


def sign(path, content=None) -> None:
    digest = hashlib.sha256(path.read_bytes() if content is None else content).hexdigest()
    side_file(path).write_text(f"{digest}  {path.name}\n")


def one_sentence(said, *words) -> None:
    assert said is not None
    assert "\n" not in said
    assert "/" not in said, "no path"
    for word in words:
        assert word in said


@pytest.mark.parametrize("name", ["digits", "digits-7x7"])
def test_the_digits_are_always_there(name, cache):
    assert unavailable(name) is None


@pytest.mark.parametrize("name", NAMES)
def test_without_a_folder_the_remedy_is_said(name, cache):
    one_sentence(unavailable(name), DATASETS[name].file, "HESSBENCH_DATA is not set", "network")
    with pytest.raises(OSError, match="HESSBENCH_DATA is not set"):
        load(name)
    with pytest.raises(OSError, match="HESSBENCH_DATA is not set"):
        num_per_class(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_without_the_file_is_said(name, named):
    one_sentence(unavailable(name), "neither in the folder named by HESSBENCH_DATA nor in the cache")


def test_a_folder_that_is_not_there_is_a_folder_without_the_file(named, monkeypatch):
    monkeypatch.setenv("HESSBENCH_DATA", str(named / "nowhere"))
    one_sentence(unavailable("mnist"), "neither in")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_the_user_is_read(name, named, arrays):
    np.savez_compressed(named / DATASETS[name].file, **arrays(name))
    assert unavailable(name) is None
    assert num_per_class(name) == 4
    assert load(name, split="test").labels.numel() == 4 * DATASETS[name].classes


def test_images_are_unpacked_once_while_they_are_read_once(named, arrays, monkeypatch):
    np.savez(named / "mnist.npz", **arrays("mnist"))
    images = load("mnist").inputs
    unpacked = []
    unpack = files._array

    def counted(path, part):
        unpacked.append(part)
        return unpack(path, part)

    monkeypatch.setattr(files, "_array", counted)
    with read_once():
        load("mnist", per_class=1)
        with read_once():
            torch.testing.assert_close(load("mnist").inputs, images)
    assert unpacked.count("x_train") == 1
    load("mnist")
    assert unpacked.count("x_train") == 2


def test_a_file_in_the_cache_is_read(cache, arrays):
    cache.mkdir(parents=True)
    np.savez(cache / "mnist.npz", **arrays("mnist"))
    assert unavailable("mnist") is None
    assert unavailable("mnist-7x7") is None
    assert load("mnist").labels.numel() == 40


def test_the_file_of_the_user_goes_first(named, cache, arrays):
    cache.mkdir(parents=True)
    np.savez(cache / "mnist.npz", **arrays("mnist", 2))
    np.savez(named / "mnist.npz", **arrays("mnist", 3))
    assert num_per_class("mnist") == 3


def test_a_damaged_file_of_the_user_is_not_passed_over_for_the_cache(named, cache, arrays):
    cache.mkdir(parents=True)
    np.savez(cache / "mnist.npz", **arrays("mnist"))
    (named / "mnist.npz").write_bytes(b"not a zip file")
    one_sentence(unavailable("mnist"), "in the folder named by HESSBENCH_DATA is damaged", "or remove it")
    with pytest.raises(OSError, match="is damaged"):
        load("mnist")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_damaged(kept, named, arrays):
    path = named / "mnist.npz"
    np.savez_compressed(path, **arrays("mnist"))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    one_sentence(unavailable("mnist"), "mnist.npz", "is damaged")
    with pytest.raises(OSError, match="is damaged") as refusal:
        load("mnist")
    one_sentence(str(refusal.value))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_changed_byte_in_the_middle_is_refused_when_it_is_read(save, named, arrays):
    path = named / "mnist.npz"
    save(path, **arrays("mnist"))
    content = bytearray(path.read_bytes())
    content[10_000] ^= 255
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"mnist\.npz is damaged") as refusal:
        load("mnist")
    one_sentence(str(refusal.value))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x_train": None}, "is damaged (KeyError)"),
        ({"y_test": None}, "is damaged (KeyError)"),
        ({"x_train": np.zeros((40, 27, 28), np.uint8)}, "x_train of shape (40, 27, 28)"),
        ({"x_train": np.zeros((40, 28, 28, 3), np.uint8)}, "where (N, 28, 28) and uint8 are accepted"),
        ({"x_test": np.zeros((40, 28, 28), np.float32)}, "x_test of shape (40, 28, 28) and type float32"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, np.uint8)}, "no image of class 0 in y_test"),
        ({"y_train": np.zeros(39, np.uint8)}, "y_train of shape (39,)"),
        ({"y_train": np.zeros(40, np.int64)}, "type int64, where (40,) and uint8 are accepted"),
        ({"y_train": np.full(40, 10, np.uint8)}, "the label 10 in y_train, where 0 to 9 are accepted"),
        ({"y_test": np.repeat(np.arange(8, dtype=np.uint8), 5)}, "no image of class 8 in y_test"),
    ],
)
def test_a_file_of_another_form_is_refused(change, said, named, arrays):
    made = {name: array for name, array in {**arrays("mnist"), **change}.items() if array is not None}
    np.savez(named / "mnist.npz", **made)
    one_sentence(unavailable("mnist"), said)
    with pytest.raises(OSError, match=r"mnist\.npz in the folder named by HESSBENCH_DATA"):
        load("mnist")


class Trap:
    """Raises the alarm when it is unpickled."""

    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize("place", ["x_train", "y_train"])
def test_nothing_is_unpickled(place, named, arrays, capsys):
    made = arrays("mnist")
    made[place] = np.array([Trap()] * len(made[place]), dtype=object)
    np.savez(named / "mnist.npz", **made)
    one_sentence(unavailable("mnist"), "type object")
    with pytest.raises(OSError, match="type object"):
        load("mnist")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("form", ["{0}  {1}\n", "{0} *{1}\n", "{0}\n"])
def test_a_checksum_that_agrees_is_accepted(form, named, arrays):
    path = named / "mnist.npz"
    np.savez(path, **arrays("mnist"))
    side_file(path).write_text(form.format(hashlib.sha256(path.read_bytes()).hexdigest().upper(), path.name))
    assert unavailable("mnist") is None
    assert num_per_class("mnist") == 4


@pytest.mark.parametrize("text", [f"{'0' * 64}  mnist.npz\n", "", "mnist.npz", "0" * 63])
def test_a_checksum_that_does_not_agree_is_refused(text, named, arrays):
    path = named / "mnist.npz"
    np.savez(path, **arrays("mnist"))
    side_file(path).write_text(text)
    one_sentence(unavailable("mnist"), "does not have the SHA-256 that mnist.npz.sha256 gives")
    with pytest.raises(OSError, match="does not have the SHA-256"):
        load("mnist")


def test_a_changed_byte_is_seen_by_the_checksum_before_anything_is_read(named, arrays):
    path = named / "mnist.npz"
    np.savez(path, **arrays("mnist"))
    sign(path)
    content = bytearray(path.read_bytes())
    content[10_000] ^= 255
    path.write_bytes(content)
    one_sentence(unavailable("mnist"), "does not have the SHA-256")


def test_a_checksum_is_computed_once_while_the_file_stays_the_same(named, arrays, monkeypatch):
    path = named / "mnist.npz"
    np.savez(path, **arrays("mnist"))
    sign(path)
    computed = []
    true_digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: computed.append(1) or true_digest(*given))
    for _ in range(3):
        assert unavailable("mnist") is None
        load("mnist", per_class=1)
    assert len(computed) == 1
    np.savez(path, **arrays("mnist", 5))
    one_sentence(unavailable("mnist"), "does not have the SHA-256")
    assert len(computed) == 2


def test_a_change_is_seen_between_two_loads(named, arrays):
    path = named / "mnist.npz"
    np.savez(path, **arrays("mnist"))
    before = load("mnist").inputs
    made = arrays("mnist")
    made["x_train"][0, 0, 0] ^= 1
    np.savez(path, **made)
    assert not torch.equal(load("mnist").inputs, before)


def test_arrays_the_harness_does_not_know_are_left_alone(named, arrays):
    np.savez(named / "mnist.npz", **arrays("mnist"), index_train=np.arange(40), extra=np.array([Trap()], dtype=object))
    assert unavailable("mnist") is None
    assert load("mnist").labels.numel() == 40


def test_a_file_of_the_size_of_cifar10_is_judged_without_unpacking_it(named):
    labels = np.tile(np.arange(10, dtype=np.uint8), 500)
    images = np.random.default_rng(0).integers(0, 256, (5000, 32, 32, 3), dtype=np.uint8)
    np.savez_compressed(named / "cifar10.npz", x_train=images, y_train=labels, x_test=images[:10], y_test=labels[:10])
    assert unavailable("cifar10") is None

    def shortest(action) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            action()
            times.append(time.perf_counter() - start)
        return min(times)

    assert shortest(lambda: unavailable("cifar10")) < shortest(lambda: load("cifar10", per_class=1)) / 5


def test_a_damaged_cache_is_said_with_the_remedy(cache, arrays):
    cache.mkdir(parents=True)
    (cache / "cifar100.npz").write_bytes(b"PK")
    one_sentence(unavailable("cifar100"), "in the cache is damaged", "network connection to download it again")


def test_labels_are_whole_numbers_of_the_type_torch_indexes_with(named, arrays):
    np.savez(named / "cifar100.npz", **arrays("cifar100"))
    assert load("cifar100").labels.dtype == torch.int64
    assert int(load("cifar100").labels.max()) == 99

"""Downloads, against a stand-in for OpenML: what is kept, what is refused, and what a stop half-way leaves."""

import errno
import gc
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
import torch

from hessbench.problems.data import DATASETS, fetch, load, num_per_class, unavailable
from hessbench.problems.data import download as download_module

COLOUR = ["cifar10", "cifar100"]
NAMES = ["mnist", "fashion-mnist", *COLOUR]


def published(dataset) -> tuple[np.ndarray, np.ndarray]:
    """Rows as OpenML gives them, with the published counts and means; classes as text."""
    origin = dataset.origin
    classes = published_classes(dataset)
    generator = np.random.default_rng(4)
    shape = (classes.size, origin.pixels[0] * origin.pixels[1])
    middles = [round(mean * 255) for mean in origin.archive.mean]
    rows = [generator.integers(middle - 30, middle + 31, shape) for middle in middles]
    return np.concatenate(rows, axis=1), classes


def published_classes(dataset) -> np.ndarray:
    archive = dataset.origin.archive
    generator = np.random.default_rng(3)
    parts = [np.repeat(np.arange(dataset.classes), counts) for counts in (archive.train_counts, archive.test_counts)]
    return np.concatenate([generator.permutation(part) for part in parts]).astype(str).astype(object)


class OpenML:
    """Stands in for `fetch_openml`: gives or raises what it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.data: object = None
        self.target: object = None
        self.failure: BaseException | None = None
        self.asked: list[dict] = []

    def __call__(self, *positional, **named):
        self.asked.append({"positional": positional, **named})
        if self.failure:
            raise self.failure
        return SimpleNamespace(data=self.data, target=self.target)


@pytest.fixture
def openml(monkeypatch) -> OpenML:
    made = OpenML()
    monkeypatch.setattr("sklearn.datasets.fetch_openml", made)
    return made


@pytest.fixture
def online(cache, small, openml):
    """A small data set that OpenML gives; the cache is empty."""

    def put(name: str = "mnist") -> OpenML:
        openml.data, openml.target = published(small(name))
        return openml

    return put


def refused(name: str = "mnist") -> str:
    with pytest.raises(OSError) as refusal:  # noqa: PT011 -- the callers look at what is said
        fetch(name, [].append)
    said = str(refusal.value)
    assert "\n" not in said
    assert "/" not in said, "no path"
    return said


@pytest.mark.parametrize("name", NAMES)
def test_what_was_published_is_kept_and_loaded(name, online):
    openml = online(name)
    rows, classes = openml.data, openml.target
    fetch(name, [].append)
    assert unavailable(name) is None
    dataset = DATASETS[name]
    channels, height, width = dataset.shape
    samples = load(name, split="test", normalisation=((0.0,) * channels, (1.0,) * channels))
    assert samples.inputs.shape == (5 * dataset.classes, *dataset.shape)
    wanted = rows[-5 * dataset.classes :].reshape(-1, channels, height, width)
    for image, label in zip(samples.inputs, samples.labels, strict=True):
        (row,) = np.flatnonzero((wanted == (image.double().numpy() * 255).round()).all(axis=(1, 2, 3)))
        assert int(classes[12 * dataset.classes + row]) == label


@pytest.mark.parametrize(
    ("name", "number"), [("mnist", 554), ("fashion-mnist", 40996), ("cifar10", 40927), ("cifar100", 41983)]
)
def test_it_is_asked_for_by_its_number_as_arrays(name, number, online):
    openml = online(name)
    fetch(name, [].append)
    assert openml.asked == [{"positional": (), "data_id": number, "as_frame": False}]


def test_the_pooled_set_is_fetched_with_the_whole(online):
    online()
    fetch("mnist", [].append)
    assert unavailable("mnist-7x7") is None


def test_nothing_is_asked_for_what_is_there(online):
    openml = online()
    fetch("mnist", [].append)
    fetch("mnist", [].append)
    fetch("digits", [].append)
    assert len(openml.asked) == 1


def test_the_name_is_checked(cache):
    with pytest.raises(ValueError, match="unknown data set"):
        fetch("imagenet", [].append)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
def test_pixels_and_classes_may_come_as_any_number(dtype, online):
    openml = online()
    openml.data, openml.target = np.asarray(openml.data, dtype), np.asarray(openml.target.astype(int), dtype)
    fetch("mnist", [].append)
    assert num_per_class("mnist") == 12


def test_the_file_is_kept_in_the_form_of_the_user_files_beside_its_checksum(online, cache):
    online()
    fetch("mnist", [].append)
    content = (cache / "mnist.npz").read_bytes()
    assert (cache / "mnist.npz.sha256").read_text() == f"{hashlib.sha256(content).hexdigest()}  mnist.npz\n"
    with np.load(cache / "mnist.npz", allow_pickle=False) as stored:
        assert {name: (stored[name].shape, stored[name].dtype) for name in stored.files} == {
            "x_train": ((120, 28, 28), np.uint8),
            "y_train": ((120,), np.uint8),
            "x_test": ((50, 28, 28), np.uint8),
            "y_test": ((50,), np.uint8),
        }
    assert sorted(path.name for path in cache.iterdir()) == ["mnist.npz", "mnist.npz.sha256"]


def test_the_same_download_gives_the_same_file(online, cache):
    online()
    fetch("mnist", [].append)
    before = (cache / "mnist.npz").read_bytes()
    (cache / "mnist.npz").unlink()
    fetch("mnist", [].append)
    assert (cache / "mnist.npz").read_bytes() == before


def test_what_goes_on_is_said_before_and_after(online):
    online()
    said: list[str] = []
    fetch("mnist", said.append)
    assert said[0] == "downloading mnist from OpenML (mnist_784, data set 554)"
    assert said[-1] == "keeping mnist in the cache"


def test_a_long_download_is_told_of_every_few_seconds(online, monkeypatch):
    openml = online()
    monkeypatch.setattr(download_module, "EVERY_S", 0.02)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda **named: time.sleep(0.3) or openml(**named))
    said: list[str] = []
    fetch("mnist", said.append)
    assert sum(line.startswith("downloading mnist") and line.endswith(": 0 s") for line in said) > 2


OFFLINE = [
    URLError(OSError(-2, "Name or service not known")),
    URLError("no host given"),
    ConnectionError("refused"),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    TimeoutError("timed out"),
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    ValueError("md5 checksum of local file does not match"),
    EOFError("Compressed file ended before the end-of-stream marker was reached"),
]


@pytest.mark.parametrize("failure", OFFLINE, ids=lambda failure: type(failure).__name__)
def test_without_a_network_the_remedy_is_said(failure, online, cache):
    openml = online()
    openml.failure = failure
    said = refused()
    assert said.startswith("mnist.npz could not be downloaded (")
    assert "network" in said
    assert "HESSBENCH_DATA" in said
    assert not cache.exists()
    openml.failure = None
    fetch("mnist", [].append)
    assert unavailable("mnist") is None


def test_the_cause_is_named(online):
    openml = online()
    openml.failure = OFFLINE[0]
    assert "(Name or service not known)" in refused()
    failure = HTTPError("https://example.org", 503, "Service Unavailable", {}, None)
    openml.failure = failure
    assert "(HTTPError: Service Unavailable)" in refused()
    failure.close()


def test_a_failed_attempt_is_not_warned_of(online, monkeypatch):
    """scikit-learn warns before each new attempt, from its own module."""
    openml = online()
    openml.failure = URLError("offline")

    def noisy(**named):
        warnings.warn_explicit("A network error", UserWarning, "_openml.py", 1, module="sklearn.datasets._openml")
        return openml(**named)

    monkeypatch.setattr("sklearn.datasets.fetch_openml", noisy)
    assert "could not be downloaded" in refused()


def changed(openml: OpenML, **change) -> None:
    for name, make in change.items():
        setattr(openml, name, make(getattr(openml, name)))


def with_value(value):
    def change(rows):
        rows = rows.astype(np.float64)
        rows[0, 0] = value
        return rows

    return change


def with_class(value):
    def change(classes):
        classes = classes.copy()
        classes[0] = value
        return classes

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": lambda rows: rows[:-1]}, "has shape (169, 784), not (170, 784)"),
        ({"data": lambda rows: rows[:, :-1]}, "has shape (170, 783)"),
        ({"data": lambda rows: rows.reshape(-1, 28, 28)}, "has shape (170, 28, 28)"),
        ({"data": lambda rows: None}, "has shape ()"),
        ({"data": with_value(256)}, "pixels outside of 0 to 255"),
        ({"data": with_value(-1)}, "pixels outside of 0 to 255"),
        ({"data": with_value(np.nan)}, "pixels outside of 0 to 255"),
        ({"data": with_value(0.5)}, "pixels that are not whole numbers"),
        ({"data": lambda rows: 255 - rows}, "has channel means [0.8"),
        ({"target": lambda classes: classes[:-1]}, "has 169 classes for 170 images"),
        ({"target": with_class("10")}, "classes outside of 0 to 9"),
        ({"target": with_class("cat")}, "classes that are not numbers"),
        ({"target": with_class(None)}, "classes outside of 0 to 9"),
        ({"target": lambda classes: None}, "has classes"),
        (
            {"target": lambda classes: np.roll(np.sort(classes), 1)},
            "other numbers of images of each class in its train",
        ),
    ],
)
def test_something_else_than_was_published_is_refused(change, said, online, cache):
    openml = online()
    changed(openml, **change)
    found = refused()
    assert found.startswith("what OpenML gives for mnist.npz")
    assert said in found
    assert "HESSBENCH_DATA" in found
    assert not cache.exists()
    assert "is not set" in str(unavailable("mnist"))


def test_another_test_split_is_refused(online):
    openml = online()
    openml.target[-1] = str((int(openml.target[-1]) + 1) % 10)
    assert "has other numbers of images of each class in its test split" in refused()


@pytest.mark.parametrize("name", COLOUR)
def test_colours_in_another_order_are_refused(name, online):
    openml = online(name)
    changed(openml, data=lambda rows: rows.reshape(-1, 3, 1024).transpose(0, 2, 1).reshape(-1, 3072))
    assert "has channel means" in refused(name)


def test_mnist_as_published_is_split_where_it_was_published(cache, openml):
    """All of its 70000 images: the first 60000 train, in an order that is not balanced."""
    archive = DATASETS["mnist"].origin.archive
    assert archive
    openml.target = published_classes(DATASETS["mnist"])
    openml.data = np.full((70_000, 784), 33, np.uint8)
    fetch("mnist", [].append)
    assert (num_per_class("mnist"), num_per_class("mnist", "test")) == (5421, 892)
    assert load("mnist", per_class=100).labels.bincount().tolist() == [100] * 10
    assert load("mnist").labels.bincount().tolist() == list(archive.train_counts)
    gc.collect()


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_in_the_cache_is_made_anew_with_a_warning(kept, online, cache):
    openml = online()
    fetch("mnist", [].append)
    path = cache / "mnist.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert "mnist.npz in the cache is damaged" in str(unavailable("mnist"))
    with pytest.raises(OSError, match="in the cache is damaged"):
        load("mnist")
    with pytest.warns(RuntimeWarning, match=r"^mnist.npz in the cache is damaged \(\w+\) and is made anew$"):
        fetch("mnist", [].append)
    assert len(openml.asked) == 2
    assert path.read_bytes() == content
    assert unavailable("mnist") is None


def test_a_changed_byte_in_the_cache_is_made_anew_with_a_warning(online, cache):
    online()
    fetch("mnist", [].append)
    path = cache / "mnist.npz"
    content = bytearray(path.read_bytes())
    content[50_000] ^= 1
    path.write_bytes(content)
    assert "in the cache does not have the SHA-256" in str(unavailable("mnist"))
    with pytest.warns(RuntimeWarning, match="does not have the SHA-256 that mnist.npz.sha256 gives and is made anew"):
        fetch("mnist", [].append)
    assert unavailable("mnist") is None


def test_a_damaged_file_stays_refused_while_there_is_no_network(online, cache):
    openml = online()
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"PK")
    openml.failure = URLError("offline")
    with pytest.warns(RuntimeWarning, match="is made anew"):
        assert "could not be downloaded" in refused()
    assert "is damaged" in str(unavailable("mnist"))


def test_a_damaged_file_of_the_user_is_theirs_to_mend(named, online):
    openml = online()
    (named / "mnist.npz").write_bytes(b"PK")
    assert "put a sound file in its place" in refused()
    assert openml.asked == []


def test_a_download_is_kept_out_of_the_folder_of_the_user(named, small, openml, cache):
    openml.data, openml.target = published(small("mnist"))
    fetch("mnist", [].append)
    assert list(named.iterdir()) == []
    assert (cache / "mnist.npz").is_file()


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A cache on a file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_leaves_nothing_that_is_read_back(online, disk, monkeypatch):
    online()
    monkeypatch.setenv("HESSBENCH_CACHE", str(disk))
    said = refused()
    assert said.startswith("the disk is full: mnist.npz needs")
    assert "HESSBENCH_CACHE" in said
    assert not list(disk.rglob("*mnist.npz"))
    assert not list(disk.rglob(".*")), "nothing half-written is left"
    assert "mnist.npz is needed" in str(unavailable("mnist"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    fetch("mnist", [].append)
    assert unavailable("mnist") is None


def test_a_full_disk_keeps_the_other_data_sets(online, disk, monkeypatch):
    online()
    monkeypatch.setenv("HESSBENCH_CACHE", str(disk))
    (disk / "data").mkdir()
    (disk / "data" / "cifar10.npz").write_bytes(b"kept")
    refused()
    assert (disk / "data" / "cifar10.npz").read_bytes() == b"kept"


def test_a_disk_that_is_full_while_downloading_is_said(online):
    openml = online()
    openml.failure = OSError(errno.ENOSPC, "No space left on device")
    assert refused().startswith("the disk is full: mnist.npz could not be downloaded")


def test_a_cache_that_cannot_be_written_is_said(online, tmp_path, monkeypatch):
    online()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "file"))
    assert refused().startswith("mnist.npz cannot be kept in the cache (Not a directory): set HESSBENCH_CACHE")


KILLED = """
    import os, signal, sys
    from dataclasses import replace
    from pathlib import Path
    from types import SimpleNamespace
    import numpy as np
    import sklearn.datasets
    from hessbench.problems.data import DATASETS, fetch

    point, seen = sys.argv[1], []

    def end():
        os.kill(os.getpid(), signal.SIGKILL)

    def fetch_openml(**named):
        if point == "download":
            end()
        labels = np.concatenate([np.tile(np.arange(10), 12), np.tile(np.arange(10), 5)])
        return SimpleNamespace(data=np.full((170, 784), 33), target=labels)

    write, move = Path.write_bytes, Path.replace

    def write_bytes(path, content):
        seen.append(path.name)
        if point == f"write-{len(seen)}":
            write(path, content[: len(content) // 2])
            end()
        return write(path, content)

    def replace_file(path, target):
        if point == f"move-{len(seen)}":
            end()
        return move(path, target)

    Path.write_bytes, Path.replace = write_bytes, replace_file
    sklearn.datasets.fetch_openml = fetch_openml
    whole = DATASETS["mnist"]
    archive = replace(whole.origin.archive, train_counts=(12,) * 10, test_counts=(5,) * 10)
    DATASETS["mnist"] = replace(whole, origin=replace(whole.origin, archive=archive))
    fetch("mnist", print)
"""


@pytest.mark.parametrize(
    "point",
    ["write-2", *(pytest.param(p, marks=pytest.mark.slow) for p in ("download", "write-1", "move-1", "move-2"))],
)
def test_a_kill_leaves_nothing_that_is_read_back(point, online, cache):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), point], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert "mnist.npz is needed" in str(unavailable("mnist"))
    openml = online()
    fetch("mnist", [].append)
    assert len(openml.asked) == 1
    assert load("mnist", per_class=12).labels.bincount().tolist() == [12] * 10


def test_an_interrupt_passes_and_leaves_nothing(online, cache):
    openml = online()
    openml.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        fetch("mnist", [].append)
    assert not cache.exists()


def test_scikit_learn_is_not_imported_before_it_is_needed():
    code = "import sys, hessbench.problems.data; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_download_feeds_a_network_as_it_is(online):
    online("cifar10")
    fetch("cifar10", [].append)
    samples = load("cifar10", per_class=1)
    assert torch.nn.functional.conv2d(samples.inputs, torch.ones(2, 3, 3, 3)).shape == (10, 2, 30, 30)


def test_the_cache_is_where_the_variable_says(online, cache):
    online()
    fetch("mnist", [].append)
    assert Path(os.environ["HESSBENCH_CACHE"]) / "data" == cache
    assert (cache / "mnist.npz").is_file()

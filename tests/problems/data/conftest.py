"""Small stand-ins for the published data sets: the same names, a few images."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hessbench.problems.data import DATASETS
from hessbench.problems.data.datasets import DataSet

PER_CLASS = {"train": 12, "test": 5}


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The folder of data sets in an empty cache, with no folder named by the user."""
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HESSBENCH_DATA", raising=False)
    return tmp_path / "cache" / "data"


@pytest.fixture
def named(tmp_path, monkeypatch, cache) -> Path:
    """A folder named by the user, empty."""
    folder = tmp_path / "named"
    folder.mkdir()
    monkeypatch.setenv("HESSBENCH_DATA", str(folder))
    return folder


@pytest.fixture
def small(monkeypatch) -> Callable[[str], DataSet]:
    """Puts a data set of 12 and 5 images a class, of the same shape, in the place of a published one."""

    def put(name: str) -> DataSet:
        whole = DATASETS[name]
        assert whole.origin.archive
        counts = {f"{split}_counts": (count,) * whole.classes for split, count in PER_CLASS.items()}
        archive = replace(whole.origin.archive, **counts)
        made = replace(whole, origin=replace(whole.origin, archive=archive))
        monkeypatch.setitem(DATASETS, name, made)
        return made

    return put


@pytest.fixture
def arrays() -> Callable[..., dict[str, np.ndarray]]:
    """Random arrays in the form of the file of a data set."""

    def make(name: str, per_class: int = 4) -> dict[str, np.ndarray]:
        origin = DATASETS[name].origin
        generator = np.random.default_rng(len(name))
        made = {}
        for split in ("train", "test"):
            labels = generator.permutation(np.repeat(np.arange(origin.classes, dtype=np.uint8), per_class))
            made[f"x_{split}"] = generator.integers(0, 256, (labels.size, *origin.pixels), dtype=np.uint8)
            made[f"y_{split}"] = labels
        return made

    return make

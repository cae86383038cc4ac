"""A cache of its own for every test, and the small training in and out of this process."""

import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import ModuleType

import pytest

from hessbench.problems.training.store import WeightStore

SCRIPT = Path(__file__).with_name("small_training.py")


@pytest.fixture(scope="session")
def small() -> ModuleType:
    """The module `small_training`."""
    spec = importlib.util.spec_from_file_location("small_training", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["small_training"] = module  # its dataclass looks its own module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("HESSBENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def task(small):
    return small.small_task()


@pytest.fixture
def recipe(small):
    return small.RECIPE


@pytest.fixture
def store(task, recipe, cache) -> WeightStore:
    """The store the small training is kept in."""
    return WeightStore(task.key(recipe), recipe)


@dataclass(frozen=True)
class Training:
    """A process that trains, and the file in which it leaves what it is told."""

    process: ForkProcess
    log: Path

    def said(self) -> list[str]:
        """All it was told, once it has ended well."""
        self.process.join(60)
        assert self.process.exitcode == 0
        return self.log.read_text().splitlines()


@pytest.fixture
def training(small, tmp_path) -> Iterator[Callable[..., Training]]:
    """Starts the small training in a process of its own that shares this test's cache."""
    begun: list[Training] = []

    def work(pause: float, save_every: float, log: Path) -> None:
        with log.open("w", buffering=1) as stream:
            small.train_slowly(pause, save_every, lambda text: print(text, file=stream))

    def start(pause: float, save_every: float = 1000.0) -> Training:
        log = tmp_path / f"said-{len(begun)}"
        one = Training(get_context("fork").Process(target=work, args=(pause, save_every, log)), log)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            one.process.start()
        begun.append(one)
        return one

    yield start
    for one in begun:
        one.process.kill()
        one.process.join()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, "it did not come about within a minute"
            time.sleep(0.005)

    return wait

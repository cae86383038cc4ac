"""A cache of its own for every test, and the small training in and out of this process."""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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


@pytest.fixture
def process(cache) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the small training as a process that shares this test's cache."""
    begun: list[subprocess.Popen[str]] = []

    def start(pause: float, save_every: float = 1000.0) -> subprocess.Popen[str]:
        one = subprocess.Popen([sys.executable, str(SCRIPT), str(pause), str(save_every)], stdout=-1, text=True)
        begun.append(one)
        return one

    yield start
    for one in begun:
        one.kill()
        one.communicate()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, "it did not come about within a minute"
            time.sleep(0.005)

    return wait

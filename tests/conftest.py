"""What tests of the whole repository share: a copy of it, and this environment's packages without its own."""

import gc
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A worker of several takes one core: threads of OpenMP that wait for each other's would double the time.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No example is judged by how long it took: a machine may be busy with something else.
settings.register_profile("without-a-clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without-a-clock")

ROOT = Path(__file__).parents[1]
LONGEST = "tests/test_readme.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="first case of the held-out trials; the version's by default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """As the servers of cells do: a collection of garbage looks at what tests make, not at all that is imported.

    Every run of a method in this process asks for one, which would take a third of a second.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this session's own, one for all its workers: what a test finds there, a test made."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared-cache"
    folder.mkdir(exist_ok=True)
    before = os.environ.get("HESSBENCH_CACHE")
    os.environ["HESSBENCH_CACHE"] = str(folder)
    yield folder
    os.environ.pop("HESSBENCH_CACHE")
    if before is not None:
        os.environ["HESSBENCH_CACHE"] = before


@pytest.fixture(scope="session")
def borrowed_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to everything installed here but this package, to put on another interpreter's path."""
    # By this name tools know that the code in it is not the project's own; hypothesis would read all of it.
    folder = tmp_path_factory.mktemp("borrowed") / "site-packages"
    folder.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if (
            "hessbench" not in entry.name
            and entry.suffix != ".pth"
            and not entry.name.startswith(("_virtualenv", "pip"))
        ):
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture
def working_copy(tmp_path: Path) -> Path:
    """A clone of the repository on a branch `main`, with what is changed or new here laid over it, not committed."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "-B", "main"], cwd=clone, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        there = clone / name
        if (ROOT / name).is_file():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, there)
        else:
            there.unlink(missing_ok=True)
    return clone

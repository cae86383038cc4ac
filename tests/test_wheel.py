"""The built wheel: what is in it, and that it works without the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "reports" / "published"
READ = PUBLISHED / "sketch-study" / "errors.csv"

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with nothing of this checkout on its path; its output, or a failure that shows it."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture
def wheel(working_copy: Path, tmp_path: Path) -> Path:
    """The wheel of a clean copy: a build in the checkout would pick up what earlier builds left there."""
    out = tmp_path / "dist"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=working_copy)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture
def python(wheel: Path, borrowed_packages: Path, tmp_path: Path) -> Path:
    """An interpreter with the wheel installed and everything else borrowed from this environment."""
    home = tmp_path / "environment"
    venv.create(home, symlinks=True, with_pip=False)
    site = home / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    (site / "borrowed.pth").write_text(f"{borrowed_packages}\n", encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--python", home)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    return home / "bin" / "python"


def test_the_wheel_holds_every_package_file_and_no_other(wheel: Path) -> None:
    folders = {"harness": "", "problems": "problems/", "methods": "methods/", "reports": "reports/"}
    expected = {
        f"hessbench/{prefix}{path.relative_to(ROOT / folder).as_posix()}"
        for folder, prefix in folders.items()
        for path in (ROOT / folder).rglob("*")
        # Pages that are kept are read in the repository, and not shipped, but for the numbers that a study reads.
        if path.is_file() and path.suffix != ".pyc" and (PUBLISHED not in path.parents or path == READ)
    }
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    info = f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info/"
    assert {name for name in held if not name.startswith(info)} == expected
    assert {name.split("/")[0] for name in held} == {"hessbench", info.rstrip("/")}
    assert "hessbench/suites/quick.toml" in held
    assert any(name.startswith("hessbench/reports/templates/") for name in held)
    assert f"{info}licenses/LICENSE" in held


def test_the_wheel_works_without_the_checkout(python: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = run(python, "-c", "import hessbench; print(hessbench.__file__)", cwd=elsewhere).strip()
    assert Path(where).is_relative_to(python.parents[1])
    assert "run" in run(python, "-m", "hessbench", "--help", cwd=elsewhere)
    assert "lanczos" in run(python, "-m", "hessbench", "list", cwd=elsewhere)
    # A copy, so that neither the checkout's settings nor its folders are found by accident.
    for folder in ("harness", "support"):
        shutil.copytree(ROOT / "tests" / folder, elsewhere / "tests" / folder)
    shutil.copy(ROOT / "tests" / "conftest.py", elsewhere / "tests")
    shutil.copy(ROOT / "pyproject.toml", elsewhere)
    arguments = ("-x", "-q", "-m", "not slow", "tests/harness")
    summary = run(python, "-m", "pytest", *arguments, cwd=elsewhere)
    assert " passed" in summary

"""The shape of the tree: packages, who imports whom, lengths, and what no file may say."""

import ast
import doctest
import fnmatch
import importlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = {"harness": "hessbench", **{name: f"hessbench.{name}" for name in ("problems", "methods", "reports")}}

PROTOCOL = (
    "operators", "operator_protocol", "operator_checks", "operator_parts", "operator_structure", "network_copy",
    "footprint", "distributions", "transforms", "clock",
    "spending", "counting", "counted_factor", "counted_parts", "demand", "processor", "tally", "specs", "registry",
    "seeding", "flops", "files", "source_files", "code_text", "exceptions", "redact", "estimand",
    "kept_pages",
)  # fmt: skip

# Who may import whom: a room, and the rooms it sees beside itself. A module belongs to the longest name it begins with.
SEES: dict[str, tuple[str, ...]] = {
    "protocol": (),
    "definitions": ("protocol",),
    "catalog": ("protocol", "definitions"),
    "eigenvectors": ("protocol", "definitions", "catalog"),
    "ledger": ("protocol", "definitions"),
    "sealing": ("protocol", "definitions"),
    "cells": ("protocol", "definitions", "ledger", "sealing"),
    "laws": ("protocol", "definitions"),
    "workers": ("protocol", "definitions", "catalog", "ledger", "cells", "laws", "sealing"),
    "running": ("protocol", "definitions", "catalog", "ledger", "cells", "workers", "sealing"),
    "package": ("protocol", "definitions", "catalog", "ledger", "running"),
    "advising": ("protocol", "definitions", "ledger"),
    "advising.trials": ("protocol", "definitions", "catalog", "ledger", "running", "advising"),
    "problems.parameters": ("protocol", "definitions"),
    "problems.networks": ("protocol", "definitions", "problems.parameters"),
    "problems.data": ("protocol", "definitions", "problems.parameters", "problems.networks"),
    "problems.spectra": ("protocol", "definitions", "problems.parameters"),
    "problems.curvature.rules": ("protocol", "problems.networks"),
    "problems.curvature.engines": ("protocol", "problems.networks", "problems.curvature.rules"),
    "problems.curvature": (
        "protocol", "definitions", "problems.parameters", "problems.networks", "problems.curvature.engines",
        "problems.curvature.rules",
    ),
    "problems.training": ("protocol", "definitions", "problems.parameters", "problems.networks", "problems.data"),
    "problems.references": (
        "protocol", "definitions", "problems.networks", "problems.curvature", "problems.curvature.engines",
        "problems.curvature.rules",
    ),
    "problems.tangent_kernel": ("protocol", "definitions", "problems.networks", "problems.curvature"),
    "problems.timing": ("protocol", "problems.networks", "problems.curvature", "problems.curvature.engines"),
    "problems.network_problem": (
        "protocol", "definitions", "problems.parameters", "problems.networks", "problems.curvature",
        "problems.curvature.engines", "problems.references",
    ),
    "problems.network_families": (
        "protocol", "definitions", "problems.parameters", "problems.networks", "problems.data", "problems.curvature",
        "problems.curvature.engines", "problems.training", "problems.references", "problems.network_problem",
    ),
    "problems.user_model": (
        "protocol", "definitions", "problems.parameters", "problems.networks", "problems.curvature",
        "problems.curvature.engines", "problems.network_problem",
    ),
    "problems.held_out": (
        "protocol", "definitions", "problems.networks", "problems.spectra", "problems.curvature",
        "problems.curvature.engines", "problems.references", "problems.user_model",
    ),
    "problems": ("definitions", "problems.spectra", "problems.network_families", "problems.user_model"),
    "methods.tools": ("protocol", "definitions"),
    "methods.krylov": ("protocol", "definitions", "methods.tools"),
    "methods.peers": ("protocol", "definitions", "methods.tools"),
    "methods": ("protocol", "definitions", "methods.tools", "methods.krylov", "methods.peers"),
    "reports.writing": ("estimand", "ledger"),
    "reports.costs": ("estimand", "ledger", "reports.writing"),
    "reports.error_curves": ("estimand", "ledger", "reports.writing", "reports.costs"),
    "reports.scale": ("estimand", "ledger", "reports.writing", "reports.costs"),
    "reports.profiles": ("estimand", "ledger", "reports.writing", "reports.costs", "reports.error_curves"),
    "reports.fronts": ("estimand", "ledger", "reports.writing", "reports.costs", "reports.error_curves"),
    "reports.claims": ("estimand", "reports.writing"),
    "reports.audit": ("estimand", "ledger", "reports.writing", "reports.claims", "reports.costs"),
    "reports.calibration": ("estimand", "reports.writing", "reports.claims"),
    "reports.sketch": ("estimand", "reports.writing", "reports.claims"),
    "reports.one_vector": ("estimand", "reports.writing", "reports.claims"),
    "reports.density": ("estimand", "reports.writing", "reports.claims"),
    "reports.few_gradients": ("estimand", "reports.writing", "reports.claims"),
    "reports.capstone": ("estimand", "reports.writing", "reports.claims"),
    "reports.sketch_resnet20": ("estimand", "ledger", "reports.writing", "reports.claims"),
    "reports.full_spectrum": ("estimand", "reports.writing", "reports.claims"),
    "reports.advice": ("estimand", "ledger", "reports.writing", "reports.claims", "advising"),
    "reports.spectra": ("estimand", "ledger", "reports.writing", "reports.error_curves"),
    "reports.leaderboard": ("estimand", "ledger", "reports.writing", "reports"),
    "reports": (
        "estimand", "ledger", "reports.writing", "reports.costs", "reports.error_curves", "reports.scale",
        "reports.claims", "reports.sketch", "reports.one_vector", "reports.density", "reports.few_gradients",
        "reports.spectra", "reports.calibration", "reports.profiles", "reports.fronts", "reports.audit",
        "reports.capstone", "reports.sketch_resnet20", "reports.full_spectrum",
    ),
    "studies": (
        "package", "protocol", "definitions", "catalog", "problems", "problems.spectra", "reports", "reports.claims",
        "reports.calibration", "reports.advice", "studies.advice",
        "reports.sketch", "reports.one_vector", "reports.density", "reports.few_gradients", "studies.few_gradients",
        "studies.frame",
        "reports.capstone", "reports.sketch_resnet20", "reports.full_spectrum",
        "studies.capstone", "studies.sketch_resnet20", "studies.full_spectrum",
    ),
    "studies.frame": ("protocol", "definitions", "reports.writing", "reports.claims"),
    "studies.capstone": (
        "protocol", "definitions", "catalog", "eigenvectors", "problems.networks", "problems.curvature",
        "problems.training", "problems.network_families", "problems.tangent_kernel", "methods", "studies.frame",
        "reports.claims", "reports.capstone",
    ),
    "studies.sketch_resnet20": (
        "protocol", "definitions", "catalog", "problems", "problems.references", "methods.tools", "studies.frame",
        "reports.claims", "reports.sketch_resnet20",
    ),
    "studies.full_spectrum": (
        "protocol", "definitions", "catalog", "problems", "problems.networks", "problems.spectra", "methods",
        "methods.krylov", "studies.frame", "reports.claims", "reports.full_spectrum",
    ),
    # These run cells, as no other study does.
    "studies.interleaved": ("catalog", "cells", "running", "reports"),
    "studies.timed_cells": ("protocol", "catalog", "cells"),
    "studies.few_gradients": (
        "protocol", "definitions", "catalog", "ledger", "cells", "studies.frame", "reports.claims",
        "reports.few_gradients",
    ),
    "studies.advice": ("protocol", "catalog", "running", "advising", "advising.trials", "reports.advice"),
    "cli": ("*",),
}  # fmt: skip
# Rooms that are not a folder of their own, by the modules they hold.
HOMES = {
    **{f"hessbench.{name}": "protocol" for name in PROTOCOL},
    "hessbench.estimand": "estimand",
    "hessbench.problem": "definitions",
    "hessbench.method": "definitions",
    **{
        f"hessbench.methods.{name}": "methods.tools" for name in ("arguments", "leave_one_out", "probes", "small_dense")
    },
    # What studies are made of, and who makes none.
    **{
        f"hessbench.studies.{name}": "studies.frame"
        for name in ("calls", "kept_units", "scale", "single_run", "study", "unit", "units")
    },
    "hessbench.__main__": "cli",
    "hessbench": "package",
}

# Modules over 300 lines, each with the reason it is still one idea. None may pass 500.
LONG: dict[str, str] = {"harness/method.py": "a method and what it is once bound are one contract"}

# Addresses of a machine or of a package index have no place in a tracked file.
MACHINE = re.compile(
    r"(?<![\w.])/(?:work|root|opt)/\w"
    r"|(?<![\w.])/tmp/\w"
    r"|file:/{3}\w"
    r"|--(?:extra-)?index[-]url"
    r"|--find[-]links"
    r"|https?:/{2}\S*/simple\b"
)
# Files whose business is such an address.
EXEMPT = {
    "tests/harness/ledger/test_environment.py": "such a path must not reach the ledger",
    "tests/harness/test_redact.py": "such paths are what is cut",
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([FOLDERS[parts[0]], *(part for part in parts[1:] if part != "__init__")])


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


SOURCES = [path for folder in FOLDERS for path in modules(folder)]
NAMES = frozenset(dotted(path) for path in SOURCES)


def imported(tree: ast.AST) -> set[str]:
    """Modules of this package that a module imports; `from hessbench import Problem` counts as `hessbench`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name if name in NAMES else base for name in inner}
    return {name for name in found if name.split(".")[0] in ("hessbench", "")}


def room(name: str) -> str:
    """The room a module belongs to."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in HOMES and (length == len(parts) or prefix != "hessbench"):
            return HOMES[prefix]
        inner = ".".join(parts[1:length])
        if inner in SEES:
            return inner
    return "nowhere"


def may_import(importer: str, name: str) -> bool:
    """Whether the table allows it; every room sees itself, and the estimands are seen with the protocol."""
    here, there = room(importer), room(name)
    if here == "nowhere" or there == "nowhere":
        return False
    sees = {here, *SEES.get(here, ())}
    if "protocol" in sees or here == "estimand":
        sees |= {"protocol", "estimand"}
    return "*" in sees or there in sees


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_imports_only_along_the_arrows(path: Path) -> None:
    names = imported(ast.parse(path.read_text(encoding="utf-8")))
    assert [name for name in sorted(names) if not may_import(dotted(path), name)] == []


@pytest.mark.parametrize(
    ("importer", "text"),
    [
        ("hessbench.running.runner", "from hessbench.methods import METHODS"),
        ("hessbench.running.runner", "from hessbench import reports"),
        ("hessbench.workers.server", "import hessbench.problems.spectra.synthetic"),
        ("hessbench.running.plan", "from hessbench.cli import main"),
        ("hessbench.problems.network_families.digits_mlp", "from hessbench import methods"),
        ("hessbench.methods.eigenvalues.power", "from hessbench.problems.spectra.closed_forms import step"),
        ("hessbench.methods.eigenvalues.power", "from hessbench.running.runner import run"),
        ("hessbench.methods.eigenvalues.power", "from .krylov import norm"),
        ("hessbench.reports.page", "from hessbench.running.runner import run"),
        ("hessbench.reports.page", "def late():\n    from hessbench import Problem"),
    ],
)
def test_an_import_against_the_arrows_is_seen(importer: str, text: str) -> None:
    assert not all(may_import(importer, name) for name in imported(ast.parse(text)))


def test_the_packages_declared_are_the_folders_with_modules() -> None:
    found = {
        FOLDERS[folder] + "".join(f".{part}" for part in path.parent.relative_to(ROOT / folder).parts)
        for folder in FOLDERS
        for path in modules(folder)
    }
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == found
    assert PYPROJECT["tool"]["setuptools"]["package-dir"] == {name: folder for folder, name in FOLDERS.items()}


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=relative)
def test_every_folder_of_a_package_is_a_package(folder: Path) -> None:
    assert (folder / "__init__.py").is_file()


def test_every_data_file_of_a_package_is_declared() -> None:
    declared = PYPROJECT["tool"]["setuptools"]["package-data"]
    patterns = [f"{folder}/{pattern}" for folder, name in FOLDERS.items() for pattern in declared.get(name, [])]
    data = [
        name
        for name in tracked()
        if name.split("/")[0] in FOLDERS and not name.endswith(".py")
        if not name.startswith("reports/published/")  # pages to be read in the repository, not shipped
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    ]
    assert data == []


def test_the_tests_are_no_package() -> None:
    assert [name for name in tracked() if re.match(r"tests/(?!asv_suite/).*__init__\.py$", name)] == []


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_is_short_or_says_why_not(path: Path) -> None:
    assert lines_of(path) <= (500 if relative(path) in LONG else 300)


@pytest.mark.parametrize("name", sorted(LONG))
def test_only_long_modules_are_excused(name: str) -> None:
    assert lines_of(ROOT / name) > 300


def test_a_class_name_has_one_meaning() -> None:
    found: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(relative(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def public_functions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef]]:
    """Functions, and methods of classes, whose names begin with no underscore."""
    bodies = [("", tree.body), *((f"{node.name}.", node.body) for node in tree.body if isinstance(node, ast.ClassDef))]
    return [
        (f"{owner}{node.name}", node)
        for owner, body in bodies
        for node in body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not owner.startswith("_")
    ]


def leaves_parameters_unnamed(function: ast.FunctionDef) -> bool:
    """Whether four or more parameters go without an `Args:` section; the docstring of a verb is its help text."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named = [argument for argument in named if argument.arg not in ("self", "cls")]
    number = len(named) + sum(more is not None for more in (arguments.vararg, arguments.kwarg))
    is_verb = any("click.command" in ast.unparse(decorator) for decorator in function.decorator_list)
    return number >= 4 and not is_verb and "Args:" not in (ast.get_docstring(function) or "")


def test_four_parameters_or_more_are_named_in_the_docstring() -> None:
    found = {
        relative(path): {name for name, node in public_functions(tree) if leaves_parameters_unnamed(node)}
        for path in SOURCES
        if (tree := ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(a, b, c, *, d): 'Do.'", ["f"]),
        ("def f(a, b, c, **d): 'Do.'", ["f"]),
        ("def f(a, b, c): 'Do.'", []),
        ("def f(a, b, c, d): 'Do.\\n\\nArgs:\\n    a: This.'", []),
        ("def _f(a, b, c, d): 'Do.'", []),
        ("@click.command('f')\ndef f(a, b, c, d): 'Do.'", []),
        ("class C:\n def f(self, a, b, c, d): 'Do.'\n def g(self, a, b, c): 'Do.'", ["C.f"]),
    ],
)
def test_parameters_without_names_are_seen(text: str, expected: list[str]) -> None:
    assert [name for name, node in public_functions(ast.parse(text)) if leaves_parameters_unnamed(node)] == expected


def tracked() -> list[str]:
    """Files git tracks, or would after the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})


def test_no_file_names_a_machine_or_an_index() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name in tracked()
        if name not in EXEMPT
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["cd /" + "root/x", "'/" + "opt/runs'", "file:" + "///srv/x", "pip install --" + "index-url x"]
)
def test_an_address_is_seen(text: str) -> None:
    assert MACHINE.search(text)


@pytest.mark.parametrize("text", ["/proc/self/status", "/dev/null", "runs/demo", "https://example.org/home/page"])
def test_what_every_machine_has_is_no_address(text: str) -> None:
    assert not MACHINE.search(text)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_examples_in_docstrings_hold(folder: str) -> None:
    for path in modules(folder):
        if ">>>" in path.read_text(encoding="utf-8"):
            # By its dotted name: the folder's own name would make a second copy of the module.
            assert doctest.testmod(importlib.import_module(dotted(path))).failed == 0


def test_the_pins_and_the_benchmarks_name_every_dependency() -> None:
    names = {re.split(r"[<>=]", entry)[0].lower() for entry in PYPROJECT["project"]["dependencies"]}
    pinned = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    oldest = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^\s*//.*$", "", (ROOT / "asv.conf.json").read_text(encoding="utf-8"))
    requirements = json.loads(text)["matrix"]["req"]
    assert names <= set(pinned)
    assert names <= set(re.findall(r"(?m)^([a-z0-9-]+)==", oldest))
    assert set(requirements) == names
    assert all(version in ("", pinned[name]) for name, (version,) in requirements.items())

"""The asv benchmarks: the list of cells holds, and a change that needs more products is flagged."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hessbench.catalog import load_catalog
from hessbench.estimand import parse_estimand
from hessbench.ledger.record import Kind, Record, Status
from hessbench.problems.curvature.engines.table import engine_names
from hessbench.running.plan import Conditions, plan

ROOT = Path(__file__).parents[1]
CHARGE = "        self.matvecs += columns\n"


def benchmarks(name: str) -> ModuleType:
    """A module of the benchmarks, found as asv finds it: by its folder, under no package of the tests."""
    spec = importlib.util.spec_from_file_location(f"asv_{name}", ROOT / "tests" / "asv_suite" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ledger() -> ModuleType:
    return benchmarks("ledger")


@pytest.fixture(scope="module")
def answers() -> ModuleType:
    return benchmarks("answers")


@pytest.fixture(scope="module")
def times() -> ModuleType:
    return benchmarks("times")


def terminal(**values: object) -> Record:
    row = {"kind": Kind.TERMINAL, "cell": "c", "problem": "p", "method": "m", "estimand": "trace", "status": Status.OK}
    return Record(**(row | values))


def test_every_cell_is_listed_once_and_can_be_planned(ledger: ModuleType) -> None:
    catalog = load_catalog()
    planned = {cell: plan(ledger.suite_of(cell), catalog) for cell in ledger.CELLS}
    assert [cell for cell, entries in planned.items() if any(entry.skip_reason for entry in entries)] == []
    assert all({entry.cell.pass_ for entry in entries} == {"time", "memory"} for entries in planned.values())
    ids = [entry.cell.id for entries in planned.values() for entry in entries]
    assert len(set(ids)) == len(ids) == 2 * len(ledger.CELLS)


def test_a_cell_this_commit_does_not_know_costs_only_itself(ledger: ModuleType) -> None:
    unknown = "student-t[n=100] | no-such-method | trace | 10"
    assert ledger.planned_ids(unknown, load_catalog(), Conditions()) == {}
    assert ledger.costs_of(None, {}) is None
    assert math.isnan(ledger.value_of(None, "matvecs"))


@pytest.mark.parametrize("rows", [{}, {"time": terminal(), "memory": terminal(status=Status.CRASH, matvecs=1)}])
def test_a_failed_cell_has_no_number_that_could_be_an_improvement(ledger: ModuleType, rows: dict[str, Record]) -> None:
    """asv marks what raises as a failure, and a failure introduced as worse; NaN would be passed over."""
    costs = ledger.costs_of(rows, {})
    assert ledger.value_of(costs, "failed") == 1.0
    for name in ("matvecs", "error", "host_peak_bytes", "device_peak_bytes"):
        with pytest.raises(RuntimeError, match=r"it left no row|crash"):
            ledger.value_of(costs, name)


def checkpoint(budget: int, error: float | None, repeat: int = 0) -> Record:
    return terminal(kind=Kind.CHECKPOINT, budget=budget, error=error, repeat=repeat)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({10: 0.5, 20: 0.009, 40: 0.001}, 20.0),
        ({10: 0.005, 20: 0.02, 40: 0.001}, 40.0),
        ({10: 0.01, 20: 0.01, 40: 0.01}, 10.0),
        ({10: 0.005, 20: 0.002, 40: 0.02}, 80.0),
        ({10: 0.005, 20: 0.002, 40: float("nan")}, 80.0),
    ],
)
def test_products_are_those_from_which_on_every_answer_is_within(
    answers: ModuleType, errors: dict[int, float], expected: float
) -> None:
    assert answers.reached(errors, 40) == expected


def test_products_of_a_cell_are_the_median_of_its_repeats(answers: ModuleType) -> None:
    rows = [checkpoint(budget, error, repeat) for repeat, first in enumerate((0.5, 0.001, 0.001))
            for budget, error in ((10, first), (20, 0.001))]  # fmt: skip
    assert answers.products_of(rows, 20) == 10.0
    assert answers.products_of([*rows, checkpoint(20, None, 1), checkpoint(20, None, 2)], 20) == 40.0


@pytest.mark.parametrize("extra", [[terminal(status=Status.ERROR)], None])
def test_a_run_that_failed_or_is_missing_has_no_products(answers: ModuleType, extra: list[Record] | None) -> None:
    rows = [checkpoint(10, 0.001, repeat) for repeat in range(3 if extra else 2)]
    with pytest.raises(RuntimeError, match=r"error|2 of 3 repeats"):
        answers.products_of([*rows, *(extra or [])], 10)


def test_every_answer_can_be_planned(answers: ModuleType) -> None:
    catalog = load_catalog()
    for cell in answers.CELLS:
        assert [entry.skip_reason for entry in plan(answers.suite_of(cell), catalog) if entry.skip_reason] == []


def test_a_ratio_of_times_is_that_of_the_work(times: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(times.time, "process_time", lambda: clock[0])

    def taking(seconds: float) -> Callable[[], None]:
        def work() -> None:
            clock[0] += seconds

        return work

    assert times.paired_ratio(taking(0.003), taking(0.002)) == pytest.approx(1.5)


def test_times_name_problems_engines_and_methods_that_there_are(times: ModuleType) -> None:
    catalog = load_catalog()
    for text in times.PRODUCTS:
        problem, matrix, engine = text.split(" | ")
        assert catalog.problem(problem).network is not None
        assert engine in engine_names(matrix)
    assert max(catalog.problem(text.split(" | ")[0]).dim for text in times.PRODUCTS) > 100_000
    for text in times.CELLS:
        problem, method, estimand, products = text.split(" | ")
        bound = catalog.method(method, parse_estimand(estimand))
        assert not bound.skip_reason(catalog.problem(problem))
        assert bound.min_matvecs(catalog.problem(problem).dim) <= int(products)
    assert math.isnan(times.cell_ratio("student-t | no-such-method | trace | 10"))


@pytest.mark.parametrize("value", [None, float("inf"), float("-inf"), float("nan")])
def test_a_number_asv_cannot_store_becomes_nan(ledger: ModuleType, value: float | None) -> None:
    found = ledger.number(value)
    assert type(found) is float
    assert found != found


def test_the_costs_of_a_cell_are_those_of_its_two_passes(ledger: ModuleType) -> None:
    timed = terminal(matvecs=20, error=0.5, reference_bound=1e-6, wall_s=0.1)
    memory = terminal(matvecs=20, host_peak_bytes=10**9)
    costs = ledger.costs_of({"time": timed, "memory": memory}, {})
    assert costs.pop("device_peak_bytes") != costs
    assert costs == {"failed": 0.0, "matvecs": 20.0, "error": 0.5, "host_peak_bytes": 1e9}
    assert all(type(value) is float for value in costs.values())


def test_what_is_only_rounding_or_pages_does_not_move_a_series(ledger: ModuleType) -> None:
    costs = [
        ledger.costs_of(
            {"time": terminal(error=error, reference_bound=1e-5), "memory": terminal(host_peak_bytes=peak)}, {}
        )
        for error, peak in ((1e-7, 1000), (9e-6, 3_000_000))
    ]
    assert costs[0]["error"] == costs[1]["error"] == 1e-5
    assert costs[0]["host_peak_bytes"] == costs[1]["host_peak_bytes"]


def test_a_run_over_its_budget_is_a_failure_here(ledger: ModuleType) -> None:
    rows = {"time": terminal(status=Status.OVER_BUDGET), "memory": terminal()}
    assert ledger.costs_of(rows, {})["failed"] == 1.0


def asv(clone: Path, home: Path, *arguments: str) -> tuple[int, str]:
    """Run asv in a clone, with a home of its own for its machine file; the exit code and what it printed."""
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    config = os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": cache, "XDG_CONFIG_HOME": config}
    done = subprocess.run(
        [sys.executable, "-m", "asv", *arguments], cwd=clone, text=True, check=False,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def commit(clone: Path, message: str) -> None:
    """Commit everything in a clone, whoever runs the tests."""
    author = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    subprocess.run(["git", *author, "commit", "--quiet", "--allow-empty", "-m", message], cwd=clone, check=True)


def borrow_instead_of_installing(clone: Path, packages: Path) -> None:
    """Let asv's environments find the packages installed here: a torch of their own would take minutes."""
    script = clone.parent / "borrow.py"
    script.write_text(
        "import pathlib, sysconfig\n"
        f"pathlib.Path(sysconfig.get_path('purelib'), 'borrowed.pth').write_text({str(packages)!r})\n",
        encoding="utf-8",
    )
    configuration = clone / "asv.conf.json"
    lines = configuration.read_text(encoding="utf-8").splitlines()
    loaded = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    changed = loaded | {"matrix": {}, "install_command": [f"python {script}", *loaded["install_command"]]}
    configuration.write_text(json.dumps(changed), encoding="utf-8")


@pytest.mark.slow
def test_asv_flags_a_doubled_count_of_products(working_copy: Path, borrowed_packages: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    borrow_instead_of_installing(working_copy, borrowed_packages)
    commit(working_copy, "as it is")
    counting = working_copy / "harness" / "spending.py"
    text = counting.read_text(encoding="utf-8")
    assert text.count(CHARGE) == 1
    counting.write_text(text.replace(CHARGE, CHARGE.replace("columns", "2 * columns")), encoding="utf-8")
    commit(working_copy, "charge every product twice")

    code, said = asv(working_copy, home, "machine", "--yes")
    assert code == 0, said
    code, said = asv(working_copy, home, "continuous", "-b", "track_matvecs", "HEAD~1", "HEAD")
    assert code == 2, said  # cells that end over their budget have failed, which ends it before it compares
    code, said = asv(working_copy, home, "compare", "HEAD~1", "HEAD")
    assert code == 0, said
    flagged = [line for line in said.splitlines() if re.match(r"\| \+ +\| +100(?:\.0)? +\| +200(?:\.0)? +\|", line)]
    assert any("track_matvecs" in line and "lanczos[reorth=full]" in line for line in flagged), said

    code, said = asv(working_copy, home, "publish")
    assert code == 0, said
    published = working_copy / ".asv" / "html"
    assert (published / "index.html").is_file()
    regressions = json.loads((published / "regressions.json").read_text(encoding="utf-8"))["regressions"]
    assert any("track_matvecs" in entry[0] and "| 400" in entry[0] for entry in regressions)


@pytest.mark.slow
def test_asv_runs_every_series_in_the_environment_at_hand(working_copy: Path, tmp_path: Path) -> None:
    commit(working_copy, "as it is")
    assert asv(working_copy, tmp_path, "machine", "--yes")[0] == 0
    code, said = asv(working_copy, tmp_path, "run", "--python=same", "--set-commit-hash", "HEAD")
    assert code == 0, said
    (stored,) = (working_copy / ".asv" / "results").glob("*/*existing*.json")
    results = json.loads(stored.read_text(encoding="utf-8"))["results"]
    values = {name.split(".")[-1]: found[0] for name, found in results.items()}
    assert values["track_failed"] == [0.0] * len(values["track_failed"])
    assert {name for name, found in values.items() if all(isinstance(value, float) for value in found)} >= {
        "track_matvecs", "track_error", "track_host_peak_bytes", "track_failed", "track_products_to_1_percent",
        "track_gradients_a_product", "track_yardsticks_a_cell",
    }  # fmt: skip

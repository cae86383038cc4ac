"""What a sealed run takes, and what it refuses in one sentence; plugins are imported in their own processes alone."""

import math
import sys
from pathlib import Path

import pytest

from hessbench import Ledger, Options, run
from hessbench.catalog import load_catalog
from hessbench.estimand import Trace
from hessbench.method import Method
from hessbench.running.described import catalog_for
from hessbench.sealing.description import described, stand_in

PLUGIN = """
from typing import Literal
import os
from hessbench import Estimate, Method, Trace
from hessbench.footprint import Footprint

def estimate(op, /, *, num_matvecs, generator, way: Literal["fast", "slow"] = "fast", chunk=2, tol=float("inf")):
    return Estimate(float(op.matmat(generator_block(op, generator)).sum()), diagnostics={"way": way})

def generator_block(op, generator):
    import torch
    return torch.randn(op.dim, 1, generator=generator, dtype=op.dtype)

METHODS = [Method("strange", estimate, (Trace,), min_matvecs=lambda dim, *, chunk, **_: chunk,
                  footprint=lambda dim, num_matvecs, **_: Footprint(2, 3.5),
                  refuses=lambda kind, *, way, **_: "no slow traces" if way == "slow" else "")]
"""
BAD = {
    "PROBLEMS = [1]\nMETHODS = []": "lists PROBLEMS: name it as a trusted plugin",
    "X = 1": "defines no METHODS",
    "METHODS = [1]": "METHODS holds something else than methods",
    "METHODS = 5": "TypeError",
    "1 / 0": "ZeroDivisionError",
    "import os; os._exit(0)": "its process ended, or took too long",
    "import hessbench.problems": "hessbench.problems is not there in a sealed run",
    "METHODS = [type('M', (), {})()]": "METHODS holds something else than methods",
}


@pytest.fixture
def plugin(tmp_path):
    """A file of a stranger."""
    file = tmp_path / "strange.py"
    file.write_text(PLUGIN)
    return file


def test_methods_of_the_callers_process_are_refused(crossing, tmp_path):
    with pytest.raises(ValueError, match="takes methods from plugin files and installed packages"):
        run(crossing("student-t[n=48]", "hutchinson"), tmp_path, Options(sealed=True), catalog=load_catalog())


def test_a_plugin_that_is_not_there_is_refused(crossing, tmp_path):
    with pytest.raises(ValueError, match=r"plugin file none\.py does not exist"):
        run(crossing(), tmp_path, Options(plugins=(str(tmp_path / "none.py"),), sealed=True))


def test_a_stand_in_declares_what_the_method_does():
    for method in load_catalog().methods:
        found = stand_in(described(method), lambda *_: None, [Path(__file__)])
        for name in ("name", "estimands", "requires", "also_takes", "works_by", "version", "presets", "library"):
            assert getattr(found, name) == getattr(method, name)
        assert found.defaults == method.defaults
        assert found.is_anytime == method.is_anytime
        assert [found.canonical(text) for text in method.presets] == list(map(method.canonical, method.presets))


@pytest.mark.parametrize(
    "said", [None, {}, [], {"name": 5}, {**described(load_catalog().methods["lanczos"]), "name": "a b"}]
)
def test_an_odd_description_is_refused(said):
    with pytest.raises(ValueError, match=r"."):
        stand_in(said, lambda *_: None, [Path(__file__)])


@pytest.mark.slow
def test_a_plugin_is_planned_by_what_its_own_process_says(plugin, tmp_path):
    alone = load_catalog([plugin]).methods["strange"]
    options = Options(plugins=(str(plugin),), sealed=True)
    with catalog_for(options, tmp_path / "run") as catalog:
        method = catalog.methods["strange"]
        assert isinstance(method, Method)
        assert method.hash == alone.hash
        assert method.defaults == {"way": "fast", "chunk": 2, "tol": math.inf}
        bound = method.bind("strange[chunk=5]", Trace())
        assert bound.min_matvecs(100) == 5
        assert bound.footprint(10, 20).passes == 3.5
        assert method.bind("strange[way=slow]", Trace()).refusal == "no slow traces"
        with pytest.raises(ValueError, match="parameter 'way' takes fast or slow"):
            method.spec("strange[way=odd]")


@pytest.mark.slow
def test_a_plugin_is_imported_nowhere_else(plugin, crossing, tmp_path):
    told, before = tmp_path / "imported", set(sys.modules)
    plugin.write_text(f"open({str(told)!r}, 'w')\n" + PLUGIN)
    with pytest.raises(ValueError, match=r"plugin strange\.py: .*PermissionError"):
        run(crossing("student-t[n=48]", "strange"), tmp_path / "run", Options((str(plugin),), sealed=True))
    assert not told.exists()
    assert not any(name.startswith("hessbench_plugin") for name in set(sys.modules) - before)


@pytest.mark.slow
@pytest.mark.parametrize("text", BAD)
def test_a_plugin_that_is_none_is_refused_in_a_sentence(text, crossing, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=BAD[text]):
        run(crossing("student-t[n=48]", "hutchinson"), tmp_path / "run", Options((str(file),), sealed=True))


@pytest.mark.slow
def test_an_unsealed_row_does_not_stand_for_a_sealed_one_and_the_other_way_round_it_does(crossing, tmp_path):
    suite = crossing("student-t[n=48]", "hutchinson", "8")
    for sealed, ran, kept in ((False, 1, 0), (True, 1, 0), (False, 0, 1), (True, 0, 1)):
        summary = run(suite, tmp_path, Options(prices=False, sealed=sealed))
        assert (summary.planned - summary.kept, summary.kept) == (ran, kept)
    rows = list(Ledger.read(tmp_path).terminals.values())
    assert [row.sealed for row in rows] == [True]


@pytest.mark.slow
def test_problems_of_a_trusted_plugin_are_built_beside_the_operator(hostile, plugin, crossing, tmp_path):
    options = Options((str(plugin),), prices=False, sealed=True, trusted=(hostile,))
    run(crossing("tiny", "strange good", "8"), tmp_path / "run", options)
    rows = {row.method: row for row in Ledger.read(tmp_path / "run").terminals.values()}
    assert rows["strange"].status == "ok"
    assert rows["strange"].sealed
    assert rows["good"].status == "ok"

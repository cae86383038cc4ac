"""A part of a suite, and methods added to it: other cells are planned, and each is the one it always was."""

import textwrap
from dataclasses import replace

import pytest

from hessbench import Ledger, Suite, run
from hessbench.catalog import load_catalog
from hessbench.running.plan import plan
from hessbench.running.runner import Options
from hessbench.running.selection import left_out
from hessbench.running.suite import Cross, Selection

PLUGIN = """
import torch
from hessbench import Estimate, Method, Problem, TopEigenvalues, Trace

def hutchinson(op, /, *, num_matvecs, generator, depth=1):
    probes = torch.randn(op.dim, num_matvecs, generator=generator, dtype=op.dtype)
    return Estimate((probes * (op @ probes)).sum() / num_matvecs)

def top(op, /, *, num_matvecs, generator, k):
    return Estimate(torch.zeros(k))

METHODS = [
    Method("mine", hutchinson, (Trace,), presets=("mine", "mine[depth=2]")),
    Method("needs-many", hutchinson, (Trace,), min_matvecs=30),
    Method("picky", hutchinson, (Trace,), requires=("psd",)),
    Method("values", top, (TopEigenvalues,)),
]
PROBLEMS = [Problem.of("own", torch.eye(5))]
"""

SUITE = Suite(
    "s",
    1,
    (
        Cross("trace", ("student-t[n=[50,60]]", "wigner[n=50]"), ("hutchinson", "hutchpp"), (10, 20)),
        Cross("density", ("student-t[n=50]",), ("lanczos[reorth=none]", "slq"), (20,)),
    ),
)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("plugin") / "mine.py"
    file.write_text(textwrap.dedent(PLUGIN))
    return str(file)


@pytest.fixture(scope="module")
def catalog(plugin):
    return load_catalog((plugin,))


def cells(catalog, suite=SUITE, **selection):
    return {p.cell.id: p for p in plan(replace(suite, selection=Selection(**selection)), catalog)}


def names(found):
    return {(p.cell.estimand, p.cell.problem, p.cell.method) for p in found.values()}


@pytest.mark.parametrize(
    ("methods", "kept"),
    [
        (("hutchinson",), {"hutchinson"}),
        (("hutch*",), {"hutchinson", "hutchpp"}),
        (("hutchpp", "slq"), {"hutchpp", "slq"}),
        (("lanczos",), {"lanczos[reorth=none]"}),
        (("lanczos[reorth=none]",), {"lanczos[reorth=none]"}),
        (("lanczos[reorth=[full,none]]",), {"lanczos[reorth=none]"}),
        (("lan*none]",), {"lanczos[reorth=none]"}),
        (("*",), {"hutchinson", "hutchpp", "lanczos[reorth=none]", "slq"}),
    ],
)
def test_methods_that_match_are_kept(catalog, methods, kept):
    found = cells(catalog, methods=methods)
    assert {p.cell.method for p in found.values()} == kept
    assert found.keys() <= cells(catalog).keys()


@pytest.mark.parametrize(
    ("problems", "kept"),
    [
        (("student-t",), {"student-t[n=50]", "student-t[n=60]"}),
        (("student-t[n=60]",), {"student-t[n=60]"}),
        (("student-t[n=[60,70]]",), {"student-t[n=60]"}),
        (("*n=50]",), {"student-t[n=50]", "wigner[n=50]"}),
    ],
)
def test_problems_that_match_are_kept(catalog, problems, kept):
    found = cells(catalog, problems=problems)
    assert {p.cell.problem for p in found.values()} == kept
    assert found.keys() <= cells(catalog).keys()


def test_both_are_kept_together(catalog):
    assert names(cells(catalog, methods=("hutch*",), problems=("wigner",))) == {
        ("trace", "wigner[n=50]", "hutchinson"), ("trace", "wigner[n=50]", "hutchpp"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ({"methods": ("k*",)}, r"^no method of the suite s matches 'k\*'; it has: hutchinson, hutchpp, lanczos, slq$"),
        ({"methods": ("hutchinson", "kpm")}, "^no method of the suite s matches 'kpm'; it has: hutchinson"),
        ({"methods": ("hutchinsn",)}, "^unknown method 'hutchinsn' "),
        ({"problems": ("digits*",)}, r"^no problem of the suite s matches 'digits\*'; it has: student-t, wigner$"),
        ({"problems": ("student-t[n=70]",)}, r"^no problem of the suite s matches 'student-t\[n=70\]'"),
        ({"methods": ("slq",), "problems": ("wigner",)},
         "^nothing of the suite s is left: no cross has a method among slq and a problem among wigner$"),
        ({"add": ("values",)},
         "^values cannot be added to the suite s: it answers top-eigenvalues; the suite asks for trace, density$"),
        ({"add": ("nobody",)}, "^unknown method 'nobody'"),
        ({"add": ("mine[depth=x]",)}, "depth"),
    ],
)  # fmt: skip
def test_what_selects_nothing_is_refused_in_one_sentence(catalog, selection, says):
    with pytest.raises(ValueError, match=says):
        cells(catalog, **selection)


def test_an_added_method_joins_every_cross_of_its_estimand_and_the_other_cells_are_the_same(catalog):
    before, after = cells(catalog), cells(catalog, add=("mine",))
    assert before.keys() < after.keys()
    new = {key: after[key] for key in after.keys() - before.keys()}
    assert names(new) == {("trace", p, "mine") for p in ("student-t[n=50]", "student-t[n=60]", "wigner[n=50]")}
    assert {p.cell.budgets for p in new.values()} == {(10,), (20,)}


@pytest.mark.parametrize(
    ("add", "joined"),
    [(("mine[depth=[1,2]]",), {"mine", "mine[depth=2]"}), (("mi*",), {"mine", "mine[depth=2]"}), (("hutchpp",), set())],
)
def test_sweeps_and_globs_add_each_of_theirs_and_what_is_there_is_not_added_twice(catalog, add, joined):
    before, after = cells(catalog), cells(catalog, add=add)
    assert {after[key].cell.method for key in after.keys() - before.keys()} == joined


def test_what_an_added_method_cannot_run_is_skipped_with_the_reason(catalog):
    found = {
        p.cell.method: p.skip_reason for p in cells(catalog, add=("needs-many", "picky")).values() if p.skip_reason
    }
    assert "needs-many needs at least 30 products" in found["needs-many"]
    assert "requires the trait 'psd'" in found["picky"]


def test_an_added_method_stays_whatever_methods_are_kept(catalog):
    assert {p.cell.method for p in cells(catalog, methods=("slq",), add=("mine",)).values()} == {"slq", "mine"}
    assert {p.cell.method for p in cells(catalog, methods=("mine",), add=("mine",)).values()} == {"mine"}
    alone = cells(catalog, add=("mine",), methods=("mine",), problems=("wigner",))
    assert names(alone) == {("trace", "wigner[n=50]", "mine")}


def test_a_plugin_that_is_in_no_cross_is_told_and_how_to_put_it_in(catalog, plugin):
    assert left_out(SUITE, catalog, [plugin]) == [
        "mine is in no cross of s: --add mine puts it into every cross of trace",
        "needs-many is in no cross of s: --add needs-many puts it into every cross of trace",
        "picky is in no cross of s: --add picky puts it into every cross of trace",
        "values is in no cross of s: none asks for top-eigenvalues; name it in a suite of your own",
        "own is in no cross of s: name it in a suite of your own",
    ]
    crossed = replace(SUITE, selection=Selection(add=("mine", "needs-many"), methods=("slq",)))
    assert [sentence.split()[0] for sentence in left_out(crossed, catalog, [plugin])] == ["picky", "values", "own"]
    own = Suite("o", 1, (Cross("trace", ("own",), ("mine", "needs-many", "picky"), (40,)),))
    assert [sentence.split()[0] for sentence in left_out(own, catalog, [plugin])] == ["values"]


def test_a_run_that_adds_a_method_keeps_every_cell_it_has(plugin, catalog, tmp_path):
    small = replace(SUITE, crosses=(Cross("trace", ("wigner[n=50]",), ("hutchinson",), (10,), memory=False),))
    options = Options(plugins=(plugin,), prices=False)

    def ran(suite):
        return run(suite, tmp_path, options, catalog=catalog)

    assert ran(small).ran == 1
    added = ran(replace(small, selection=Selection(add=("mine",))))
    assert (added.ran, added.kept) == (1, 1)
    only = ran(replace(small, selection=Selection(add=("mine",), methods=("mine",))))
    assert (only.ran, only.kept) == (0, 1)
    assert ran(small).kept == 1
    assert {row.method for row in Ledger.read(tmp_path).terminals.values()} == {"hutchinson", "mine"}

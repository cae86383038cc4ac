"""The suite `ladder` gives the report what it needs: families of sizes up to ten million."""

import pytest

from hessbench.catalog import load_catalog
from hessbench.reports.scale.families import families
from hessbench.running.plan import Conditions, plan
from hessbench.running.suite import Suite


@pytest.fixture(scope="module")
def cells():
    suite, catalog = Suite.load("ladder"), load_catalog(())
    dims: dict[str, dict[str, int]] = {}
    for entry in plan(suite, catalog, Conditions()):
        assert not entry.skip_reason
        dims.setdefault(f"{entry.cell.estimand} {entry.cell.method}", {})[entry.cell.problem] = catalog.problem(
            entry.cell.problem
        ).dim
    return dims


def test_every_method_runs_on_families_whose_sizes_are_powers_of_ten(cells):
    for dims in cells.values():
        found = families(dims)
        assert sum(len(family.members) for family in found) == len(dims)
        for family in found:
            sizes = [dim for _, dim in family.members]
            assert len(sizes) >= 4
            assert sizes == pytest.approx([10**7 / 10**step for step in reversed(range(len(sizes)))], rel=0.07)


def test_a_perceptron_and_two_synthetic_families_reach_ten_million(cells):
    names = {family.name for dims in cells.values() for family in families(dims)}
    assert names == {
        "student-t[n=*]",
        "spectrum[n=*]",
        "mlp[operator=ggn,per_class=1,weights=random,widths=*]",
    }

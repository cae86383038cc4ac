"""The suites of the published libraries: every method that answers is there, and what is not installed is skipped."""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError

import pytest

from hessbench.catalog import load_catalog
from hessbench.estimand import Density, Diagonal, TopEigenvalues, Trace
from hessbench.methods.peers import PEERS
from hessbench.running.plan import plan
from hessbench.running.suite import Suite

ASKED = {"eigen": TopEigenvalues, "trace": Trace, "density": Density, "diagonal": Diagonal}
SKIPPED = r"pip install [a-z-]+|requires the trait|HESSBENCH_DATA|needs at least \d+ products"


@cache
def planned(name):
    return plan(Suite.load(f"peers-{name}"), load_catalog())


def methods_of(cells, kind):
    return {entry.bound.method.name for entry in cells if type(entry.bound.estimand) is kind}


def peers_of(kind):
    return {method.name for method in PEERS if method.estimands[0] is kind}


@pytest.mark.parametrize("kind", ASKED.values(), ids=ASKED)
def test_every_library_answers_in_the_quick_suite_what_it_is_for(kind):
    assert peers_of(kind) <= methods_of(planned("quick"), kind)


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.slow
def test_every_library_that_answers_is_beside_our_own_methods_in_its_suite(name):
    asked = methods_of(planned(name), ASKED[name])
    assert peers_of(ASKED[name]) < asked
    reasons = {entry.skip_reason for entry in planned(name) if entry.skip_reason}
    assert all(re.search(SKIPPED, reason) for reason in reasons)


def test_a_library_that_is_not_installed_is_skipped_with_its_pip_name(monkeypatch):
    monkeypatch.setattr("hessbench.distributions.version", absent)
    cells = plan(Suite.load("peers-quick"), load_catalog())
    told = {entry.bound.method.library: entry.skip_reason for entry in cells if entry.bound.method.library}
    assert {method.library for method in PEERS} == set(told)
    assert all(f"pip install {library}" in reason for library, reason in told.items())


def absent(distribution):
    raise PackageNotFoundError(distribution)

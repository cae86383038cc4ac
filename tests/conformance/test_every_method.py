"""Every registered method, with every preset, keeps every law."""

import pytest

from hessbench.catalog import load_catalog
from hessbench.laws.checks import LAWS, check_method, small_estimand

CATALOG = load_catalog()
SPECS = list(
    dict.fromkeys(
        method.canonical(spec) for method in CATALOG.methods for spec in (*method.presets, method.name)
    )
)  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_a_registered_method_keeps_every_law(spec):
    method = CATALOG.methods.entry_of(spec)
    verdicts = list(check_method(method, spec))
    assert [(verdict.law, verdict.detail) for verdict in verdicts if not verdict.passed] == []
    refused = [kind for kind in method.estimands if method.bind(spec, small_estimand(kind)).refusal]
    assert len(verdicts) == len(LAWS) * (len(method.estimands) - len(refused)) + len(refused)


@pytest.mark.parametrize("method", CATALOG.methods, ids=lambda method: method.name)
def test_a_registered_method_says_where_it_comes_from(method):
    assert method.run.__doc__
    assert len(method.hash) == 16
    assert method.canonical(method.name) == method.name

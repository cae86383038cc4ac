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


# What a published library spends on bounds of the spectrum is known to nobody: the budget ends it without an answer.
UNBOUNDED = {"curvlinops-density", "curvlinops-own-density"}

# Some of the libraries still compile functions by torch.jit when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


# Libraries on operators of their own trace every product anew: seconds for all the laws.
HELD = [pytest.param(spec, marks=pytest.mark.slow) if "-own-" in spec else spec for spec in SPECS]


@pytest.mark.parametrize("spec", HELD)
def test_a_registered_method_keeps_every_law(spec):
    method = CATALOG.methods.entry_of(spec)
    if method.lack:
        pytest.skip(method.lack)
    verdicts = list(check_method(method, spec))
    broken = [(verdict.law, verdict.detail) for verdict in verdicts if not verdict.passed]
    if spec in UNBOUNDED:
        broken = [(law, detail) for law, detail in broken if not law.startswith("budget obeyed")]
    assert broken == []
    refused = [kind for kind in method.estimands if method.bind(spec, small_estimand(kind)).refusal]
    assert len(verdicts) == len(LAWS) * (len(method.estimands) - len(refused)) + len(refused)


@pytest.mark.parametrize("method", CATALOG.methods, ids=lambda method: method.name)
def test_a_registered_method_says_where_it_comes_from(method):
    assert method.run.__doc__
    assert len(method.hash) == 16
    assert method.canonical(method.name) == method.name

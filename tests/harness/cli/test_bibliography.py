"""The verbs hand a report the citations of the methods that are registered, plugins among them."""

import html
import re

import pytest

from hessbench.catalog import load_catalog
from hessbench.cli.folders import write_report
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record, Status

PLUGIN = """
from hessbench.estimand import Estimate, Trace
from hessbench.method import Method

def run(op, /, *, num_matvecs, generator):
    return Estimate(0.0)

METHODS = [Method("mine", run, (Trace,), citation="Nobody, <b>A</b> & B (2026)")]
"""


@pytest.fixture
def ledger():
    methods = ("lanczos[reorth=none]", "mine", "long-gone")
    return Ledger(tuple(Record(Kind.TERMINAL, m, "flat", m, "trace", Status.OK, dim=3) for m in methods))


def test_a_report_cites_what_is_registered(ledger, tmp_path):
    page = write_report(tmp_path, ledger).read_text(encoding="utf-8")
    section = page.partition('<h2 id="sources">')[2].partition("<h2 id=")[0]
    assert load_catalog().methods["lanczos"].citation in html.unescape(re.sub("<[^>]*>", "", section))
    assert "long-gone" not in section
    assert "mine" not in section


def test_a_report_of_a_run_with_a_plugin_cites_the_plugin(ledger, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    page = write_report(tmp_path / "run", ledger, plugins=(str(file),)).read_text(encoding="utf-8")
    assert "Nobody, &lt;b&gt;A&lt;/b&gt; &amp; B (2026)" in page

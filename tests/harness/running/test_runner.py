"""What the rows of one run have in common, and what a run makes of a server that cannot start."""

import pytest

from hessbench.catalog import load_catalog
from hessbench.running.other_work import OtherWork
from hessbench.running.runner import Options, run


@pytest.mark.parametrize("busy", [False, True])
def test_all_rows_of_a_cell_say_whether_other_work_ran_meanwhile(
    tmp_path, crossing, hostile, rows_of, monkeypatch, busy
):
    monkeypatch.setattr(OtherWork, "leaves_too_little", lambda self, threads, seconds: busy)
    run(crossing(), tmp_path, Options(plugins=(hostile,), prices=False), catalog=load_catalog((hostile,)))
    rows = [*rows_of(tmp_path, "checkpoint"), *rows_of(tmp_path)]
    assert len(rows) > 1
    assert {row["contended"] for row in rows} == {busy}


def test_a_server_that_cannot_start_is_started_once(tmp_path, crossing, monkeypatch):
    starts = tmp_path / "starts"
    plugin = tmp_path / "dies.py"
    plugin.write_text(
        "import os, sys\n"
        "if 'hessbench.workers.serve' in ' '.join(sys.orig_argv):\n"
        f"    open({str(starts)!r}, 'a').write('x')\n"
        "    os._exit(3)\n"
        "import torch\n"
        "from hessbench import Estimate, Method, Problem, Trace\n"
        "METHODS = [Method('good', lambda op, /, *, num_matvecs, generator: Estimate(1.0), (Trace,))]\n"
        "PROBLEMS = [Problem.of('tiny', torch.eye(4))]\n"
    )
    with pytest.raises(ChildProcessError, match="could not start"):
        run(crossing(), tmp_path / "out", Options(plugins=(str(plugin),), prices=False))
    assert starts.read_text() == "x"

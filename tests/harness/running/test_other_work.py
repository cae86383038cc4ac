"""The work of others is told from that of the run itself."""

import pytest

from hessbench.running import other_work
from hessbench.running.other_work import OtherWork


@pytest.fixture
def machine(monkeypatch):
    """Four processors whose clock and counters a test sets: seconds, busy seconds, seconds of the run."""
    told = {"at": 0.0, "busy": 0.0, "own": 0.0}
    monkeypatch.setattr(other_work, "_look", lambda: other_work._Look(**told))
    monkeypatch.setattr(other_work.time, "monotonic", lambda: told["at"])
    monkeypatch.setattr(other_work.psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(other_work, "is_loaded", lambda threads: True)
    return told


@pytest.mark.parametrize(
    ("busy", "own", "contended"),
    [(40.0, 40.0, False), (40.0, 39.0, False), (40.0, 35.0, True), (15.0, 15.0, False), (80.0, 40.0, True)],
)
def test_own_work_on_all_processors_is_no_contention(machine, busy, own, contended):
    others = OtherWork()
    machine.update(at=10.0, busy=busy, own=own)
    others.look()
    assert others.leaves_too_little(4, 10.0) is contended


def test_a_short_cell_is_judged_by_the_two_seconds_before_its_end(machine):
    others = OtherWork()
    for at, busy in ((1.0, 4.0), (1.9, 4.0), (2.9, 4.0), (3.0, 4.01)):
        machine.update(at=at, busy=busy)
        others.look()
    assert not others.leaves_too_little(4, 0.1)


def test_before_anything_was_seen_the_load_is_asked(machine):
    assert OtherWork().leaves_too_little(4, 0.0)


def test_work_of_ended_children_is_our_own(tmp_path):
    import subprocess
    import sys

    burn = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    before = other_work._look()
    subprocess.run([sys.executable, "-c", burn], check=True)
    after = other_work._look()
    if before is None or after is None:
        pytest.skip("this system does not keep the time of ended children")
    assert after.own - before.own >= 0.45
    assert after.busy - before.busy >= after.own - before.own - 0.1

"""A sample of the campaign against the record; `tests/campaigns/record.py` is the whole of it."""

import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parents[2] / "campaigns" / "record.py"


def campaign(*arguments: str) -> list[str]:
    """Run it; every trial must survive, and every line must have been tried."""
    done = subprocess.run([sys.executable, str(CAMPAIGN), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    table = [line for line in done.stdout.splitlines() if " tried, " in line]
    assert all(not line.partition(": ")[2].startswith("0 ") for line in table), done.stdout
    return table


def lines(*names: str) -> list[str]:
    return [part for name in names for part in ("--line", name)]


@pytest.mark.slow
def test_kills_runs_at_once_failing_writes_and_what_is_left_behind():
    names = ("kills", "runs at once", "left behind", "six hostile methods", "full disk", "failing run")
    assert len(campaign("--seconds", "60", "--count", "2", *lines(*names))) == len(names)


@pytest.mark.slow
def test_damage_and_odd_text():
    names = (
        "failing writer", "cuts", "ledger bytes", "archives", "sealed weights", "weight files", "data files", "rows",
        "specs", "suites", "messages", "command lines",
    )  # fmt: skip
    assert len(campaign("--seconds", "40", "--count", "200", *lines(*names))) == len(names)


@pytest.mark.slow
def test_a_trial_that_hangs_is_told():
    hanging = (
        "import sys, time; sys.path.insert(0, sys.argv.pop(1)); import record\n"
        "record.LINES['cuts'] = record.Line(lambda *_: time.sleep(60), 1, limit_s=1)\n"
        "record.LINES['rows'] = record.Line(lambda *_: None, 1)\n"
        "sys.exit(record.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", hanging, str(CAMPAIGN.parent), *lines("cuts", "rows")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "cuts, seed 0: HungError: it did not end in its time" in done.stdout
    assert "cuts: 1 tried, 0 survived" in done.stdout
    assert "rows: 1 tried, 1 survived" in done.stdout

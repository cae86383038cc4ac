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
    table = [line for line in done.stdout.splitlines() if "tried" in line]
    assert all(not line.partition(": ")[2].startswith("0 ") for line in table), done.stdout
    return table


@pytest.mark.slow
def test_kills_runs_at_once_a_full_disk_and_odd_command_lines():
    lines = [part for name in ("kills", "runs at once", "full disk", "command lines") for part in ("--line", name)]
    assert len(campaign("--seconds", "60", "--count", "3", *lines)) == 4


@pytest.mark.slow
def test_damage_and_odd_text():
    names = ("cuts", "ledger bytes", "rows", "archives", "specs", "suites", "messages")
    lines = [part for name in names for part in ("--line", name)]
    assert len(campaign("--seconds", "25", "--count", "400", *lines)) == len(names)

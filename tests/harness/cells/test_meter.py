"""What an operator keeps, and peaks."""

import os
import statistics
import subprocess
import sys

import pytest
import torch

from hessbench.cells import meter
from hessbench.cells.meter import KeptMeter, PeakMeter
from hessbench.workers.allocator import MEMORY_ALLOCATOR

MIB = 2**20
# One process: a peak of 64 MiB that is gone when the peak is read, then one of 16 MiB, then none.
MEASURE = """
import torch
from hessbench.cells.meter import PeakMeter
torch.set_num_threads(1)

def peak(mib, pieces):
    meter = PeakMeter(torch.device("cpu"))
    meter.start()
    held = [torch.ones(mib * 2**18 // pieces) for _ in range(pieces)]
    del held
    return meter.host_peak()

peak(4, 4)
print(*[peak(64, 1), peak(64, 16), peak(16, 1), peak(0, 1)], sep=chr(10))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process reset its high-water mark")
def test_a_peak_is_seen_within_a_few_percent_and_forgotten_by_the_next_start():
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], env=os.environ | MEMORY_ALLOCATOR, capture_output=True, text=True, check=True
    )
    peaks = [int(line) for line in done.stdout.split()]
    for found, expected in zip(peaks[:3], (64, 64, 16), strict=True):
        # The kernel adds pages up per processor and tells of them in lots: half a MiB is within its own rounding.
        assert abs(found - expected * MIB) <= 0.03 * expected * MIB + 0.5 * MIB
    assert peaks[3] < 0.5 * MIB


def test_without_a_device_the_reason_is_said():
    peaks = PeakMeter(torch.device("cpu"))
    peaks.start()
    assert peaks.device_peak() is None
    assert "CPU" in peaks.notes["device_peak_bytes"]


@pytest.mark.parametrize("lacking", ["clear_refs", "VmRSS"])
def test_where_the_platform_cannot_say_the_peak_is_null_with_the_reason(monkeypatch, tmp_path, lacking):
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("Name: python\n")
    if lacking == "VmRSS":
        (tmp_path / "self" / "clear_refs").touch()
    monkeypatch.setattr(meter, "_PROCESSES", tmp_path)
    peaks = PeakMeter(torch.device("cpu"))
    peaks.start()
    assert peaks.host_peak() is None
    assert "high-water mark" in peaks.notes["host_peak_bytes"]


def test_a_peak_that_was_not_started_is_null():
    assert PeakMeter(torch.device("cpu")).host_peak() is None


HEAP = pytest.mark.skipif(KeptMeter(torch.device("cpu")).kept_bytes() is None, reason="this C library does not say")


@HEAP
def test_what_is_kept_is_counted_and_what_was_freed_is_not():
    def found():
        keeps = KeptMeter(torch.device("cpu"))
        kept = [torch.ones(3 * MIB // 4), *(torch.ones(250) for _ in range(100))]
        gone = torch.ones(5 * MIB)
        del gone
        while_kept = keeps.kept_bytes()
        del kept
        return while_kept, keeps.kept_bytes()

    # Medians, since what is imported, or runs in another thread, takes memory of its own now and then.
    while_kept, after = map(statistics.median, zip(*(found() for _ in range(5)), strict=True))
    assert while_kept == pytest.approx(3 * MIB + 100_000, abs=50_000)
    assert after < 50_000


@HEAP
def test_what_only_a_circle_of_references_holds_is_not_kept():
    keeps = KeptMeter(torch.device("cpu"))
    circle = [torch.ones(MIB)]
    circle.append(circle)
    del circle
    assert keeps.kept_bytes() < 50_000


def test_where_the_c_library_does_not_say_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(meter.ctypes, "CDLL", lambda name: object())
    assert KeptMeter(torch.device("cpu")).kept_bytes() is None

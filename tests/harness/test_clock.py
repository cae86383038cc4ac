"""The clock: what a stopwatch counts, and the wait for a device."""

import time

import pytest
import torch

from hessbench import clock as clock_module
from hessbench.clock import Stopwatch, seconds_a_call, wait_for


@pytest.fixture
def clock(monkeypatch):
    now = [0]
    monkeypatch.setattr(clock_module.time, "perf_counter_ns", lambda: now[0])

    def advance(seconds):
        now[0] += int(seconds * 1e9)

    return advance


def test_a_stopwatch_counts_only_while_it_runs(clock):
    watch = Stopwatch()
    clock(1)
    watch.start()
    clock(2)
    assert watch.seconds == 2
    watch.pause()
    clock(4)
    assert watch.seconds == 2
    watch.start()
    clock(8)
    watch.pause()
    assert watch.seconds == 10


def test_starting_a_running_stopwatch_or_pausing_a_still_one_changes_nothing(clock):
    watch = Stopwatch()
    watch.pause()
    watch.start()
    clock(1)
    watch.start()
    clock(1)
    watch.pause()
    watch.pause()
    assert watch.seconds == 2
    assert not watch.is_running


def test_the_stopwatch_follows_the_real_clock():
    watch = Stopwatch()
    watch.start()
    time.sleep(0.02)
    assert 0.02 <= watch.seconds < 5


def test_there_is_nothing_to_wait_for_on_the_cpu():
    wait_for(torch.device("cpu"))


def test_the_seconds_of_a_call_are_those_of_all_calls_shared_out(clock):
    assert seconds_a_call(lambda: clock(3), torch.device("cpu"), calls=4) == 3


def test_a_device_is_waited_for_before_the_clock_is_read(monkeypatch, clock):
    monkeypatch.setattr("torch.cuda.synchronize", lambda device: clock(5))
    assert seconds_a_call(lambda: clock(1), torch.device("cuda")) == 6

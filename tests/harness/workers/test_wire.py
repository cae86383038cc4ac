"""Messages: a round trip for any cut of the stream, and nothing from a torn frame."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hessbench.cells.cell import MEMORY, Cell
from hessbench.cells.messages import Checkpoint, End
from hessbench.estimand.base import Source
from hessbench.ledger.costs import Costs
from hessbench.ledger.record import Status
from hessbench.workers.messages import (
    BuiltReference,
    Cause,
    CellJob,
    ConformanceJob,
    Done,
    Ended,
    Failed,
    Law,
    NoReference,
    PriceJob,
    ProblemHash,
    Ready,
    ReferenceJob,
    ReferenceProgress,
    RunPriceJob,
    Stop,
    UnitJob,
)
from hessbench.workers.price_messages import BlockPrice, BuiltPrice, MemoryPassPrice, Price, Rehearsal, UnitPrice
from hessbench.workers.wire import JOBS, MESSAGES, WORDS, Decoder, frame, packet, read_packet

SPENT = Costs(matvecs=3, calls=2, counts={"ggn": 3}, gradient_equivalents=4.0, samples=30, operator_s=0.1, wall_s=0.25)
WHOLE = dataclasses.replace(SPENT, flops=7, build_s=1.0, warmup_s=0.0, host_peak_bytes=1 << 40)
WHERE = {"problem": "a", "device": "cpu", "dtype": "float32", "threads": 2}
PRICED = {**WHERE, "measured_problem": "a[n=10]", "kind_of_product": "product", "dim": 10}
SAID = [
    Checkpoint(4, "trace", finite=True, costs=SPENT, diagnostics={"text": "größe\n\0", "values": [1, 2.5, None, True]},
               arrays={"trace": np.arange(3.0)}),
    Checkpoint(4, "density", finite=False, costs=SPENT, said_stderr=-0.5, said_converged=False, said_matvecs=0,
               arrays={"x": np.zeros((2, 3)), "y": np.array([np.nan, np.inf]), "none": np.zeros(0)}),
    ProblemHash("00ff", of_content=True),
    BuiltReference("top-eigenvalues[k=2]", Source.GRAM, 3.0, 0.0, 10.0, "said", {"eigenvalues": np.array([3.0, -1.0])}),
    NoReference("trace", "it broke"),
    ReferenceProgress("trace", 0.25),
    Price(**PRICED, seconds=0.5, predicted_seconds=None, bandwidth=1e10),
    UnitPrice(**PRICED, nominal=2.0, in_gradients=1.5, in_gradients_min=1.0, in_gradients_max=2.0, column_seconds=3.0,
              gradient_seconds=2.0),
    BuiltPrice(kind_of_product="ggn", dim=10, engine="rules", build_s=0.5, build_peak_bytes=1 << 40, operator_bytes=0,
               base_bytes=None, bandwidth=None),
    BlockPrice(kind_of_product="ggn", width=4, seconds=0.25, working_bytes=8),
    MemoryPassPrice(kind_of_product="ggn", width=4, seconds=0.25, counted_s=0.5),
    Rehearsal(method="m", estimand="trace", budget=9, dim=5, allowed=9, spent=8, own_s=0.5, counted_own_s=1.0,
              blocks={"product 4": 2}),
    Law("lives by its budget", passed=False, detail="it does not"),
    End(Status.OVER_BUDGET, "too much", {"flops": "no"}, WHOLE, 1.5, "rules"),
    End(Status.OK),
]  # fmt: skip
ASKED = [
    CellJob(Cell("a", "b", "trace", (2, 4), 1, MEMORY, "cuda", "float64", 2, 1 << 30, 2.5), num_products=12),
    CellJob(Cell("a", "b", "trace", (2,))),
    ReferenceJob("a", ("trace", "density"), "runs", 4, timeout_s=None, memory_cap_bytes=5),
    ReferenceJob("a", ("trace",), "runs", 1, ("density", "diagonal")),
    PriceJob(**WHERE, timeout_s=1.0),
    UnitJob(**WHERE),
    RunPriceJob(
        **WHERE, methods=("m",), estimands=("trace",), budgets=(9,), rehearsed=(True,), limit_s=2.5, timeout_s=5.0
    ),
    ConformanceJob("b", timeout_s=30.0),
]
TOLD = [Ended(Cause.MEMORY, -9, 2, 1 << 33, "tail"), Ended(), Ready(3), Failed("no"), Stop(), Done(retire=True)]
STREAM = b"".join(map(frame, SAID))


def same(one, two):
    left, right = (getattr(message, "arrays", {}) for message in (one, two))
    return one == two and set(left) == set(right) and all(
        np.array_equal(array, right[name], equal_nan=True) and array.dtype == right[name].dtype
        for name, array in left.items()
    )  # fmt: skip


def test_every_kind_of_message_job_and_word_is_tried():
    assert {type(message) for message in SAID} == set(MESSAGES.values())
    assert {type(job) for job in ASKED} == set(JOBS.values())
    assert {type(word) for word in TOLD} == set(WORDS.values())


def test_messages_survive_the_round_trip():
    for message in SAID:
        (found,) = Decoder().feed(frame(message))
        assert same(found, message)


def test_jobs_and_words_survive_the_round_trip():
    for message in [*ASKED, *TOLD]:
        assert read_packet(packet(message)) == message


def test_every_field_is_written_and_one_that_lacks_or_is_too_much_is_refused():
    for message in [*ASKED, *TOLD]:
        header = json.loads(packet(message))
        assert set(header) == {"type", *(f.name for f in dataclasses.fields(message))}
        for name in header:
            with pytest.raises(ValueError, match=r"no known type|lacks"):
                read_packet(json.dumps({key: value for key, value in header.items() if key != name}).encode())
        with pytest.raises(ValueError, match="surprise"):
            read_packet(json.dumps({**header, "surprise": 1}).encode())


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_where_the_stream_is_cut_does_not_matter(cuts):
    decoder = Decoder()
    places = [0, *sorted(cuts), len(STREAM)]
    found = []
    for start, stop in itertools.pairwise(places):
        found += decoder.feed(STREAM[start:stop])
    assert len(found) == len(SAID)
    assert all(same(one, two) for one, two in zip(found, SAID, strict=True))


def test_a_torn_frame_is_never_given_out_and_those_before_it_are():
    whole = End(Status.OK)
    for message in SAID:
        data = frame(message)
        for size in {0, 1, 8, 15, 16, 17, len(data) // 2, len(data) - 1}:
            assert Decoder().feed(frame(whole) + data[:size]) == [whole]


def test_bytes_fed_one_by_one_give_every_message_once():
    decoder = Decoder()
    found = [message for byte in STREAM for message in decoder.feed(bytes([byte]))]
    assert all(same(one, two) for one, two in zip(found, SAID, strict=True))


def test_objects_are_not_unpacked():
    odd = dataclasses.replace(SAID[0], arrays={"a": np.array([object()], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        Decoder().feed(frame(odd))

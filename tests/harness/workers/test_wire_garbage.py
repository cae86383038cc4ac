"""What a job writes into the harness's pipe that is no message is refused, never waited on and never believed."""

import dataclasses
import struct

import numpy as np
import pytest

from hessbench.cells.cell import Cell
from hessbench.cells.messages import Checkpoint, End
from hessbench.estimand.base import Source
from hessbench.ledger.costs import COST_COLUMNS, Costs
from hessbench.ledger.record import Status
from hessbench.workers.messages import BuiltReference, CellJob, ConformanceJob, Outcome
from hessbench.workers.wire import MESSAGES, Decoder, decode, encode, packet, read_packet

JOB = CellJob(Cell("a", "b", "trace", (2, 4)))
CHECKPOINT = Checkpoint(4, "trace", finite=True, costs=Costs(matvecs=3, calls=2, operator_s=0.1, wall_s=0.2))


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"printed into the wrong file\n", id="text"),
        pytest.param(struct.pack(">QQ", 4, 0) + b"{{{{", id="no JSON"),
        pytest.param(struct.pack(">QQ", 2, 0) + b"[]", id="no object"),
        pytest.param(struct.pack(">QQ", 2, 0) + b"{}", id="no type"),
        pytest.param(struct.pack(">QQ", 12, 0) + b'{"type":"a"}', id="no known type"),
        pytest.param(struct.pack(">QQ", 12, 3) + b'{"type":"a"}' + b"abc", id="no arrays"),
        pytest.param(struct.pack(">QQ", 1 << 60, 0), id="too long"),
    ],
)
def test_what_is_no_message_is_refused(garbage):
    with pytest.raises(ValueError, match=r"."):
        Decoder().feed(garbage)


def test_what_a_server_or_the_harness_alone_says_is_no_message_of_a_job():
    for word in (JOB, ConformanceJob("b")):
        with pytest.raises(ValueError, match="no known type"):
            decode(encode(word)[0], MESSAGES)
    with pytest.raises(ValueError, match="no known type"):
        read_packet(packet(CHECKPOINT))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget", "4"), ("budget", True), ("budget", 4.5), ("estimand", "nonsense"), ("estimand", None),
        ("finite", 1), ("said_stderr", float("nan")), ("said_matvecs", 2**63), ("diagnostics", []), ("costs", None),
        ("costs", {}),
    ],
)  # fmt: skip
def test_a_field_that_holds_another_type_is_refused_and_named(name, value):
    header, _ = encode(CHECKPOINT)
    with pytest.raises(ValueError, match=rf"{name}|lacks build_s|nonsense"):
        decode({**header, name: value}, MESSAGES)


@pytest.mark.parametrize("name", COST_COLUMNS)
def test_no_cost_is_negative_or_of_another_type(name):
    header, _ = encode(CHECKPOINT)
    for value in ({"counts": {"ggn": -1}}.get(name, -1), "1", float("inf")):
        with pytest.raises(ValueError, match=r"negative|does not fit"):
            decode({**header, "costs": {**header["costs"], name: value}}, MESSAGES)


def test_an_estimate_has_a_time_and_an_end_may_have_none():
    header, _ = encode(CHECKPOINT)
    with pytest.raises(ValueError, match="without a time"):
        decode({**header, "costs": {**header["costs"], "wall_s": None}}, MESSAGES)
    assert decode(encode(End(Status.ERROR))[0], MESSAGES).costs.wall_s is None


def test_a_reference_of_numbers_that_cannot_be_is_refused():
    header, arrays = encode(BuiltReference("trace", Source.DENSE, 1.0, 0.0, 10.0, "", {"trace": np.ones(1)}))
    for name in ("norm", "bound", "rounding"):
        with pytest.raises(ValueError, match=name):
            decode({**header, name: -1.0}, MESSAGES, arrays)
    with pytest.raises(ValueError, match="source"):
        decode({**header, "source": "GUESS"}, MESSAGES, arrays)


def test_arrays_where_none_belong_are_refused():
    with pytest.raises(ValueError, match="arrays"):
        decode(encode(End(Status.OK))[0], MESSAGES, {"a": np.ones(1)})


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (dataclasses.replace(CHECKPOINT, budget=3), "the budget 3, which its cell has not"),
        (dataclasses.replace(CHECKPOINT, budget=2), "3 products of a budget of 2"),
        (End(Status.OK, costs=Costs(matvecs=5)), "5 products of a budget of 4"),
    ],
)
def test_a_cell_that_spends_what_it_was_not_given_is_refused(message, says):
    outcome = Outcome(JOB)
    with pytest.raises(ValueError, match=says):
        outcome.add([message])
    assert outcome.messages == []


def test_nothing_comes_after_the_end():
    outcome = Outcome(JOB)
    outcome.add([CHECKPOINT, End(Status.OK)])
    with pytest.raises(ValueError, match="after the last one"):
        outcome.add([CHECKPOINT])
    assert outcome.end == End(Status.OK)
    assert outcome.of_type(Checkpoint) == [CHECKPOINT]

"""What a job writes into the harness's pipe that is no message is refused, never waited on and never believed."""

import struct

import pytest

from hessbench.workers.outcome import Outcome
from hessbench.workers.wire import Decoder


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"printed into the wrong file\n", id="text"),
        pytest.param(struct.pack(">QQ", 4, 0) + b"{{{{", id="no JSON"),
        pytest.param(struct.pack(">QQ", 2, 0) + b"[]", id="no object"),
        pytest.param(struct.pack(">QQ", 12, 3) + b'{"type":"a"}' + b"abc", id="no arrays"),
        pytest.param(struct.pack(">QQ", 1 << 60, 0), id="too long"),
    ],
)
def test_what_is_no_message_is_refused(garbage):
    with pytest.raises(ValueError, match=r"."):
        Decoder().feed(garbage)


def test_a_message_without_a_type_is_refused():
    outcome = Outcome({})
    with pytest.raises(ValueError, match="no known type"):
        outcome.add(Decoder().feed(struct.pack(">QQ", 2, 0) + b"{}"))
    assert outcome.messages == []

"""Messages: a round trip for any cut of the stream, and nothing from a torn frame."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hessbench.workers.wire import Decoder, encode

MESSAGES = [
    ({"type": "checkpoint", "text": "größe\n\0", "values": [1, 2.5, None, True]}, {"a": np.arange(3.0)}),
    ({"type": "empty"}, {}),
    ({"type": "several"}, {"x": np.zeros((2, 3)), "y": np.array([np.nan, np.inf]), "none": np.zeros(0)}),
    ({}, {}),
]
STREAM = b"".join(encode(*message) for message in MESSAGES)


def same(one, two):
    return one[0] == two[0] and set(one[1]) == set(two[1]) and all(
        np.array_equal(one[1][name], two[1][name], equal_nan=True) for name in one[1]
    )  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message[0].get("type", "bare"))
def test_a_message_survives_the_round_trip(message):
    (found,) = Decoder().feed(encode(*message))
    assert same(found, message)
    assert all(found[1][name].dtype == array.dtype for name, array in message[1].items())


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_where_the_stream_is_cut_does_not_matter(cuts):
    decoder = Decoder()
    places = [0, *sorted(cuts), len(STREAM)]
    found = []
    for start, stop in itertools.pairwise(places):
        found += decoder.feed(STREAM[start:stop])
    assert len(found) == len(MESSAGES)
    assert all(same(one, two) for one, two in zip(found, MESSAGES, strict=True))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message[0].get("type", "bare"))
def test_a_torn_frame_is_never_given_out_and_those_before_it_are(message):
    frame = encode(*message)
    for size in {0, 1, 8, 15, 16, 17, len(frame) // 2, len(frame) - 1} - {len(frame)}:
        if size < len(frame):
            found = Decoder().feed(encode({"type": "whole"}, {}) + frame[:size])
            assert [header for header, _ in found] == [{"type": "whole"}]


def test_bytes_fed_one_by_one_give_every_message_once():
    decoder = Decoder()
    found = [message for byte in STREAM for message in decoder.feed(bytes([byte]))]
    assert [header for header, _ in found] == [header for header, _ in MESSAGES]


def test_objects_are_not_unpacked():
    with pytest.raises(ValueError, match="allow_pickle"):
        Decoder().feed(encode({}, {"a": np.array([object()], dtype=object)}))

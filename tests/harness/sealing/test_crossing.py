"""What crosses between the two processes of a sealed run: values, tensors and messages, and what is refused."""

import json
import math
import os
import socket
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hessbench.sealing import values
from hessbench.sealing.calls_refused import _steps
from hessbench.sealing.line import Gone, SealedLine
from hessbench.sealing.shared_blocks import BlockLayout, laid_out, new_block

NUMBERS = torch.arange(60, dtype=torch.float64)
TENSORS = {
    "vector": NUMBERS,
    "block": NUMBERS.reshape(12, 5),
    "by columns": NUMBERS.reshape(5, 12).T,
    "a column": NUMBERS.reshape(12, 5)[:, 2:3],
    "columns": NUMBERS.reshape(12, 5)[:, 1:4],
    "every other row": NUMBERS.reshape(12, 5)[::2],
    "one repeated": NUMBERS[:12, None].expand(12, 4),
    "one column by columns": NUMBERS.as_strided((60, 1), (1, 60)),
    "one repeated beside holes": NUMBERS.as_strided((2, 3, 2), (0, 4, 3)),
    "nothing": NUMBERS.reshape(12, 5)[:, :0],
    "a number": torch.tensor(3.0),
    "on top of each other": NUMBERS.as_strided((10, 5), (1, 1)),
    "flags": NUMBERS > 7,
    "integers": NUMBERS.to(torch.int32)[3:],
    "singles": NUMBERS.float()[1:].reshape(59, 1),
}


def crossed(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """Tensors as the other process reads them."""
    ready, layouts = laid_out(tensors)
    block, descriptor = new_block(max(layout.end for layout in layouts))
    os.close(descriptor)
    for tensor, layout in zip(ready, layouts, strict=True):
        block.write(tensor, layout)
    return [block.read(BlockLayout.read(json.loads(json.dumps(layout.plain)))) for layout in layouts]


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_arrives_with_its_numbers_strides_and_alignment(name):
    tensor = TENSORS[name]
    (found,) = crossed(tensor)
    assert found.dtype is tensor.dtype
    assert torch.equal(found, tensor)
    if name != "on top of each other":
        assert found.stride() == tensor.stride()
        assert found.data_ptr() % 64 == tensor.data_ptr() % 64


def test_several_tensors_do_not_touch_each_other():
    for found, tensor in zip(crossed(*TENSORS.values()), TENSORS.values(), strict=True):
        assert torch.equal(found, tensor)


@pytest.mark.parametrize("name", TENSORS)
def test_what_lies_between_the_entries_of_a_tensor_does_not_cross(name):
    ready, (layout,) = laid_out([TENSORS[name]])
    block, descriptor = new_block(layout.end)
    block.write(ready[0], layout)
    written = os.pread(descriptor, layout.end, 0)
    os.close(descriptor)
    sent = torch.tensor(list(written[layout.offset :]), dtype=torch.uint8).view(layout.dtype)
    assert set(sent.tolist()) <= {*ready[0].flatten().tolist(), 0.0}


def test_what_is_read_is_a_copy():
    ready, (layout,) = laid_out([NUMBERS])
    block, descriptor = new_block(layout.end)
    os.close(descriptor)
    block.write(ready[0], layout)
    found = block.read(layout)
    block.write(ready[0] + 1, layout)
    assert torch.equal(found, NUMBERS)


def test_shared_memory_is_cut_short_by_nobody():
    _, descriptor = new_block(100)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


@pytest.mark.parametrize(
    "said",
    [
        None, [], ["float64", [1], [1]], ["float64", [1], [1], 0, 0], ["object", [1], [1], 0],
        [["float64"], [1], [1], 0],
        ["float64", [-1], [1], 0], ["float64", [1], [-1], 0], ["float64", [1], [1], -8], ["float64", [1], [1], 4],
        ["float64", [1.5], [1], 0], ["float64", [True], [1], 0], ["float64", [1], [1, 1], 0], ["float64", "1", "1", 0],
        ["float64", [1 << 50], [1], 0], ["float64", [1] * 9, [1] * 9, 0],
    ],
)  # fmt: skip
def test_an_odd_layout_is_refused(said):
    with pytest.raises(ValueError, match="layout"):
        BlockLayout.read(said)


@pytest.mark.parametrize(
    "plain", [["uint8", [1 << 21], [1], 0], ["uint8", [2], [1 << 30], 0], ["uint8", [1], [1], 1 << 40]]
)
def test_nothing_outside_of_the_shared_memory_is_read(plain):
    block, descriptor = new_block(1)
    os.close(descriptor)
    with pytest.raises(ValueError, match="outside of the shared memory"):
        block.read(BlockLayout.read(plain))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_arrive_as_they_were(value):
    assert values.read(json.loads(json.dumps(values.written(value, []))), []) == value


def test_numbers_arrive_to_the_bit():
    for number in (0.1, -0.0, math.inf, 5e-324, 2**80, -(2**70)):
        found = values.read(json.loads(json.dumps(values.written(number, []))), [])
        assert type(found) is type(number)
        assert str(found) == str(number)
    assert math.isnan(values.read(values.written(math.nan, []), []))


def test_arrays_arrive_as_arrays():
    tensors: list[torch.Tensor] = []
    sent = (np.arange(6.0)[::-1], np.float32(0.5), np.array([1, 2], dtype=">i4"), torch.ones(2))
    said = values.written(sent, tensors)
    found = values.read(json.loads(json.dumps(said)), crossed(*tensors))
    assert [type(value) for value in found] == [np.ndarray, np.ndarray, np.ndarray, torch.Tensor]
    for value, array in zip(found, sent, strict=True):
        np.testing.assert_array_equal(value, array)


@pytest.mark.parametrize("value", [object(), lambda: 1, {1, 2}, b"bytes", np.array([object()]), [{"a": object()}]])
def test_what_could_hide_something_does_not_travel(value):
    with pytest.raises(TypeError, match="to no other process"):
        values.written(value, [])


@pytest.mark.parametrize(
    "said",
    [
        5, 1.5, {}, {"a": 1, "b": 2}, {"pickle": "x"}, {"tensor": 1}, {"tensor": -1}, {"tensor": True},
        {"tensor": "0"},
        {"int": 5}, {"int": "0x" + "f" * 9000}, {"float": 1}, {"float": "x"}, {"tuple": 5},
        {"dict": [[1]]}, {"dict": 5},
        {"dict": [[[], 1]]}, [[[[[[[[[[[[[[1]]]]]]]]]]]]]],
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused(said):
    with pytest.raises(ValueError, match=r"."):
        values.read(said, [torch.ones(1)])


@pytest.fixture
def line():
    """The operator's end of a line, and the bare socket of the other."""
    here, there = socket.socketpair()
    yield SealedLine(here, gives=True), there
    here.close()
    there.close()


def test_messages_like_and_unlike_the_one_before_arrive_whole(line):
    ours, theirs = line
    other = SealedLine(theirs, gives=False)
    for number, name in enumerate(["vector", "vector", "block", "singles", "singles", "one repeated", "vector"]):
        ours.send({"number": number}, [TENSORS[name] + number])
        said, (found,) = other.receive()
        assert said["number"] == number
        assert torch.equal(found, TENSORS[name] + number)
    ours.send({"number": 7})
    assert other.receive() == ({"number": 7}, [])


def framed(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


@pytest.mark.parametrize(
    "data",
    [
        framed(b"null"), framed(b"[]"), framed(b"5"), framed(b"{"), framed(b"\xff\xfe"),
        framed(b'{"a":' + b"[" * 100_000),
        framed(b'{"layouts": 5}'), framed(b'{"layouts": [["uint8", [1], [1], 0]]}'), struct.pack(">I", 1 << 31),
        framed(b'{"do": "room", "bytes": -1}'), framed(b'{"do": "room", "bytes": "1"}'),
        framed(b'{"do": "room", "bytes": 1e99}'), framed(b'{"a": ' + b"9" * 5000 + b"}"),
    ],
)  # fmt: skip
def test_garbage_on_the_line_is_refused_in_a_sentence(line, data):
    ours, theirs = line
    threading.Thread(target=theirs.sendall, args=(data,), daemon=True).start()
    with pytest.raises(ValueError, match=r"."):
        ours.receive()


def test_an_end_in_the_middle_of_a_message_is_an_end(line):
    ours, theirs = line
    theirs.sendall(framed(b'{"say": "here"}')[:-3])
    theirs.close()
    with pytest.raises(Gone):
        ours.receive()


def test_files_that_the_methods_side_sends_are_not_taken(line):
    ours, theirs = line
    before = len(list(Path("/proc/self/fd").iterdir()))
    socket.send_fds(theirs, [framed(b'{"say": "here"}')], [0, 0, 0])
    assert ours.receive()[0] == {"say": "here"}
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_messages_and_tensors_go_both_ways_and_the_memory_grows():
    here, there = socket.socketpair()
    ours, theirs = SealedLine(here, gives=True), SealedLine(there, gives=False)

    def echo() -> None:
        for _ in range(3):
            said, tensors = theirs.receive()
            theirs.send(said, tensors)

    thread = threading.Thread(target=echo)
    thread.start()
    for size in (10, 1 << 20, 5):
        ours.send({"number": size}, [torch.arange(size)])
        said, (found,) = ours.receive()
        assert said["number"] == size
        assert torch.equal(found, torch.arange(size))
    thread.join()
    here.close()
    there.close()


@pytest.mark.parametrize(("machine", "audit"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_the_filter_refuses_its_calls_and_lets_all_others_pass(machine, audit):
    refused = {number for number in range(512) if not passes(machine, number, audit, 1)}
    assert len(refused) == 17
    assert passes(machine, {"x86_64": 41, "aarch64": 198}[machine], audit, 1)
    assert not passes(machine, {"x86_64": 41, "aarch64": 198}[machine], audit, 2)
    assert not passes(machine, 0, audit ^ 1, 1)
    assert not passes(machine, 0x40000000, audit, 1)


def passes(machine: str, number: int, audit: int, family: int) -> bool:
    """What the filter says of a call, as the kernel would read it."""
    loaded, place, steps = 0, 0, _steps(machine)
    while True:
        operation, where, otherwise, value = steps[place]
        place += 1
        if operation == 0x20:
            loaded = {0: number, 4: audit, 16: family}[value]
        elif operation == 0x06:
            return value == 0x7FFF0000
        else:
            place += where if (loaded == value if operation == 0x15 else loaded >= value) else otherwise

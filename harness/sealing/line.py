"""The line between the two processes of a sealed run: short messages over a socket, tensors in shared memory.

The operator's side makes all shared memory and reads nothing from it but numbers, each once; the method's side asks for
more where it needs it.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast, final

from torch import Tensor

from hessbench.sealing.shared_blocks import BlockLayout, SharedBlock, laid_out, new_block

_SIZE: Final = struct.Struct(">I")
_LIMIT: Final = 1 << 23
_MOST_BYTES: Final = 1 << 42
_CHUNK: Final = 1 << 16
_AWAKE_NS: Final = 2_000_000
"""How long an end looks for the next message before it sleeps; what takes longer is large beside being woken."""


class Gone(Exception):  # noqa: N818 -- says what is the case
    """The other process has ended, or has closed its side."""


@final
class SealedLine:
    """One end of the line.

    Args:
        channel: The socket.
        gives: Whether this end makes the shared memory: the operator's.
    """

    def __init__(self, channel: socket.socket, *, gives: bool) -> None:
        self._channel = channel
        self._gives = gives
        self._buffer = bytearray()
        self._files: list[int] = []
        self._going: SharedBlock | None = None
        self._coming: SharedBlock | None = None
        self._listed: list[Any] = []
        self._layouts: list[BlockLayout] = []
        self.sent_ns = 0
        """When the last message was about to be sent."""
        self.received_ns = 0
        """When the last message had come, its tensors not yet read."""
        self.sent_bytes = 0
        """Size of the tensors that were sent with it."""
        self.received_bytes = 0
        """Size of the tensors that came with it."""

    def send(self, message: Mapping[str, Any], tensors: Sequence[Tensor] = ()) -> None:
        """Send a message with its tensors.

        Raises:
            Gone: If nobody is there.
            TypeError: If it holds what does not travel.
            MemoryError: If there is not enough memory to share.
        """
        ready, layouts = laid_out(tensors)
        files: list[int] = []
        size = _end_of(layouts)
        if layouts and (self._going is None or self._going.size < size):
            files = self._make_room(size)
        for tensor, layout in zip(ready, layouts, strict=True):
            cast("SharedBlock", self._going).write(tensor, layout)
        said = {**message, "layouts": [layout.plain for layout in layouts]}
        if files:
            said["memory"] = cast("SharedBlock", self._going).size
        self.sent_bytes = size
        self._write(said, files)

    def receive(self) -> tuple[dict[str, Any], list[Tensor]]:
        """Wait for a message, and copy its tensors.

        Raises:
            Gone: If nobody is there any more.
            ValueError: If something else comes.
        """
        while True:
            said = self._read()
            if self._gives and said.get("do") == "room":
                self._give_room(said.get("bytes"))
                continue
            break
        if not self._gives and self._files:
            self._coming = SharedBlock(self._files.pop(0), int(said["memory"]))
        listed = said.pop("layouts", [])
        if not isinstance(listed, list):
            raise ValueError("a message without its layouts was sent")
        # Most messages are like the one before.
        if listed != self._listed:
            self._layouts = [BlockLayout.read(plain) for plain in cast("list[Any]", listed)]
            self._listed = cast("list[Any]", listed)
        if listed and self._coming is None:
            raise ValueError("a tensor outside of the shared memory was sent")
        self.received_bytes = _end_of(self._layouts)
        return said, [cast("SharedBlock", self._coming).read(layout) for layout in self._layouts]

    def close(self) -> None:
        """Close this end."""
        self._channel.close()

    def _make_room(self, size: int) -> list[int]:
        """Memory for what goes out; its file, where the other end is to be handed it.

        Raises:
            MemoryError: If there is not enough.
        """
        if self._gives:
            try:
                self._going, descriptor = new_block(size)
            except OSError as failure:
                raise MemoryError(f"not enough memory to share {size} bytes") from failure
            return [descriptor]
        self._write({"do": "room", "bytes": size}, [])
        said = self._read()
        if not self._files:
            raise MemoryError(f"not enough memory to share {size} bytes")
        self._going = SharedBlock(self._files.pop(0), int(said["memory"]))
        return []

    def _give_room(self, size: Any) -> None:
        if type(size) is not int or not 0 < size <= _MOST_BYTES:
            raise ValueError("shared memory of an odd size was asked for")
        try:
            self._coming, descriptor = new_block(size)
        except OSError:
            self._write({"memory": 0}, [])
            return
        self._write({"memory": self._coming.size}, [descriptor])

    def _write(self, said: Mapping[str, Any], files: Sequence[int]) -> None:
        text = json.dumps(said).encode()
        if len(text) > _LIMIT:
            raise TypeError(f"a message of {len(text)} bytes is too long; at most {_LIMIT} are accepted")
        data = memoryview(_SIZE.pack(len(text)) + text)
        self.sent_ns = time.perf_counter_ns()
        try:
            if files:
                sent = socket.send_fds(self._channel, [data], list(files))
                data = data[sent:]
            self._channel.sendall(data)
        except OSError as failure:
            raise Gone from failure
        finally:
            for descriptor in files:
                os.close(descriptor)

    def _read(self) -> dict[str, Any]:
        while True:
            if len(self._buffer) >= _SIZE.size:
                (length,) = _SIZE.unpack_from(self._buffer)
                if length > _LIMIT:
                    raise ValueError(f"a message of {length} bytes was announced; at most {_LIMIT} are accepted")
                if len(self._buffer) >= _SIZE.size + length:
                    break
            data = self._chunk()
            self.received_ns = time.perf_counter_ns()
            if not data:
                raise Gone
            self._buffer += data
        text = bytes(self._buffer[_SIZE.size : _SIZE.size + length])
        del self._buffer[: _SIZE.size + length]
        try:
            said: Any = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("something else than a message was sent") from None
        if not isinstance(said, dict):
            raise ValueError("something else than a message was sent")
        return cast("dict[str, Any]", said)

    def _chunk(self) -> bytes:
        """What has come; looked for awake at first, since to be woken takes about .1 ms, on a core gone cold."""
        end = time.perf_counter_ns() + _AWAKE_NS
        while time.perf_counter_ns() < end:
            with contextlib.suppress(BlockingIOError):
                return self._taken(socket.MSG_DONTWAIT)
            # A core that is wanted, by the threads of a product say, is left at once.
            os.sched_yield()
        return self._taken(0)

    def _taken(self, flags: int) -> bytes:
        """What has come; files are taken only from the operator's side.

        Raises:
            BlockingIOError: If nothing has, and the flags say not to wait.
        """
        try:
            if self._gives:
                return self._channel.recv(_CHUNK, flags)
            data, files, _, _ = self._channel.recvmsg(_CHUNK, socket.CMSG_LEN(8 * 4), socket.MSG_CMSG_CLOEXEC | flags)
        except BlockingIOError:
            raise
        except OSError:
            return b""
        for level, kind, content in files:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found = array.array("i")
                found.frombytes(content[: len(content) - len(content) % found.itemsize])
                self._files += found
        return data


def _end_of(layouts: Sequence[BlockLayout]) -> int:
    """Bytes up to the end of the last of some tensors."""
    return max((layout.end for layout in layouts), default=0)

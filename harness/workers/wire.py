"""Messages between a worker and the supervisor: a JSON header and named arrays, length first."""

from __future__ import annotations

import io
import json
import struct
from typing import Any, Final, cast, final

import numpy as np

from hessbench.estimand.base import Arrays
from hessbench.files import DAMAGE

_SIZES: Final = struct.Struct(">QQ")
_LIMIT: Final = 1 << 34


def encode(header: dict[str, Any], arrays: Arrays) -> bytes:
    """Write one message."""
    text = json.dumps(header).encode()
    body = b""
    if arrays:
        buffer = io.BytesIO()
        np.savez(buffer, **cast("dict[str, Any]", arrays))
        body = buffer.getvalue()
    return _SIZES.pack(len(text), len(body)) + text + body


@final
class Decoder:
    """Reads messages from a stream of bytes; a message cut short is never given out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[dict[str, Any], Arrays]]:
        """Add bytes and return the messages they complete.

        Raises:
            ValueError: If they are no messages: something else was written into the pipe.
        """
        self._buffer += data
        found: list[tuple[dict[str, Any], Arrays]] = []
        while len(self._buffer) >= _SIZES.size:
            text_size, body_size = _SIZES.unpack_from(self._buffer)
            end = _SIZES.size + text_size + body_size
            if end > _LIMIT:
                raise ValueError(f"a message of {end} bytes was announced; at most {_LIMIT} are accepted")
            if len(self._buffer) < end:
                break
            text = bytes(self._buffer[_SIZES.size : _SIZES.size + text_size])
            body = bytes(self._buffer[_SIZES.size + text_size : end])
            del self._buffer[:end]
            found.append((_header(text), _arrays(body)))
        return found


def _header(text: bytes) -> dict[str, Any]:
    try:
        header: Any = json.loads(text)
    except RecursionError:
        raise ValueError("a header nested too deep was written") from None
    if not isinstance(header, dict):
        raise ValueError("a message without a header was written")
    return cast("dict[str, Any]", header)


def _arrays(body: bytes) -> Arrays:
    if not body:
        return {}
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except ValueError:
        raise
    except DAMAGE as failure:
        raise ValueError(f"arrays that cannot be read: {type(failure).__name__}") from None

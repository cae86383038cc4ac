"""Messages as bytes: one encode and one decode, which refuses what does not fit.

In a stream a message is a JSON header and named arrays, their lengths first; in a packet, the header alone.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from typing import Any, Final, cast, final

import numpy as np

from hessbench.cells.messages import Checkpoint, End
from hessbench.estimand.base import Arrays
from hessbench.files import DAMAGE, read_archive
from hessbench.ledger.typed_fields import built, plain
from hessbench.workers.messages import (
    BuiltReference,
    CellJob,
    ConformanceJob,
    Done,
    Ended,
    Failed,
    Job,
    Law,
    Message,
    NoReference,
    PriceJob,
    ProblemHash,
    Ready,
    ReferenceJob,
    ReferenceProgress,
    RunPriceJob,
    Stop,
    UnitJob,
    Word,
)
from hessbench.workers.price_messages import BlockPrice, BuiltPrice, MemoryPassPrice, Price, Rehearsal, UnitPrice

_SIZES: Final = struct.Struct(">QQ")
_LIMIT: Final = 1 << 34

JOBS: Final[Mapping[str, type]] = {
    "cell": CellJob,
    "reference": ReferenceJob,
    "price": PriceJob,
    "unit": UnitJob,
    "run-price": RunPriceJob,
    "conformance": ConformanceJob,
}
"""What a worker can be asked to do, by its name on the wire."""

MESSAGES: Final[Mapping[str, type]] = {
    "checkpoint": Checkpoint,
    "end": End,
    "problem": ProblemHash,
    "reference": BuiltReference,
    "no-reference": NoReference,
    "reference-progress": ReferenceProgress,
    "price": Price,
    "unit-price": UnitPrice,
    "built-price": BuiltPrice,
    "block-price": BlockPrice,
    "memory-pass-price": MemoryPassPrice,
    "rehearsal": Rehearsal,
    "law": Law,
}
"""What a job may say."""

WORDS: Final[Mapping[str, type]] = {"ended": Ended, "ready": Ready, "failed": Failed, "stop": Stop, "done": Done}
"""What a server, its supervisor and its worker say beside jobs."""

_PACKETS: Final[Mapping[str, type]] = {**JOBS, **WORDS}
_NAMES: Final = {kind: name for kinds in (JOBS, MESSAGES, WORDS) for name, kind in kinds.items()}


def encode(message: Job | Message | Word) -> tuple[dict[str, Any], Arrays]:
    """A message as JSON values and arrays."""
    arrays = message.arrays if isinstance(message, Checkpoint | BuiltReference) else {}
    return {"type": _NAMES[type(message)], **plain(message)}, arrays


def decode(header: Mapping[str, Any], kinds: Mapping[str, type], arrays: Arrays | None = None) -> Any:
    """The message that `encode` wrote.

    Args:
        header: The JSON values.
        kinds: What may come here: `JOBS`, `MESSAGES`, `WORDS` or several of them.
        arrays: The arrays.

    Returns:
        One of `kinds`.

    Raises:
        ValueError: If it is none of them, or a field of it is not what it should be.
    """
    fields = dict(header)
    name = fields.pop("type", None)
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError("a message of no known type was written")
    apart = {"arrays": arrays} if arrays else {}
    try:
        return built(kind, fields, **apart)
    except (ValueError, TypeError) as failure:
        raise ValueError(f"a message of type {name} {failure}") from None


def frame(message: Message) -> bytes:
    """What a job says, as it is written into its pipe."""
    header, arrays = encode(message)
    text = json.dumps(header).encode()
    body = b""
    if arrays:
        buffer = io.BytesIO()
        np.savez(buffer, **cast("dict[str, Any]", arrays))
        body = buffer.getvalue()
    return _SIZES.pack(len(text), len(body)) + text + body


def packet(message: Job | Word) -> bytes:
    """A job, or a word about one, as it is sent over a socket."""
    return json.dumps(encode(message)[0]).encode()


def read_packet(data: bytes) -> Job | Word:
    """Read one packet.

    Raises:
        ValueError: If it is neither a job nor a word.
    """
    return decode(_header(data), _PACKETS)


@final
class Decoder:
    """Reads messages from a stream of bytes; a message cut short is never given out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Add bytes and return the messages they complete.

        Raises:
            ValueError: If they are no messages: something else was written into the pipe.
        """
        self._buffer += data
        found: list[Message] = []
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
            found.append(decode(_header(text), MESSAGES, _arrays(body)))
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
        return read_archive(io.BytesIO(body))
    except ValueError:
        raise
    except DAMAGE as failure:
        raise ValueError(f"arrays that cannot be read: {type(failure).__name__}") from None

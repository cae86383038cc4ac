"""Measured units on disk: each whole or not at all, and known again by its key."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hessbench.estimand.base import Array
from hessbench.files import DAMAGE, read_archive, write_whole
from hessbench.reports.writing.escaping import file_stem
from hessbench.studies.unit import Unit, UnitRecord

_NUMBERS: Final = ("value", "num_matvecs", "gradient_equivalents", "seconds")


def unit_file(folder: Path, unit: Unit, key: str) -> Path:
    """Where the rows of a unit lie; the readable part of its name is only for people."""
    return folder / f"{file_stem(unit.name).rpartition('-')[0]}-{key[:16]}.jsonl"


def keep_unit(file: Path, unit: Unit, key: str, record: UnitRecord, seconds: float) -> None:
    """Write what a unit measured: its arrays first, so that rows are there only when all is.

    Args:
        file: Of the rows; arrays lie beside it.
        unit: What was measured.
        key: Hash of its definition.
        record: What it took down.
        seconds: How long it took.
    """
    arrays = b""
    if record.arrays:
        stream = io.BytesIO()
        # By number: a name of an array may be anything.
        np.savez_compressed(stream, *record.arrays.values())
        arrays = stream.getvalue()
        write_whole(file.with_suffix(".npz"), arrays)
    rows = [json.dumps(_line(row), allow_nan=False) for row in record.rows]
    head = {
        "unit": unit.name, "key": key, "took_s": round(seconds, 3), "rows": len(rows),
        "rows_sha256": _hash("\n".join(rows).encode()), "arrays": list(record.arrays), "arrays_sha256": _hash(arrays),
    }  # fmt: skip
    write_whole(file, "\n".join([json.dumps(head), *rows, ""]).encode())


def read_unit(file: Path, key: str) -> UnitRecord | None:
    """What a unit measured; None where there is no file.

    Raises:
        ValueError: If the file is torn, or is not what this unit wrote.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise ValueError(f"{file.name} cannot be read") from failure
    record = UnitRecord()
    try:
        first, *lines = data.decode().split("\n")[:-1]
        head = json.loads(first)
        if head["key"] != key:
            raise ValueError("another key")
        if head["rows"] != len(lines) or head["rows_sha256"] != _hash("\n".join(lines).encode()):
            raise ValueError("rows are missing")
        record.rows = [_row(json.loads(line)) for line in lines]
        record.arrays = _arrays(file.with_suffix(".npz"), head["arrays"], head["arrays_sha256"])
    except DAMAGE as failure:
        raise ValueError(f"{file.name} is torn or somebody else's") from failure
    return record


def _arrays(file: Path, names: list[str], digest: str) -> dict[str, Array]:
    if not names:
        return {}
    data = file.read_bytes()
    if _hash(data) != digest:
        raise ValueError("other arrays")
    found = read_archive(io.BytesIO(data))
    return {name: found[f"arr_{place}"].astype(np.float64, copy=False) for place, name in enumerate(names)}


def _line(row: Mapping[str, str | float]) -> dict[str, str | float | None]:
    return {name: _written(value) if name in _NUMBERS else value for name, value in row.items()}


def _row(row: Mapping[str, Any]) -> dict[str, str | float]:
    return {name: _read(value) if name in _NUMBERS else str(value) for name, value in row.items()}


def _written(value: str | float) -> float | str | None:
    """JSON has no NaN and no infinities."""
    number = float(value)
    return number if math.isfinite(number) else None if math.isnan(number) else str(number)


def _read(value: Any) -> float:
    return math.nan if value is None else float(value)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

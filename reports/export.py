"""The rows of a ledger as a file that other tools read."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import pandas as pd

from hessbench.reports.writing.sheets import to_csv

Format: TypeAlias = Literal["csv", "parquet", "json"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)


def export(frame: pd.DataFrame, format: Format, out: Path | str) -> Path:
    """Write a frame of ledger rows.

    Mappings and lists left in a column (diagnostics, notes, traits) are written as JSON text. In CSV a text that a
    spreadsheet would take for a formula gets an apostrophe before it; the other formats hold the text as it is.

    Args:
        frame: From `Ledger.to_frame`.
        format: csv, parquet or json (a list of objects).
        out: The file to write; its folder is made.

    Returns:
        The file.

    Raises:
        ValueError: If the format is not accepted, or is parquet and pyarrow is not installed.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if format == "parquet" and not _has_pyarrow():
        raise ValueError("format parquet needs pyarrow, which is not installed: pip install 'hessbench[parquet]'")
    file = Path(out)
    file.parent.mkdir(parents=True, exist_ok=True)
    flat = frame.map(_as_text)
    if format == "csv":
        file.write_text(to_csv(flat), encoding="utf-8", newline="")
    elif format == "json":
        text = flat.to_json(orient="records", lines=False, double_precision=15, indent=1)
        file.write_text(f"{text}\n", encoding="utf-8", newline="")
    else:
        flat.to_parquet(file, engine="pyarrow", index=False)
    return file


def _as_text(cell: Any) -> Any:
    """Mappings and lists as JSON text; anything else as it is, enumerations as plain text."""
    if isinstance(cell, Mapping):
        return json.dumps(dict(cast("Mapping[str, Any]", cell)), sort_keys=True)
    if isinstance(cell, list | tuple):
        return json.dumps(list(cast("list[Any]", cell)))
    return str(cell) if isinstance(cell, str) else cell


def _has_pyarrow() -> bool:
    try:
        return importlib.util.find_spec("pyarrow") is not None
    except ValueError:  # find_spec raises this for a module set to None
        return False

"""Rows as a table of pandas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from hessbench.ledger.record import COLUMNS, Record

if TYPE_CHECKING:
    import pandas as pd


def to_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Rows as a table with the columns of the schema."""
    # Here and not above: importing pandas may start a thread (pyarrow's), and the fork server must have none.
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for record in records:
        row = cast("dict[str, Any]", json.loads(record.to_line()))
        for name in ("counts", "errors"):
            row |= {f"{name}.{key}": value for key, value in row.pop(name).items()}
        row["traits"] = ",".join(row["traits"])
        row["budgets"] = ",".join(map(str, row["budgets"]))
        row["diagnostics"] = json.dumps(row["diagnostics"], sort_keys=True)
        row["notes"] = json.dumps(row["notes"], sort_keys=True)
        row["cost_at"] = json.dumps(row["cost_at"], sort_keys=True)
        rows.append(row)
    fixed = [name for name in COLUMNS if name not in ("counts", "errors")]
    extra = sorted({key for row in rows for key in row} - set(fixed))
    return pd.DataFrame(rows, columns=[*fixed, *extra])

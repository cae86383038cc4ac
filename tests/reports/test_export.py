"""Rows as files."""

import json
import sys

import pandas as pd
import pytest

from hessbench.reports.export import FORMATS, export

READ = {
    "csv": pd.read_csv,
    "parquet": pd.read_parquet,
    "json": lambda file: pd.DataFrame(json.loads(file.read_text())),
}


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_is_read_back(ledger, tmp_path, format):
    frame = ledger.to_frame()
    file = export(frame, format, tmp_path / "new" / f"rows.{format}")
    back = READ[format](file)
    assert list(back.columns) == list(frame.columns)
    assert list(back["cell"]) == list(frame["cell"])
    assert back["error"].astype(float).tolist() == pytest.approx(frame["error"].astype(float).tolist(), nan_ok=True)
    assert "errors.relative" in back


@pytest.mark.parametrize("format", FORMATS)
def test_mappings_and_lists_become_json_text(tmp_path, format):
    frame = pd.DataFrame({"diagnostics": [{"b": 1, "a": [2]}], "traits": [("psd", "network")]})
    back = READ[format](export(frame, format, tmp_path / "rows"))
    assert json.loads(back["diagnostics"][0]) == {"a": [2], "b": 1}
    assert json.loads(back["traits"][0]) == ["psd", "network"]


def test_only_csv_marks_formulas(tmp_path):
    frame = pd.DataFrame({"reason": ["=cmd()"]})
    assert READ["csv"](export(frame, "csv", tmp_path / "a"))["reason"][0] == "'=cmd()"
    assert READ["json"](export(frame, "json", tmp_path / "b"))["reason"][0] == "=cmd()"


def test_json_keeps_small_numbers(tmp_path):
    file = export(pd.DataFrame({"error": [1.2345678901e-17, None]}), "json", tmp_path / "a")
    assert json.loads(file.read_text()) == [{"error": 1.2345678901e-17}, {"error": None}]


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="format must be one of csv, parquet, json, got 'xml'"):
        export(pd.DataFrame(), "xml", tmp_path / "rows.xml")


def test_parquet_without_pyarrow_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'hessbench\[parquet\]'"):
        export(pd.DataFrame({"a": [1]}), "parquet", tmp_path / "rows.parquet")
    assert not (tmp_path / "rows.parquet").exists()

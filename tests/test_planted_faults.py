"""The faults that the campaign plants: every one has its place in the tree as it is now."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def planted_faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "campaigns"))
    return importlib.import_module("planted_faults")


def test_every_fault_has_a_spelling_that_stands_once(planted_faults: ModuleType) -> None:
    """Where one is missing, the line was rewritten: its new spelling belongs under the same name in `faults.py`."""
    found = planted_faults.placed(planted_faults.FAULTS)
    assert [name for name, (_, module) in found.items() if not module] == []
    assert set(found) == {fault.name for fault in planted_faults.FAULTS}


def test_a_planted_fault_is_python_and_another_text(planted_faults: ModuleType) -> None:
    texts = {name: path.read_text(encoding="utf-8") for name, path in planted_faults.sources().items()}
    for fault, module in planted_faults.placed(planted_faults.FAULTS).values():
        planted = texts[module].replace(fault.snippet, fault.replacement)
        assert planted != texts[module], fault.name
        compile(planted, module, "exec")

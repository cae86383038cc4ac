"""The campaign that plants regressions: every fault has its place, and a series is judged as asv would."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def regressions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "campaigns"))
    return importlib.import_module("regressions")


def test_every_fault_stands_once_in_its_file(regressions: ModuleType) -> None:
    for plant in regressions.PLANTS:
        text = (ROOT / plant.file).read_text(encoding="utf-8")
        assert text.count(plant.snippet) == 1, plant.name
        compile(text.replace(plant.snippet, plant.replacement), plant.file, "exec")


@pytest.mark.parametrize(
    ("series", "was", "now", "flagged"),
    [
        ("Cell.track_matvecs(x)", 100.0, 101.0, 1),
        ("Cell.track_matvecs(x)", 100.0, 50.0, 0),
        ("Cell.track_matvecs(x)", 100.0, "failed: crash", 1),
        ("Cell.track_matvecs(x)", "failed: crash", 1.0, 0),
        ("Cell.track_matvecs(x)", None, 1.0, 0),
        ("Answer.track_products_to_1_percent(x)", 40.0, 50.0, 1),
        ("Product.track_gradients_a_product(x)", 1.0, 1.2, 0),
        ("Product.track_gradients_a_product(x)", 1.0, 1.4, 1),
        ("Time.track_yardsticks_a_cell(x)", 1.0, 1.4, 1),
        ("Cell.track_failed(x)", 0.0, 1.0, 1),
    ],
)
def test_series_are_judged_by_the_thresholds_of_asv(
    regressions: ModuleType, tmp_path: Path, series: str, was: float, now: float, flagged: int
) -> None:
    campaign = regressions.Campaign(tmp_path, ("asv",), "quick", "")
    assert len(list(campaign._worse({series: was}, {series: now}))) == flagged

"""The answer as it is read: 80 columns, best first, nothing that reached it lost."""

import json

import pytest
from planted_ledgers import cell, repeats

from hessbench.ledger.answering import answer
from hessbench.reports.answers.tables import as_json, csv, frame, to_markdown
from hessbench.reports.answers.text import summary, text

LONG = "an-estimator-of-many-words[parameter=1,another_parameter=2,and_a_third=3]"


@pytest.fixture(scope="module")
def found():
    rows = [
        *repeats("slq", wall=1e-3),
        *repeats(LONG, wall=2e-3),
        *repeats("kpm", error=lambda budget, repeat: 1.4),
        *repeats("few", number=1),
        *cell("slq", pass_="memory", host_peak_bytes=3 << 20),
    ]
    return answer(rows, (0.1, 0.05, 0.001))


def test_no_line_is_longer_than_80_columns(found):
    for written in (text(found), summary(found)):
        assert max(map(len, written.splitlines())) <= 80


def test_the_numbers_of_the_best_stand_first(found):
    lines = text(found).splitlines()
    first = next(line for line in lines[lines.index("within 5 %, by build + own time") :] if line.startswith("1. slq"))
    assert first.split()[2:] == ["20", "40", "50.0", "ms", "20.0", "ms", "70.0", "ms", "3.00", "MiB", "5", "%"]
    assert "within 0.1 %, by build + own time: no method" in lines
    assert "note: no nearer than one point at the mean, which takes no product: kpm" in lines


def test_one_sentence_a_question(found):
    said = " ".join(summary(found[1:2]).split())
    assert said.startswith(
        "Within 5 % on every repeat, from this budget on; best by build + own time: "
        "digits-mlp, density: slq, 20 products, 70.0 ms (50.0 ms of it build), error 5 %, 3 of 3 repeats, next an-"
    )
    assert "no method reached it; nearest" in summary(found[2:])


def test_one_that_is_within_in_too_few_repeats_comes_before_those_that_do_not_reach_it():
    rows = [*repeats("slq", number=2), *repeats("kpm", error=lambda budget, repeat: 1.4)]
    said = " ".join(summary(answer(rows, (0.1,))).split())
    assert said.endswith("not judged; slq: 10 % at 10 products; within 10 % in 2 repeats; 3 are needed")


def test_tolerances_that_say_the_same_share_a_block():
    written = text(answer(cell("dense", error=lambda budget, repeat: 0.0), (0.1, 0.01)))
    assert "within 10 % and 1 %, by build + own time" in written


def test_nothing_to_say_of_an_empty_ledger():
    assert text(()) == "no finished cells"
    assert summary(()) == ""
    assert to_markdown(()) == "no finished cells\n"


def test_the_frame_has_a_row_for_every_method_at_every_tolerance(found):
    table = frame(found)
    assert len(table) == 12
    best = table[(table["tolerance"] == 0.05) & (table["rank"] == 1)].iloc[0]
    assert (best["method"], best["budget"], best["products"], best["ratio"]) == ("slq", 20, 20, 1)
    assert csv(found).count("\n") == 13


def test_json_holds_everything(found):
    read = json.loads(as_json(found))
    assert [it["tolerance"] for it in read] == [0.1, 0.05, 0.001]
    assert read[1]["entries"][0]["seconds"]["median"] == pytest.approx(0.07)
    assert read[1]["question"]["estimand"] == "density"


def test_markdown_has_a_row_for_each_that_reached_it(found):
    written = to_markdown(found[1:2])
    assert "| slq | 20 | 40 | 50.0 ms | 20.0 ms | 70.0 ms |" in written
    assert "not reached: kpm" in written.replace("\\", "")

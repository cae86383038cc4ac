"""Verdicts gathered from folders: what was measured, what nobody measured yet, and what another seed does not give."""

import re

import pytest

from hessbench.reports.claims.claim import FLIPS, ClaimOutcome, ClaimVerdict, PublishedClaim, judge_all
from hessbench.reports.claims.claims_page import StudyPage, verdicts_frame
from hessbench.reports.claims.claims_table import TABLE_FORMATS, summary, table_cells
from hessbench.reports.claims.gathered import gather
from hessbench.reports.writing.sheets import to_csv


def claim(title, **changes):
    said = {
        "title": title, "sentence": "it <b>grows</b> | as n", "seed": "001", "place": "section 3", "measure": "Size.",
        "rule": "Borne out above 2.", "judge": lambda verdicts: verdicts,
    }  # fmt: skip
    return PublishedClaim(**(said | changes))


KNOWN = {"first": (claim("A"), claim("B", scale="medium")), "second": (claim("C", command="make C"), claim("=D"))}


def folder_of(place, study, verdicts, *, seed=0, scale="small", titles=("A",)):
    place.mkdir(parents=True)
    claims = [claim(title) for title in titles]
    page = StudyPage(study, "t", (), scale, "cpu", seed, "c")
    (place / "index.html").write_text(f"<!doctype html><title>{study}-study: t</title>")
    (place / "verdicts.csv").write_text(to_csv(verdicts_frame(page, judge_all(claims, verdicts))))
    return place


def verdict(outcome, seen="3", subject="", uncertainty="1 to 5"):
    return ClaimVerdict(outcome, seen, subject, uncertainty=uncertainty)


def gathered(*folders, said=None):
    return gather(folders, KNOWN, (said if said is not None else []).append)


def test_every_verdict_is_there_once_and_what_nobody_judged_with_the_command_that_would(tmp_path):
    folder_of(tmp_path / "x", "first", [verdict(ClaimOutcome.THEOREM, subject="s"), verdict(ClaimOutcome.REFUTED)])
    rows = gathered(tmp_path)
    assert [(row.claim, row.subject, row.verdict, row.command) for row in rows] == [
        ("A", "s", "a theorem", "hessbench study first --out DIR"),
        ("A", "", "refuted", "hessbench study first --out DIR"),
        ("B", "", "not run", "hessbench study first --scale medium --out DIR"),
        ("C", "", "not run", "make C"),
        ("=D", "", "not run", "hessbench study second --out DIR"),
    ]
    assert table_cells(rows[0])[-2:] == ("3 (1 to 5)", "small, seed 0")
    assert summary(rows) == "5 rows: 3 not run, 1 a theorem, 1 refuted."


def test_a_verdict_that_another_seed_does_not_give_is_undecided_with_both_numbers(tmp_path):
    one, two = verdict(ClaimOutcome.BORNE_OUT, "9 of 10", "s"), verdict(ClaimOutcome.UNDECIDED, "5 of 10", "s")
    same = verdict(ClaimOutcome.REFUTED, "0 of 10", "t")
    folder_of(tmp_path / "x", "first", [one, same])
    folder_of(tmp_path / "y", "first", [two, same], seed=1)
    folder_of(tmp_path / "z", "first", [two], scale="medium")
    flipped, kept, medium = [row for row in gathered(tmp_path) if row.claim == "A"]
    assert (flipped.verdict, flipped.outcome, flipped.seeds) == (FLIPS, "undecided", "0, 1")
    assert flipped.seen == "seed 0: borne out, 9 of 10 (1 to 5); seed 1: undecided, 5 of 10 (1 to 5)"
    assert (kept.verdict, kept.run) == ("refuted", "small, seeds 0, 1")
    assert (medium.verdict, medium.run) == ("undecided", "medium, seed 0")
    assert "With another seed 1 of 2 rows have the same verdict." in summary(gathered(tmp_path))


def test_the_same_seed_twice_counts_once_and_is_said(tmp_path):
    folder_of(tmp_path / "x", "first", [verdict(ClaimOutcome.BORNE_OUT)])
    folder_of(tmp_path / "y", "first", [verdict(ClaimOutcome.REFUTED)])
    said = []
    assert gathered(tmp_path, said=said)[0].verdict == "borne out"
    assert said == ["first is there twice at scale small and seed 0: the first counts"]


def test_an_older_table_has_its_words_from_the_known_claims_and_its_own_seeds(tmp_path):
    place = folder_of(tmp_path / "x", "first", [])
    (place / "verdicts.csv").write_text("claim,basis,verdict,seen,rule\nA,rotated,borne out in the mean only,5 %,r\n")
    row = gathered(place)[0]
    assert (row.document, row.place, row.subject, row.outcome) == ("001", "section 3", "rotated", "borne out")
    assert row.run == "small, its own seeds"


def test_what_was_made_safe_for_a_spreadsheet_is_read_as_it_was(tmp_path):
    place = folder_of(tmp_path / "x", "second", [verdict(ClaimOutcome.BORNE_OUT, "-3")], titles=("=D",))
    row = gathered(place)[-1]
    assert (row.claim, row.seen) == ("=D", "-3")


TORN = (
    "",
    "claim,verdict\n",
    "claim\nA\n",
    "\x00\x01",
    "claim,verdict,seen\nA,who knows,1\n",
    "claim,verdict,seen\nA,borne out\n",
    "claim,verdict,seen,rule\nA,borne out,1,bor",
    'claim,verdict,seen\nA,"borne o',
    "claim,verdict,seen\nA,borne out,1,2,3,4\nA\n",
    "claim,verdict,seen\nX,borne out,1\n",
)


@pytest.mark.parametrize("text", TORN)
def test_a_torn_table_costs_its_folder_and_one_sentence(tmp_path, text):
    folder_of(tmp_path / "whole", "second", [verdict(ClaimOutcome.BORNE_OUT)], titles=("C",))
    torn = folder_of(tmp_path / "torn", "first", [])
    (torn / "verdicts.csv").write_text(text)
    said = []
    rows = gathered(tmp_path, said=said)
    assert [row.verdict for row in rows if row.study == "first" and row.verdict != "not run"] == []
    assert [row.verdict for row in rows if row.claim == "C"] == ["borne out"]
    assert len(said) == 1
    assert all("torn/verdicts.csv" in line for line in said)


def test_a_table_in_no_encoding_of_text_is_left_out(tmp_path):
    torn = folder_of(tmp_path / "torn", "first", [])
    (torn / "verdicts.csv").write_bytes(b"claim,verdict,seen\nA,\xff\xfe,1\n")
    said = []
    gathered(tmp_path, said=said)
    assert len(said) == 1


@pytest.mark.parametrize("what", ["missing", "empty", "file", "page"])
def test_a_folder_that_is_no_study_is_refused_in_a_sentence(tmp_path, what):
    place = tmp_path / "mine"
    if what == "file":
        place.write_text("x")
    elif what != "missing":
        place.mkdir()
    if what == "page":
        (place / "index.html").write_text("<title>hessbench operators</title>")
    with pytest.raises(ValueError, match="folder must be that of a study, or hold such folders, mine does not"):
        gathered(place)


def test_an_unfinished_study_is_left_out_with_a_sentence(tmp_path):
    (tmp_path / "index.html").write_text("<title>first-study\n<title>unfinished</title>")
    said = []
    assert {row.verdict for row in gathered(tmp_path, said=said)} == {"not run"}
    assert "the study was not finished" in said[0]


@pytest.mark.parametrize("name", TABLE_FORMATS)
def test_no_format_lets_the_words_of_a_claim_be_read_as_markup(tmp_path, name):
    folder_of(tmp_path / "x", "first", [verdict(ClaimOutcome.REFUTED, "<script>alert(1)</script>")])
    text = TABLE_FORMATS[name](gathered(tmp_path), "hessbench claims <x>")
    if name == "csv":
        assert '"first"' not in text
        assert text.count("\n") == 5
    else:
        assert "<script>" not in text
        assert "<b>grows" not in text
        assert "<x>" not in text
    if name == "markdown":
        rows = text.split("\n\n")[0].splitlines()
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}

"""The verb: which studies there are, and what it refuses before anything is run."""

import csv
import dataclasses
from functools import partial
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from hessbench.cli import main, study_verb
from hessbench.reports.claims.claim import ClaimVerdict, FormerRule, PublishedClaim
from hessbench.reports.claims.figure import StudyTable
from hessbench.reports.claims.rules import share_uncertainty, usually
from hessbench.reports.claims.study_page import claim_folder
from hessbench.studies.shipped import STUDIES
from hessbench.studies.study import Study, WholeStudy
from hessbench.studies.units import Unit


def with_run(monkeypatch, name, **changes):
    study = dataclasses.replace(STUDIES[name], **changes)
    monkeypatch.setattr(study_verb, "STUDIES", MappingProxyType({**STUDIES, name: study}))


def test_the_verb_runs_a_study_and_writes_what_it_found(monkeypatch, tmp_path):
    def write(results, out, command):
        (out / "index.html").write_text(f"{results} {command}")
        return out / "index.html"

    with_run(monkeypatch, "sketch", run=lambda say: say("half done") or 42, write=write)
    done = CliRunner().invoke(main, ["study", "sketch", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "half done" in done.output
    assert (tmp_path / "out" / "index.html").read_text().startswith("42 ")


def test_the_help_says_what_each_study_does():
    said = "".join(CliRunner().invoke(main, ["study", "--help"]).output.split())  # lines break at hyphens too
    for study in STUDIES.values():
        assert "".join(f"`{study.name}`: {study.summary}".split()) in said


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_every_study_says_how_long_it_takes_and_names_its_claims_once(study):
    assert study.summary.endswith("minutes on two cores.")
    titles = [claim.title for claim in study.claims]
    assert titles == list(dict.fromkeys(titles))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["sketch"], "--out"), (["nothing", "--out", "x"], "'sketch'"), ([], "NAME")],
)
def test_bad_arguments_are_refused_in_a_sentence(arguments, says):
    done = CliRunner().invoke(main, ["study", *arguments])
    assert done.exit_code == 2
    assert says in done.output


@pytest.mark.parametrize("name", [name for name, study in STUDIES.items() if isinstance(study, WholeStudy)])
def test_a_folder_that_holds_something_else_is_refused_before_anything_is_run(monkeypatch, tmp_path, name):
    with_run(monkeypatch, name, run=lambda _: pytest.fail("the study was run"))
    (tmp_path / "mine.txt").write_text("kept")
    (tmp_path / "index.html").write_text("<title>another page")
    done = CliRunner().invoke(main, ["study", name, "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert f"out must be new, empty or an earlier {name} study" in done.output
    assert (tmp_path / "mine.txt").read_text() == "kept"
    with pytest.raises(ValueError, match=r"out must be a folder, mine\.txt is a file"):
        claim_folder(name, tmp_path / "mine.txt")


def measure(run, done, record):
    done.append(run)
    record.add("size", float(run))


class Done(list):
    """A list whose text does not change with what is in it."""

    def __repr__(self):
        return "done"


def judge(measured):
    sizes = measured.values("size")
    large, all_of_them = int((sizes >= 1).sum()), sizes.size
    seen = f"{large} of {all_of_them} units"
    return (ClaimVerdict(usually(large, all_of_them), seen, uncertainty=share_uncertainty(large, all_of_them)),)


@pytest.fixture
def done(monkeypatch):
    """Runs of a study of four units of 200 s each, by prediction, that stands beside those that ship."""
    done = Done()
    claim = PublishedClaim(
        "It grows", "it grows", "001", "section 3", "Size.", "9 of 10 are 1.", judge,
        former=FormerRule("All are 1.", judge, "One in ten may be small."),
    )  # fmt: skip
    study = Study(
        name="sketch", title="what grows", summary="Two minutes on two cores.", introduction=("Why.",), claims=(claim,),
        units=lambda setting: [Unit(f"run={run}", partial(measure, run, done), 200.0) for run in setting.runs(4)],
        figures=lambda _: (), tables=lambda found: [StudyTable("sizes", "Sizes", found.rows[["value"]], "All.")],
    )  # fmt: skip
    monkeypatch.setattr(study_verb, "STUDIES", MappingProxyType({**STUDIES, "sketch": study}))
    return done


def run_study(*arguments):
    finished = CliRunner().invoke(main, ["study", "sketch", *map(str, arguments)])
    return finished.exit_code, finished.output


def test_a_study_of_units_writes_its_page_and_a_second_call_measures_nothing_again(done, tmp_path):
    code, said = run_study("--out", tmp_path / "out", "--seed", 2)
    assert (code, done) == (0, [8, 9, 10, 11])
    assert "(4 of 4)" in said
    assert "seed 2" in (tmp_path / "out" / "index.html").read_text()
    row = next(csv.DictReader((tmp_path / "out" / "verdicts.csv").read_text().splitlines()))
    assert (row["verdict"], row["seen"], row["seed"]) == ("borne out", "4 of 4 units", "2")
    code, said = run_study("--out", tmp_path / "out", "--seed", 2)
    assert (code, done) == (0, [8, 9, 10, 11])
    assert "4 of 4 units are there already" in said


def test_a_plan_lists_units_and_calls_with_their_time_and_runs_nothing(done, tmp_path):
    code, said = run_study("--plan", "--scale", "medium", "--out", tmp_path / "out")
    assert (code, done, list(tmp_path.iterdir())) == (0, [], [])
    for line in (
        "call 1/2: 400 s",
        "run=3: 200 s",
        "4 units, 0 kept: about 13.3 min left at scale medium on cpu",
        "--call 2/2",
    ):
        assert line in said
    assert run_study("--plan")[0] == 0


def test_calls_are_run_one_by_one_in_any_order_and_the_last_writes_the_page(done, tmp_path):
    code, said = run_study("--scale", "medium", "--call", "2/2", "--out", tmp_path / "out")
    assert (code, done) == (0, [2, 3])
    assert "2 of 4 units are left" in said
    assert "not finished" in (tmp_path / "out" / "index.html").read_text()
    assert "2 kept: about 400 s left" in run_study("--plan", "--scale", "medium", "--out", tmp_path / "out")[1]
    code, said = run_study("--scale", "medium", "--call", "1/2", "--out", tmp_path / "out")
    assert (code, done) == (0, [2, 3, 0, 1])
    assert "Scale medium" in (tmp_path / "out" / "index.html").read_text()


def test_another_seed_in_the_same_folder_has_units_of_its_own(done, tmp_path):
    run_study("--out", tmp_path)
    code, said = run_study("--out", tmp_path, "--seed", 1)
    assert (code, done) == (0, list(range(8)))
    assert "4 files of other settings or designs are left alone" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--seed", -1], "seed must be at least 0"), (["--device", "tpu"], "device must be cpu, cuda"),
     (["--device", "mps"], "device must be cpu, cuda"), (["--device", "cuda:99"], "is not there"),
     (["--call", "3/2"], "call must be 1/2 to 2/2"), (["--scale", "large"], "'large'")],
)  # fmt: skip
def test_settings_that_are_none_are_refused_before_anything_is_measured(done, tmp_path, arguments, says):
    code, said = run_study("--out", tmp_path / "out", *arguments)
    assert (code, done) == (2, [])
    assert says in said


WHOLE = [name for name, study in STUDIES.items() if isinstance(study, WholeStudy)]


@pytest.mark.parametrize("more", ["--scale medium", "--seed 1", "--plan", "--call 1/1", "--device cuda"])
def test_a_study_in_one_piece_says_that_it_has_one_setting(monkeypatch, tmp_path, more):
    assert WHOLE
    for name in WHOLE:
        with_run(monkeypatch, name, run=lambda _: pytest.fail("the study was run"))
        finished = CliRunner().invoke(main, ["study", name, "--out", str(tmp_path), *more.split()])
        assert finished.exit_code == 2
        assert f"{name} is run in one piece" in finished.output
    assert list(tmp_path.iterdir()) == []


def test_the_verdicts_of_another_seed_are_shown_beside_and_one_that_flips_is_undecided(done, tmp_path):
    run_study("--out", tmp_path / "first")
    run_study("--out", tmp_path / "second", "--seed", 1)
    before = (tmp_path / "first" / "index.html").read_text()
    code, said = run_study("--out", tmp_path / "first", "--beside", tmp_path / "second")
    assert (code, len(done)) == (0, 8)
    assert "0 of 1 rows have the same verdict with seeds 1" in said
    page = (tmp_path / "first" / "index.html").read_text()
    for told in ("undecided (flips)", "3 of 4 units", "4 of 4 units", "verdicts-seed-1.csv", "First committed:"):
        assert told in page
    assert page.partition("<h2>Sizes</h2>")[2] == before.partition("<h2>Sizes</h2>")[2]
    rows = CliRunner().invoke(main, ["claims", str(tmp_path / "first"), "--format", "csv"]).output
    assert "seed 0: undecided, 3 of 4 units" in rows
    assert "seed 1: borne out, 4 of 4 units" in rows
    run_study("--out", tmp_path / "first", "--beside", tmp_path / "second")
    assert (tmp_path / "first" / "index.html").read_text() == page


@pytest.mark.parametrize(
    ("beside", "says"),
    [("first", "from other seeds than 0"), ("medium", "at scale small"), ("nothing", "nothing does not")],
)
def test_a_run_that_is_no_other_seed_is_refused_and_the_page_stays(done, tmp_path, beside, says):
    run_study("--out", tmp_path / "first")
    run_study("--out", tmp_path / "medium", "--scale", "medium", "--seed", 1)
    page = (tmp_path / "first" / "index.html").read_bytes()
    code, said = run_study("--out", tmp_path / "first", "--beside", tmp_path / beside)
    assert code == 2
    assert says in " ".join(said.split())
    assert (tmp_path / "first" / "index.html").read_bytes() == page
    code, said = run_study("--out", tmp_path / "other", "--beside", tmp_path / "first")
    assert (code, "--out must hold a finished page of sketch" in " ".join(said.split())) == (2, True)

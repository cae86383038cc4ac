"""Units of a study: kept at once, resumed after a kill at any point, and never mixed with those of another design."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from hessbench.studies.calls import split_calls, units_of_call
from hessbench.studies.kept_units import unit_file
from hessbench.studies.scale import Scale, StudySetting
from hessbench.studies.units import FOLDER, Unit, UnitCosts, UnitRecord, kept_units, run_units


def measure(run: int, done: list[int] | None, record: UnitRecord) -> None:
    if done is not None:
        done.append(run)
    record.add("size", run + 0.1, problem="p", method="m", costs=UnitCosts(3, 4.5, 0.25))
    record.add("ratio", [float("inf"), float("nan"), -float("inf")][run % 3])
    record.keep("a/b", np.arange(run + 1.0))


class Done(list):
    """A list whose text does not change with what is in it."""

    def __repr__(self) -> str:
        return "done"


def units_of(number: int, done: list[int] | None = None, **changes) -> list[Unit]:
    return [Unit(f"run={run}/<b>é", partial(measure, run, done), 2.0, **changes) for run in range(number)]


def quiet(_: str) -> None:
    pass


def test_what_units_measure_comes_back_the_same_measured_or_kept(tmp_path):
    done = Done()
    first = run_units(units_of(3, done), tmp_path, quiet)
    second = run_units(units_of(3, done), tmp_path, quiet)
    assert done == [0, 1, 2]
    assert first.rows.equals(second.rows)
    assert list(second.by_unit("size").items()) == [(f"run={run}/<b>é", run + 0.1) for run in range(3)]
    assert second.rows["num_matvecs"].tolist()[::2] == [3, 3, 3]
    np.testing.assert_array_equal(second.values("ratio"), [np.inf, np.nan, -np.inf])
    np.testing.assert_array_equal(second.array("run=2/<b>é", "a/b"), [0, 1, 2])
    assert {file.parent for file in (tmp_path / FOLDER).rglob("*")} == {tmp_path / FOLDER}


@pytest.mark.parametrize("harm", ["torn", "empty", "foreign", "row", "arrays", "no arrays", "folder"])
def test_a_file_that_is_torn_or_foreign_costs_its_unit_alone_and_one_sentence(tmp_path, harm):
    done, said = Done(), []
    units = units_of(3, done)
    run_units(units, tmp_path, quiet)
    file = unit_file(tmp_path / FOLDER, units[1], units[1].key("", StudySetting()))
    whole = file.read_bytes()
    if harm == "arrays":
        arrays = file.with_suffix(".npz")
        arrays.write_bytes(arrays.read_bytes()[:-9])
    elif harm == "no arrays":
        file.with_suffix(".npz").unlink()
    elif harm == "folder":
        file.unlink()
        file.mkdir()
    else:
        lines = whole.split(b"\n")
        row = json.loads(lines[1]) | {"value": 9.0}
        file.write_bytes({
            "torn": whole[:-7], "empty": b"", "foreign": b"\x00\xff{}",
            "row": b"\n".join([lines[0], json.dumps(row).encode(), *lines[2:]]),
        }[harm])  # fmt: skip
    if harm == "folder":
        kept = kept_units(units, tmp_path, say=said.append)
        assert sorted(kept) == ["run=0/<b>é", "run=2/<b>é"]
    else:
        assert run_units(units, tmp_path, said.append).values("size").tolist() == [0.1, 1.1, 2.1]
        assert done == [0, 1, 2, 1]
        assert file.read_bytes().split(b"\n")[1:] == whole.split(b"\n")[1:]
    assert len([line for line in said if "counts as not measured" in line]) == 1


def other_measure(record: UnitRecord) -> None:
    record.add("size", 7.0)


def test_another_study_setting_seed_or_definition_is_not_mixed_with_what_is_kept(tmp_path):
    def seen(units, **asked):
        done.clear()
        said.clear()
        run_units(units, tmp_path, said.append, **asked)
        return list(done)

    done, said = Done(), []
    assert seen(units_of(1, done)) == [0]
    assert seen(units_of(1, done), study="other") == [0]
    assert any("left alone" in line for line in said)
    for setting in (StudySetting(Scale.MEDIUM), StudySetting(seed=1), StudySetting(device="cuda")):
        assert seen(units_of(1, done), setting=setting) == [0]
    assert seen(units_of(1, done, definition="100 probes")) == [0]
    name = units_of(1)[0].name
    assert run_units([Unit(name, other_measure, 1.0)], tmp_path, quiet).values("size").tolist() == [7.0]
    assert seen(units_of(1, done)) == []


def test_closures_count_as_part_of_the_definition():
    def unit(number: int) -> Unit:
        return Unit("a", lambda record: record.add("x", number), 1.0)

    assert unit(1).key("s", StudySetting()) != unit(2).key("s", StudySetting())
    assert unit(1).key("s", StudySetting()) == unit(1).key("s", StudySetting())


def test_only_the_units_asked_for_are_measured_and_the_rest_count_where_kept(tmp_path):
    done = Done()
    units = units_of(4, done)
    part = run_units(units, tmp_path, quiet, only=[units[2].name])
    assert (done, part.units) == ([2], (units[2].name,))
    both = run_units(units, tmp_path, quiet, only=[units[0].name])
    assert both.units == (units[0].name, units[2].name)


def test_progress_says_what_went_by_and_what_is_left(tmp_path):
    said = []
    run_units(units_of(2), tmp_path, said.append)
    assert "(1 of 2)" in said[0]
    assert "predicted 2.00 s" in said[0]
    assert "left" in said[0]
    assert said[1].endswith("about 0 s left")


def test_two_units_of_one_name_or_without_one_are_refused(tmp_path):
    with pytest.raises(ValueError, match="names of their own"):
        run_units([*units_of(1), *units_of(1)], tmp_path, quiet)
    with pytest.raises(ValueError, match="the unit 'a' must take down a number"):
        run_units([Unit("a", lambda _: None, 1.0)], tmp_path, quiet)
    with pytest.raises(ValueError, match="must not be empty"):
        Unit(" ", other_measure, 1.0)
    with pytest.raises(ValueError, match="seconds must be above 0"):
        Unit("a", other_measure, float("nan"))
    record = UnitRecord()
    record.keep("x", [1])
    with pytest.raises(ValueError, match="'x' was kept before"):
        record.keep("x", [2])


KILLED = """
import sys, time
from functools import partial
from pathlib import Path
from hessbench.studies.units import Unit, run_units

def measure(run, record):
    record.add("size", run)
    record.keep("a", [run])
    time.sleep(0.0 if run < 2 else float(sys.argv[2]))

run_units([Unit(f"run={run}", partial(measure, run), 1.0) for run in range(4)], Path(sys.argv[1]), print)
"""


@pytest.mark.slow
def test_a_process_killed_between_units_goes_on_where_it_was(tmp_path):
    script = tmp_path / "study_script.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(tmp_path / "out")]
    killed = subprocess.Popen([*command, "600"], stdout=subprocess.DEVNULL)
    kept = tmp_path / "out" / FOLDER
    while len(list(kept.glob("[!.]*.jsonl"))) < 2:
        time.sleep(0.05)
        assert killed.poll() is None
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = {file: file.read_bytes() for file in kept.glob("run-[01]*")}
    done = subprocess.run([*command, "0"], capture_output=True, text=True, check=True)
    assert "2 of 4 units are there already" in done.stdout
    assert "(2 of 2)" in done.stdout
    assert len(before) == 4
    assert all(file.read_bytes() == data for file, data in before.items())


def test_units_are_split_into_calls_by_prediction_and_a_long_one_has_its_own():
    units = [Unit(str(place), other_measure, seconds) for place, seconds in enumerate((200, 200, 100, 900, 10))]
    assert [[it.name for it in call] for call in split_calls(units)] == [["0", "1"], ["2"], ["3"], ["4"]]
    assert [it.name for it in units_of_call(units, "2/4")] == ["2"]
    for asked in ("0/4", "5/4", "1/3", "1", "a/4", "1/4/4", "²/4"):
        with pytest.raises(ValueError, match="call must be 1/4 to 4/4"):
            units_of_call(units, asked)


def test_trainings_of_one_seed_are_those_of_no_other():
    assert list(StudySetting(seed=2).runs(3)) == [6, 7, 8]
    with pytest.raises(ValueError, match="seed must be at least 0"):
        StudySetting(seed=-1)

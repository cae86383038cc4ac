"""Every version of a suite that ships is frozen: a change of what it crosses demands another version."""

from dataclasses import replace

import pytest

from hessbench.running.frozen import FROZEN, check_frozen, shipped_suite, suite_hash
from hessbench.running.suite import Suite, built_in_suites, shipped_text


@pytest.mark.parametrize("name", built_in_suites())
def test_a_suite_that_ships_crosses_what_its_version_does(name):
    suite = Suite.load(name)
    # Mend a failure with the next version and a new line; a line that is there never changes.
    assert (suite.label, suite_hash(suite)) in FROZEN.items()
    versions = [int(label.rpartition("-")[2]) for label in FROZEN if label.rpartition("-")[0] == name]
    assert suite.version == max(versions)


def test_any_change_of_what_is_crossed_is_seen_and_a_comment_is_not():
    suite = Suite.load("quick")
    first, *rest = suite.crosses
    changes = [
        replace(suite, threads=2), replace(suite, dtype="float64"), replace(suite, device="cuda"),
        replace(suite, version=3), replace(suite, name="other"), replace(suite, crosses=tuple(rest)),
        replace(suite, crosses=(*rest, first)),
        *(replace(suite, crosses=(replace(first, **change), *rest))
          for change in ({"repeats": 6}, {"memory": False}, {"num_matvecs": (20, 40)}, {"estimand": "trace"},
                         {"methods": first.methods[1:]}, {"problems": first.problems[::-1]})),
    ]  # fmt: skip
    assert len({suite_hash(changed) for changed in (suite, *changes)}) == len(changes) + 1
    commented = "# A word.\n" + shipped_text("quick").replace("repeats = 5", "repeats  =  5  # five")
    assert suite_hash(Suite.parse(commented)) == suite_hash(suite)


def test_what_is_not_frozen_is_refused():
    suite = Suite.load("quick")
    assert check_frozen(suite) == FROZEN["quick-2"]
    with pytest.raises(ValueError, match="quick-3 is not frozen"):
        check_frozen(replace(suite, version=3))
    with pytest.raises(ValueError, match="another crossing needs another version"):
        check_frozen(replace(suite, threads=2))
    with pytest.raises(ValueError, match="does not ship"):
        shipped_suite("mine-1")
    with pytest.raises(ValueError, match="quick-1 is not the version that ships, quick-2 is"):
        shipped_suite("quick-1")

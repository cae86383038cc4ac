"""Suite files: what is read, and one sentence for each mistake."""

import re

import numpy as np
import pytest

from hessbench.running.suite import Cross, Suite, built_in_suites, check_dtype

TEXT = """
name = "mine"
version = 2
threads = 2
dtype = "float64"

[[cross]]
estimand = "trace"
problems = ["student-t"]
methods = ["hutch*", "slq"]
num_matvecs = [20, "n"]
"""


def test_a_suite_is_read_whole():
    suite = Suite.parse(TEXT)
    assert (suite.label, suite.device, suite.dtype, suite.threads) == ("mine-2", "cpu", "float64", 2)
    assert suite.crosses == (Cross("trace", ("student-t",), ("hutch*", "slq"), (20, "n"), repeats=1, memory=True),)


def test_repeats_and_the_memory_pass_may_be_chosen():
    (cross,) = Suite.parse(TEXT + "repeats = 3\nmemory = false\n").crosses
    assert (cross.repeats, cross.memory) == (3, False)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 2", "version = 0", "version must be at least 1"),
        ("version = 2", "version = '2'", "version takes an integer"),
        ("version = 2", "version = true", "version takes an integer"),
        ("version = 2", "", "'version' is missing"),
        ("version = 2", "versoin = 2", "did you mean 'version'"),
        ('"mine"', '"My Suite"', "suite name"),
        ('"mine"', "3", "name takes a text"),
        ('"float64"', '"float16"', "dtype must be float32 or float64"),
        ("threads = 2", "threads = 0", "threads must be at least 1"),
        ("[[cross]]", "[cross]", "cross takes a list"),
        ("num_matvecs", "budgets", "unknown key 'budgets'"),
        ('[20, "n"]', "[]", "at least one budget"),
        ('[20, "n"]', "[20.0]", "num_matvecs takes integers"),
        ('[20, "n"]', "[0]", "num_matvecs takes integers"),
        ('[20, "n"]', "[true]", "num_matvecs takes integers"),
        ('[20, "n"]', '["2n"]', "num_matvecs takes integers"),
        ('[20, "n"]', "20", "num_matvecs takes a list"),
        ('["student-t"]', "[]", "problems takes a list of at least one text"),
        ('["student-t"]', "[3]", "problems takes a list of at least one text"),
        ('["hutch*", "slq"]', '"slq"', "methods takes a list"),
        ('"trace"', "3", "estimand takes a text"),
        ("num_matvecs", "repeats = 0\nnum_matvecs", "repeats must be at least 1"),
        ("num_matvecs", "memory = 1\nnum_matvecs", "memory takes true or false"),
        ("name =", "name", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_the_file_in_one_sentence(old, new, says):
    assert old in TEXT
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        Suite.parse(TEXT.replace(old, new, 1), "suite.toml")
    assert "\n" not in str(caught.value)


def test_a_suite_without_crossings_is_refused():
    with pytest.raises(ValueError, match=r"\[\[cross\]\] is needed"):
        Suite.parse('name = "mine"\nversion = 1\ncross = []\n')


def test_the_number_of_the_cross_is_in_the_message():
    with pytest.raises(ValueError, match="cross 2"):
        Suite.parse(TEXT + TEXT[TEXT.index("[[cross]]") :].replace("20", "0"), "suite.toml")


@pytest.mark.parametrize("budget", [20.0, 20.5, 0, -1, True, "m", None])
def test_a_cross_made_by_hand_refuses_what_is_no_budget(budget):
    with pytest.raises(ValueError, match="num_matvecs"):
        Cross("trace", ("p",), ("m",), (budget,))


def test_a_cross_made_by_hand_accepts_whole_numbers_of_every_kind():
    assert Cross("trace", ("p",), ("m",), (np.int64(20), 30, "n")).num_matvecs == (20, 30, "n")


def test_built_in_suites_load_by_name_and_a_file_by_its_path(tmp_path):
    assert "quick" in built_in_suites()
    for name in built_in_suites():
        assert Suite.load(name).name == name
    file = tmp_path / "own.toml"
    file.write_text(TEXT)
    assert Suite.load(file) == Suite.load(str(file)) == Suite.parse(TEXT)


@pytest.mark.parametrize(
    ("source", "says"), [("quik", "did you mean 'quick'"), ("gone.toml", r"gone\.toml does not exist"), ("", "unknown")]
)
def test_a_suite_that_is_not_there_is_refused(source, says):
    with pytest.raises(ValueError, match=says):
        Suite.load(source)


@pytest.mark.parametrize("dtype", ["float16", "double", "", "torch.float32"])
def test_another_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match="float32 or float64"):
        check_dtype(dtype)

"""Entry points and plugin files: what is loaded, and one sentence for what is not."""

import numpy as np
import pytest

from hessbench.catalog import Catalog, family_of, load_catalog, load_plugin
from hessbench.estimand import Estimate, Trace
from hessbench.method import Method
from hessbench.methods import METHODS
from hessbench.problem import Problem, ProblemFamily
from hessbench.problems import PROBLEMS
from hessbench.registry import Registry

PLUGIN = """
import numpy as np
from hessbench import Estimate, Method, Problem, Trace

def run(op, /, *, num_matvecs, generator):
    return Estimate(1.0)

METHODS = [Method("plugged", run, (Trace,))]
PROBLEMS = [Problem.of("plugged-problem", np.eye(3))]
"""


def empty():
    return Catalog(Registry("problem"), Registry("method"))


def write(tmp_path, text, name="plugin.py"):
    file = tmp_path / name
    file.write_text(text)
    return file


def test_built_in_problems_and_methods_come_through_the_entry_points():
    catalog = load_catalog()
    assert [m.name for m in catalog.methods][: len(METHODS)] == [m.name for m in METHODS]
    assert [p.name for p in catalog.problems][: len(PROBLEMS)] == [p.name for p in PROBLEMS]


def test_a_plugin_adds_to_them(tmp_path):
    catalog = load_catalog([write(tmp_path, PLUGIN)])
    assert catalog.method("plugged", Trace()).method.name == "plugged"
    assert catalog.problem("plugged-problem").dim == 3


def test_a_method_of_a_plugin_is_hashed_by_its_file(tmp_path):
    one = load_catalog([write(tmp_path, PLUGIN, "a.py")]).methods["plugged"]
    two = load_catalog([write(tmp_path, PLUGIN + "\n# more\n", "b.py")]).methods["plugged"]
    same = load_catalog([write(tmp_path, PLUGIN, "c.py")]).methods["plugged"]
    assert one.hash == same.hash != two.hash


def test_loading_a_plugin_twice_gives_the_same_objects(tmp_path):
    file = write(tmp_path, PLUGIN)
    assert load_plugin(file).METHODS[0] is load_plugin(str(file)).METHODS[0]


def test_an_edited_plugin_is_loaded_anew(tmp_path):
    before = load_plugin(write(tmp_path, "METHODS = []\nSTEP = 1\n")).STEP
    after = load_plugin(write(tmp_path, "METHODS = []\nSTEP = 2\n")).STEP
    assert (before, after) == (1, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "defines neither METHODS"),
        ("METHODS = []\n", "defines neither METHODS"),
        ("METHODS = 3\n", "explicit list"),
        ("METHODS = [3]\n", "METHODS holds a int"),
        ("PROBLEMS = ['student-t']\n", "PROBLEMS holds a str"),
        ("import no_such_module\n", "failed to import: ModuleNotFoundError"),
        ("def broken(:\n", "failed to import: SyntaxError"),
        ("raise RuntimeError('first line\\nsecond')\n", "failed to import: RuntimeError: first line$"),
        (PLUGIN.replace('"plugged"', '"lanczos"'), "'lanczos' is already registered"),
        (PLUGIN.replace('"plugged-problem"', '"student-t"'), "'student-t' is already registered"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, text, says):
    with pytest.raises(ValueError, match=says) as caught:
        load_catalog([write(tmp_path, text)])
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.py", ""])
def test_a_plugin_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="does not exist"):
        load_catalog([tmp_path / name])


def test_two_plugins_may_not_share_a_name(tmp_path):
    with pytest.raises(ValueError, match=r"'plugged.*' is already registered"):
        load_catalog([write(tmp_path, PLUGIN, "a.py"), write(tmp_path, PLUGIN + "\n", "b.py")])


def test_a_problem_and_a_method_may_share_a_name():
    def run(op, /, *, num_matvecs, generator):
        return Estimate(1.0)

    catalog = empty()
    catalog.add(problems=[Problem.of("same", np.eye(2))], methods=[Method("same", run, (Trace,))], source="here")
    assert catalog.problem("same").dim == 2
    assert catalog.method("same", Trace()).method.name == "same"


def test_one_problem_is_a_family_without_parameters():
    family = family_of(Problem.of("mine", np.eye(2)))
    assert isinstance(family, ProblemFamily)
    assert family.problem("mine").dim == 2
    with pytest.raises(ValueError, match="no parameter 'n'; accepted: none"):
        family.canonical("mine[n=3]")

"""What `import hessbench` loads, and that every name is there all the same when it is asked for."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import hessbench

SELDOM_NEEDED = ("scipy.stats", "scipy.optimize", "pandas", "matplotlib", "sklearn", "torch._dynamo")
LARGE = ("torch", "numpy", "scipy", "pandas", "matplotlib", "rich", "sklearn", "click", "jinja2")


def loaded_after(code: str) -> set[str]:
    """Modules that a fresh interpreter holds after it ran a line."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('|'.join(sys.modules))"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return set(ran.stdout.splitlines()[-1].split("|"))


def test_the_package_alone_loads_nothing_else():
    loaded = loaded_after("import hessbench")
    assert loaded.isdisjoint(LARGE)
    assert {name for name in loaded if name.startswith("hessbench.")} == set()


def test_the_version_loads_nothing_large():
    assert loaded_after("import hessbench; hessbench.__version__").isdisjoint(LARGE)


def test_looking_at_the_names_loads_nothing():
    loaded = loaded_after("import hessbench; assert 'Trace' in dir(hessbench); hasattr(hessbench, '__wrapped__')")
    assert loaded.isdisjoint(LARGE)


@pytest.mark.parametrize("name", hessbench.__all__)
def test_every_name_is_there_and_listed(name):
    assert getattr(hessbench, name) is not None
    assert name in dir(hessbench)


def test_every_name_is_the_one_of_its_module():
    from hessbench.estimand import Trace
    from hessbench.running.runner import run

    assert hessbench.Trace is Trace
    assert hessbench.run is run


def test_types_and_names_say_the_same():
    """What type checkers see imported is what is found when the program runs."""
    tree = ast.parse(Path(hessbench.__file__).read_text(encoding="utf-8"))
    [typed] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == hessbench._HOMES
    assert {*seen, "__version__"} == set(hessbench.__all__)
    assert hessbench.__all__ == sorted(hessbench.__all__)


def test_a_star_import_has_every_name():
    loaded = loaded_after("from hessbench import *; Trace, run, evaluate, Suite")
    assert "torch" in loaded


def test_modules_are_attributes_as_well_and_load_nothing_that_few_runs_need():
    code = "import hessbench; hessbench.transforms.shifted; hessbench.problems.from_model; hessbench.methods.METHODS"
    loaded = loaded_after(code)
    assert "hessbench.transforms" in loaded
    assert loaded.isdisjoint(SELDOM_NEEDED), "every process of a run would take the time to import it"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hessbench' has no attribute 'Trase'"):
        _ = hessbench.Trase
    with pytest.raises(ImportError, match="Trase"):
        from hessbench import Trase  # noqa: F401


def test_objects_of_lazy_names_pickle_in_a_fresh_process():
    text = pickle.dumps(hessbench.TopEigenvalues(k=3)).hex()
    code = f"import pickle; assert pickle.loads(bytes.fromhex('{text}')).k == 3"
    assert "hessbench.estimand" in loaded_after(code)

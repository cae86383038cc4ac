"""The first things one types: they load neither torch nor a verb, and say what the verbs say of themselves."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import hessbench.cli
from hessbench.cli import VERBS, main

LARGE = ("torch", "numpy", "scipy", "pandas", "matplotlib", "rich", "sklearn", "jinja2")


def loaded_after(*arguments: str) -> tuple[str, set[str]]:
    """Output of the command line, and the modules it had loaded when it ended."""
    code = (
        "import sys, atexit; atexit.register(lambda: print('|'.join(sys.modules)));"
        f"from hessbench.cli import main; main({list(arguments)!r}, prog_name='hessbench')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    *said, modules = ran.stdout.splitlines()
    return "\n".join(said) + ran.stderr, set(modules.split("|"))


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["frobnicate"], ["--frobnicate"], []])
def test_nothing_large_is_loaded_for(arguments):
    said, loaded = loaded_after(*arguments)
    assert said
    assert loaded.isdisjoint(LARGE)
    assert [name for name in loaded if name.startswith(("hessbench.cli.", "hessbench.reports"))] == []


def test_the_module_runs_as_the_command_does():
    ran = subprocess.run([sys.executable, "-m", "hessbench", "--help"], capture_output=True, text=True, timeout=120)
    assert ran.stdout == CliRunner().invoke(main, ["--help"], prog_name="python -m hessbench").stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_line_is_that_of_a_verb_and_fits_a_terminal(verb):
    assert importlib.import_module(f"hessbench.cli.{verb}_verb").command.name == verb
    assert len(VERBS[verb]) <= 66


def test_every_verb_is_in_the_list():
    folder = Path(hessbench.cli.__file__).parent
    assert {path.stem.removesuffix("_verb") for path in folder.glob("*_verb.py")} == set(VERBS)


def test_every_verb_has_one_line_of_help():
    lines = CliRunner().invoke(main, ["--help"]).stdout.splitlines()
    for verb, line in VERBS.items():
        assert [said for said in lines if said.split() == [verb, *line.split()]]
    assert max(map(len, lines)) <= 80

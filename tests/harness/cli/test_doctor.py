"""`hessbench doctor --problem`: how products of a problem are made, and what the rules do not know of its network."""

import pytest
from click.testing import CliRunner

from hessbench.cli import doctor_verb, main, self_check
from hessbench.cli.self_check import Family, Finding


def said_of(spec):
    result = CliRunner().invoke(main, ["doctor", "--problem", spec])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_the_engine_of_a_network_is_named_and_its_nodes_are_known():
    problem, engine, rules = said_of("mlp[per_class=1,weights=random,widths=2]")
    assert problem == "problem mlp[per_class=1,weights=random,widths=2]: dimension 160"
    assert engine.startswith(("engine  rules (", "engine  kept-graph ("))
    assert "auto of " in engine
    assert rules == "rules   every node of the network is known"


def test_a_node_without_a_rule_is_named(monkeypatch):
    monkeypatch.setattr(doctor_verb, "unknown_node", lambda network: "there is no rule for the node einsum")
    assert said_of("mlp[per_class=1,weights=random,widths=2]")[2] == "rules   there is no rule for the node einsum"


def test_a_problem_without_a_network_has_no_rules_to_speak_of():
    assert len(said_of("student-t[n=10]")) == 2


@pytest.mark.parametrize("spec", ["mlp[engine=fast]", "no-such-problem"])
def test_a_problem_that_is_none_is_refused(spec):
    result = CliRunner().invoke(main, ["doctor", "--problem", spec])
    assert result.exit_code == 2
    assert result.output.startswith("hessbench: ")


def test_a_self_check_tries_every_family_and_says_the_seed():
    result = CliRunner().invoke(main, ["doctor", "--self-check", "--seconds", "0", "--seed", "5"])
    assert result.exit_code == 0, result.output
    *lines, last = result.output.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"ok      {family.name}" for family in self_check.FAMILIES]
    assert all(" 0 broken" in line for line in lines)
    assert last == "seed 5"


def test_a_broken_promise_is_named_and_is_exit_code_1(monkeypatch):
    family = Family("sums", lambda seed: Finding("sums", 1, 0, 1, (f"sum {seed}: 3",)))
    monkeypatch.setattr(self_check, "FAMILIES", (family,))
    result = CliRunner().invoke(main, ["doctor", "--self-check", "--seconds", "0", "--seed", "5"])
    assert result.exit_code == 1
    assert result.output.splitlines() == ["BROKEN  sums: 1 tried, 0 refused, 1 broken", "        sum 5: 3", "seed 5"]


def test_a_share_of_misses_is_broken_only_where_chance_does_not_explain_it():
    family = Family("intervals", lambda seed: Finding("intervals"), misses=0.01)
    assert family.allowed(Finding("intervals", 0)) == 0
    # P(X > 5) = 5e-4 for X binomial of 100 and 1 %, P(X > 4) = 3e-3.
    assert family.allowed(Finding("intervals", 120, 20)) == 5


def test_families_take_turns_by_the_time_they_took():
    found = list(self_check.self_check(0, 0))
    assert [finding.family for finding in found] == [family.name for family in self_check.FAMILIES]


PLUGIN = """
import torch
from hessbench import Problem

PROBLEMS = [
    Problem.of("here", torch.eye(7)),
    Problem("gone", 5, lambda device, dtype: None, unavailable=lambda: "its file is missing: set OWN_FILE"),
]
"""


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(PLUGIN)
    return str(file)


def test_problems_of_a_plugin_are_looked_at_too(plugin):
    result = CliRunner().invoke(main, ["doctor", "--plugin", plugin], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "note    gone: its file is missing: set OWN_FILE" in lines
    assert [line for line in lines if line.startswith("ok      worker: a cell ran")]
    facts = lines[: lines.index("")]
    assert max(map(len, facts)) <= 80


def test_the_products_of_a_plugins_problem_are_told(plugin):
    result = CliRunner().invoke(main, ["doctor", "--plugin", plugin, "--problem", "here"])
    assert result.output.splitlines()[0] == "problem here: dimension 7"


def test_a_self_check_takes_no_plugin(plugin):
    result = CliRunner().invoke(main, ["doctor", "--plugin", plugin, "--self-check"])
    assert result.exit_code == 2
    assert "doctor takes --plugin or --self-check, not both" in result.output

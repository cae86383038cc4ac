"""`hessbench doctor --problem`: how products of a problem are made, and what the rules do not know of its network."""

import pytest
from click.testing import CliRunner

from hessbench.cli import doctor_verb, main


def said_of(spec):
    result = CliRunner().invoke(main, ["doctor", "--problem", spec])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_the_engine_of_a_network_is_named_and_its_nodes_are_known():
    problem, engine, rules = said_of("mlp[per_class=1,weights=random,widths=2]")
    assert problem == "problem mlp[per_class=1,weights=random,widths=2]: dimension 160"
    assert engine.startswith(("engine  rules (auto of 2", "engine  kept-graph (auto of 2"))
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

"""A choice is made once under the same conditions, kept in the cache, and compared with the kept graph all the same."""

import json
import os
import threading
from dataclasses import replace

import pytest
import torch

from hessbench.operators import to_dense
from hessbench.problems.curvature.engines import operator, remembered
from hessbench.problems.curvature.engines.choosing import Choice
from hessbench.problems.curvature.engines.engine import EngineUnavailable
from hessbench.problems.curvature.engines.limits import Limits
from hessbench.problems.curvature.engines.remembered import key_of, recalled, remember, remembered_choice
from hessbench.problems.curvature.engines.table import ENGINES
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.networks.losses import cross_entropy

PLENTY = 2**40


@pytest.fixture
def chosen(monkeypatch):
    """How often a choice was measured."""
    times: list[str] = []
    measured = remembered.measured_choice

    def counted(network, matrix, limits):
        times.append(matrix)
        return measured(network, matrix, limits)

    monkeypatch.setattr(remembered, "measured_choice", counted)
    monkeypatch.setattr(operator, "measured_choice", counted)
    return times


def stored(tmp_path):
    return sorted((tmp_path / "cache" / "engines").glob("*.json"))


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_the_second_build_tries_nothing_and_says_so(network, truth, matrix, chosen):
    first, second = (curvature_operator(network(), matrix) for _ in range(2))
    assert chosen == [matrix]
    assert "remembered" not in first.info.engine
    assert " (remembered: auto of " in second.info.engine
    assert first.info.engine.split(" ")[0] == second.info.engine.split(" ")[0]
    torch.testing.assert_close(to_dense(second), truth("dense", "cross-entropy", matrix), rtol=0, atol=1e-12)
    assert curvature_operator(network(), matrix).info.engine == second.info.engine


def test_a_network_of_other_weights_data_dtype_matrix_budget_or_cap_is_another(network):
    net = network()
    keys = {
        key_of(net, "hessian", Limits()),
        key_of(net, "ggn", Limits()),
        key_of(net, "hessian", Limits(num_products=41)),
        key_of(net, "hessian", Limits(num_products=1001)),
        key_of(net, "hessian", Limits(cap_bytes=10**9)),
        key_of(net, "hessian", Limits(micro_batch=2)),
        key_of(network(dtype=torch.float32), "hessian", Limits()),
        key_of(network(sizes=(4, 3)), "hessian", Limits()),
        key_of(network("convolutions"), "hessian", Limits()),
        key_of(replace(net, parameters=net.parameters * 1.1), "hessian", Limits()),
    }
    assert len(keys) == 10
    assert key_of(network(), "hessian", Limits(num_products=7)) in keys


def test_a_loss_of_other_weights_or_without_its_product_is_another(network):
    net = network()
    keys = {
        key_of(net, "hessian", Limits()),
        key_of(replace(net, loss=cross_entropy(weights=torch.tensor([1.0, 2.0, 3.0]))), "hessian", Limits()),
        key_of(replace(net, loss=cross_entropy(smoothing=0.1)), "hessian", Limits()),
        key_of(replace(net, loss=replace(net.loss, product=None)), "hessian", Limits()),
        key_of(replace(net, loss=replace(net.loss, product=None, root=None)), "hessian", Limits()),
    }
    assert len(keys) == 5


def test_a_choice_of_another_number_of_threads_is_another(network):
    net = network()
    one = key_of(net, "hessian", Limits())
    torch.set_num_threads(2)
    assert key_of(net, "hessian", Limits()) != one


def test_what_no_longer_fits_is_chosen_again(network, chosen):
    net = network()
    choice, key = remembered_choice(net, "hessian", Limits(), PLENTY)
    assert choice.needed_bytes > 0
    assert recalled(key, choice.needed_bytes).engine.name == choice.engine.name
    assert recalled(key, choice.needed_bytes - 1) is None
    again, _ = remembered_choice(net, "hessian", Limits(), 500)
    assert chosen == ["hessian", "hessian"]
    assert again.micro_batch is not None
    # Pieces for want of memory are not remembered: next time there may be more of it.
    assert recalled(key, PLENTY).micro_batch is None


def test_pieces_under_a_cap_of_the_conditions_are_remembered(network):
    limits = Limits(cap_bytes=1500)
    first, second = (curvature_operator(network(sizes=(4, 3)), "hessian", limits=limits) for _ in range(2))
    assert "micro-batches of" in first.info.engine
    assert second.info.engine.startswith(first.info.engine.split(" ")[0])
    assert second.info.engine.endswith(first.info.engine.rsplit(", ", 1)[1])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"engine": "no-such"}', json.dumps({"engine": "rules", "note": 1})])
def test_a_damaged_file_is_as_if_it_were_not_there(network, tmp_path, text, chosen):
    curvature_operator(network(), "ggn")
    (file,) = stored(tmp_path)
    file.write_text(text)
    assert "remembered" not in curvature_operator(network(), "ggn").info.engine
    assert len(chosen) == 2


def test_a_cache_that_cannot_be_written_keeps_nothing_and_hinders_nothing(network, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert "remembered" not in curvature_operator(network(), "ggn").info.engine


def test_what_is_remembered_and_wrong_gives_way_to_the_kept_graph(network, truth, monkeypatch):
    net = network()
    curvature_operator(net, "hessian")
    rules = ENGINES["rules"]

    def wrong(network, batch):
        made = rules.of("hessian", again=True)(network, batch)
        return replace(made, multiply=lambda block: 2 * made.multiply(block))

    broken = replace(rules, hessian=wrong, hessian_again=wrong)
    key = key_of(net, "hessian", Limits())
    monkeypatch.setattr(remembered, "ENGINES", {**ENGINES, "rules": broken})
    remember(key, Choice(broken), capped=False)
    op = curvature_operator(net, "hessian")
    assert op.info.engine.startswith("kept-graph (remembered: ")
    torch.testing.assert_close(to_dense(op), truth("dense", "cross-entropy", "hessian"), rtol=0, atol=1e-12)
    assert recalled(key, PLENTY).engine.name == "kept-graph"


def test_what_is_remembered_and_cannot_be_set_up_is_chosen_again(network, monkeypatch, chosen):
    net = network()

    def refuse(network, batch):
        raise EngineUnavailable("no rule")

    monkeypatch.setattr(remembered, "ENGINES", {"rules": replace(ENGINES["rules"], ggn=refuse, ggn_again=refuse)})
    remember(key_of(net, "ggn", Limits()), Choice(ENGINES["rules"]), capped=False)
    assert "remembered" not in curvature_operator(net, "ggn").info.engine
    assert chosen == ["ggn"]


def test_two_that_choose_at_the_same_time_get_the_same(network, monkeypatch):
    """The second waits for the first, however long that takes, and tries nothing."""
    entered, go = threading.Event(), threading.Event()
    measured = remembered.measured_choice
    calls: list[int] = []

    def slow(net, matrix, limits):
        calls.append(os.getpid())
        entered.set()
        assert go.wait(10)
        return measured(net, matrix, limits)

    monkeypatch.setattr(remembered, "measured_choice", slow)
    net = network()
    found: list[Choice] = []
    threads = [
        threading.Thread(target=lambda: found.append(remembered_choice(net, "ggn", Limits(), PLENTY)[0]))
        for _ in range(2)
    ]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(20)
    assert len(calls) == 1
    assert {choice.engine.name for choice in found} == {found[0].engine.name}
    assert len(found) == 2

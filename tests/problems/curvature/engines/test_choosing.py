"""The choice of an engine: its order, what it measures, what it says, and what it does where memory is short."""

import re
from dataclasses import replace

import pytest
import torch

from hessbench.operators import to_dense
from hessbench.problems.curvature.engines import choosing
from hessbench.problems.curvature.engines.choosing import Limits, MemoryUse, Trial, measured_choice
from hessbench.problems.curvature.engines.engine import Engine, EngineUnavailable, Products
from hessbench.problems.curvature.engines.table import ENGINES
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.networks.losses import Loss

SAID = re.compile(
    r"([a-z-]+) \(auto of (\d), [0-9.e-]+ s, [0-9.e+]+ MB(?:; rules: .+)?\), (?:folded|looped|vectorised) blocks"
)


@pytest.fixture
def engines(monkeypatch):
    """Replaces engines of the table by the same ones under a wrapper."""

    def put(**changes):
        monkeypatch.setattr(
            choosing, "ENGINES", {**ENGINES, **{key.replace("_", "-"): new for key, new in changes.items()}}
        )

    return put


def slowed(engine, seconds, monkeypatch):
    """Makes an engine report that a product takes that long."""
    tried = choosing._tried

    def reported(network, part, one, matrix, **limits):
        trial = tried(network, part, one, matrix, **limits)
        return replace(trial, product_s=seconds if one.name == engine else 1.0)

    monkeypatch.setattr(choosing, "_tried", reported)


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
@pytest.mark.parametrize("form", ["dense", "convolutions"])
def test_the_choice_and_what_it_cost_are_said_and_its_products_are_right(network, truth, form, matrix):
    op = curvature_operator(network(form), matrix)
    said = SAID.fullmatch(op.info.engine)
    assert said, op.info.engine
    assert said[1] in ("rules", "kept-graph")
    assert said[2] in ("1", "2")
    torch.testing.assert_close(to_dense(op), truth(form, "cross-entropy", matrix), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("rules_s", "chosen"), [(1.0, "rules"), (1.4, "rules"), (1.46, "kept-graph")])
def test_a_later_engine_must_be_clearly_faster(network, monkeypatch, rules_s, chosen):
    # 1 < 0.7 * 1.46 = 1.02 and 1 > 0.7 * 1.4 = 0.98
    slowed("rules", rules_s, monkeypatch)
    assert measured_choice(network(), "hessian", Limits()).engine.name == chosen


def test_no_other_engine_is_tried_where_the_rules_take_no_more_than_is_counted(network, monkeypatch):
    monkeypatch.setattr(choosing, "_gradient_s", lambda network, part: 1.0)
    slowed("rules", 1.9, monkeypatch)
    choice = measured_choice(network(), "hessian", Limits())
    assert (choice.engine.name, choice.note.split(",")[0]) == ("rules", "auto of 1")
    # A GGN product is counted as 4/3 of a gradient.
    assert measured_choice(network(), "ggn", Limits()).note.startswith("auto of 2")


def test_what_was_set_up_for_the_whole_batch_is_not_set_up_again(network, engines):
    sizes: list[int] = []
    make = ENGINES["kept-graph"].of("ggn")

    def watched(network, part):
        sizes.append(part.size)
        return make(network, part)

    engines(rules=Engine("rules", "", watched, watched))
    op = curvature_operator(network(sizes=(4, 3)), "ggn")
    assert op.info.engine.startswith("rules")
    # Each batch once, and two samples to compare it on.
    assert sizes == [4, 3, 2]


def test_an_engine_that_is_costly_to_set_up_is_tried_only_for_many_products(network, monkeypatch):
    slowed("linearised", 0.1, monkeypatch)
    assert measured_choice(network(), "hessian", Limits(num_products=40)).engine.name != "linearised"
    many = measured_choice(network(), "hessian", Limits(num_products=200))
    assert many.engine.name == "linearised"
    assert many.note.startswith("auto of 3")


def test_setting_up_counts_for_an_engine_that_is_costly():
    none = MemoryUse(0, 0)
    quick = Trial(ENGINES["kept-graph"], 0.0, 1.0, none, none)
    costly = Trial(ENGINES["linearised"], 100.0, 0.5, none, none)
    assert choosing._first_or_clearly_faster([quick, costly], 100) is quick
    assert choosing._first_or_clearly_faster([quick, costly], 1000) is costly


def test_an_engine_that_cannot_is_passed_over_and_the_ledger_says_why(network, engines):
    def unknown(network, batch):
        raise EngineUnavailable("node einsum has no rule")

    engines(rules=Engine("rules", "", unknown, unknown))
    choice = measured_choice(network(), "hessian", Limits())
    assert choice.engine.name == "kept-graph"
    assert choice.note.endswith("; rules: node einsum has no rule")


def test_what_torch_cannot_do_is_said_where_no_engine_is_left(network, engines):
    def broken(network, batch):
        raise RuntimeError("no derivative")

    engines(rules=Engine("rules", "", broken, broken), kept_graph=Engine("kept-graph", "", broken, broken))
    with pytest.raises(RuntimeError, match="no derivative"):
        measured_choice(network(), "ggn", Limits())


def test_a_loss_that_the_rules_cannot_take_leaves_the_kept_graph(network):
    first = replace(network(), loss=Loss("first", lambda outputs, _: outputs[:, 0].sum()))
    choice = measured_choice(first, "hessian", Limits())
    assert choice.engine.name == "kept-graph"
    assert "does not change with the outputs" in choice.note


def test_what_does_not_fit_is_streamed_in_pieces_that_fit(network, truth):
    net = network("dense", sizes=(4, 3))
    needed = measured_choice(net, "hessian", Limits())
    assert needed.micro_batch is None
    op = curvature_operator(net, "hessian", limits=Limits(cap_bytes=1500))
    assert re.search(r"micro-batches of [1-6]$", op.info.engine), op.info.engine
    torch.testing.assert_close(to_dense(op), truth("dense", "cross-entropy", "hessian"), rtol=0, atol=1e-12)


def test_a_batch_that_is_one_group_is_never_cut(network):
    net = replace(network(), group=True)
    assert measured_choice(net, "hessian", Limits(cap_bytes=1)).micro_batch is None


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_micro_batches_of_the_asked_size_are_kept_by_the_choice(network, truth, matrix):
    op = curvature_operator(network(), matrix, limits=Limits(micro_batch=3))
    assert op.info.engine.endswith("micro-batches of 3")
    torch.testing.assert_close(to_dense(op), truth("dense", "cross-entropy", matrix), rtol=0, atol=1e-12)


def test_a_long_batch_is_tried_in_part_and_its_memory_by_proportion(network, monkeypatch):
    monkeypatch.setattr(choosing, "_QUICK_S", 0.0)
    net = network("dense")
    (batch,) = net.batches
    many = replace(net, batches=(replace(batch, inputs=batch.inputs.repeat(64, 1), targets=batch.targets.repeat(64)),))
    sizes: list[int] = []
    make = ENGINES["kept-graph"].of("hessian")

    def watched(network, part):
        sizes.append(part.size)
        return make(network, part)

    part, seconds = choosing._part(many, None)
    assert seconds > 0
    engine = Engine("kept-graph", "", watched, watched)
    assert choosing._tried(many, part, engine, "hessian", streams=False).together.fixed == 0
    assert sizes == [56]
    # Where memory is short, half of the part shows what does not depend on the samples.
    trial = choosing._tried(many, part, engine, "hessian", streams=False, cap=1.0)
    assert sizes == [56, 56, 28]
    whole = choosing._tried(many, many.batches[0], ENGINES["kept-graph"], "hessian", streams=False)
    assert trial.together.of(448) == pytest.approx(whole.together.of(448), rel=0.05)


@pytest.mark.parametrize(("name", "value"), [("num_products", 0), ("micro_batch", 0), ("cap_bytes", -1)])
def test_limits_below_one_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {value}"):
        Limits(**{name: value})


def test_products_say_what_the_ledger_shall_know(network, engines):
    def noted(network, batch):
        made = ENGINES["kept-graph"].of("ggn")(network, batch)
        return Products(made.multiply, note="something to know")

    engines(rules=Engine("rules", "", noted, noted))
    assert curvature_operator(network(), "ggn").info.engine.endswith("something to know")

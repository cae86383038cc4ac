"""A network, a choice of matrix, an engine and references as a problem: what its name, traits and references are."""

from dataclasses import replace

import pytest
import torch

from hessbench import Diagonal, TopEigenvalues, Trace
from hessbench.demand import Demand, demanding
from hessbench.operators import to_dense
from hessbench.problem import FACTOR, NETWORK, PARTS, PSD, ROWS, SUBSET
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.network_problem import network_problem
from hessbench.problems.networks.losses import CROSS_ENTROPY
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.dense import DENSE
from hessbench.specs import parse_one

CPU = torch.device("cpu")
SHAPES = {"weight": (3, 2), "bias": (3,)}


def network():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    parameters = torch.randn(9, generator=generator, dtype=torch.float64)

    def forward(parameters, inputs):
        return torch.tanh(inputs @ parameters[:6].view(3, 2).T + parameters[6:])

    return Network(forward, parameters, (Batch(inputs, torch.tensor([0, 1, 2, 0, 1])),))


def problem_of(choice, name="mine", **options):
    known = {"loss": CROSS_ENTROPY, "fingerprint": lambda: "content", "shapes": SHAPES}
    return network_problem(name, choice, network, dim=choice.dim(9, 5, 3), **{**known, **options})


@pytest.mark.parametrize("operator", DENSE)
def test_the_operator_and_the_references_are_those_of_the_matrix(operator):
    problem = problem_of(MatrixChoice(operator))
    truth = DENSE[operator](network())
    dense = to_dense(problem.build(CPU, torch.float64)).numpy()
    assert dense == pytest.approx(truth, rel=1e-10, abs=1e-13)
    assert problem.references[Trace](Trace()).arrays["trace"][0] == pytest.approx(truth.trace(), rel=1e-12)
    assert bool(problem.shapes) == (operator not in ("ntk", "gram"))


def test_weight_decay_reaches_the_operator_and_the_references():
    plain, decayed = (problem_of(MatrixChoice("ggn", shift)) for shift in (0.0, 0.5))
    moved = (to_dense(one.build(CPU, torch.float64)).diagonal() for one in (decayed, plain))
    assert (next(moved) - next(moved)).tolist() == pytest.approx([0.5] * 9)
    found = [one.references[Diagonal](Diagonal()).arrays["diagonal"] for one in (decayed, plain)]
    assert (found[0] - found[1]).tolist() == pytest.approx([0.5] * 9)


def test_a_factor_that_the_samples_do_not_have_is_not_declared():
    assert problem_of(MatrixChoice("ggn")).traits == (NETWORK, PSD, FACTOR, ROWS, SUBSET)
    assert problem_of(MatrixChoice("ggn"), factored=False).traits == (NETWORK, PSD)
    assert problem_of(MatrixChoice("hessian")).traits == (NETWORK, PARTS, SUBSET)
    assert problem_of(MatrixChoice("hessian"), factored=False).traits == (NETWORK,)


def test_an_engine_is_added_to_the_spec_of_a_family_and_to_no_name_of_ones_own():
    choice = MatrixChoice("hessian", engine="kept-graph")
    assert problem_of(choice, parse_one("mlp[widths=8]")).name == "mlp[engine=kept-graph,widths=8]"
    assert problem_of(replace(choice, engine="auto"), parse_one("mlp[widths=8]")).name == "mlp[widths=8]"
    assert problem_of(choice).name == "mine"


def test_a_problem_under_another_engine_has_the_same_references():
    spec = parse_one("mlp[widths=8]")
    found = [
        problem_of(MatrixChoice("hessian", engine=engine), spec).references[TopEigenvalues](TopEigenvalues(3))
        for engine in ("auto", "kept-graph")
    ]
    assert found[0].arrays["eigenvalues"].tolist() == found[1].arrays["eigenvalues"].tolist()


def test_references_of_its_own_take_the_place_of_those_it_would_have():
    assert problem_of(MatrixChoice("hessian"), references={}).references == {}


def test_what_it_is_made_of_is_hashed_once():
    asked = []
    problem = problem_of(MatrixChoice("hessian"), fingerprint=lambda: str(asked.append(1)))
    assert problem.hash == replace(problem, modules=()).hash
    assert asked == [1]


def test_micro_batches_are_named_and_multiply_the_same_matrix():
    spec = parse_one("mine[steps=3]")
    whole, cut = (problem_of(MatrixChoice("ggn", micro_batch=size), spec) for size in (0, 2))
    assert (whole.name, cut.name) == ("mine[steps=3]", "mine[micro_batch=2,steps=3]")
    built = cut.build(CPU, torch.float64)
    assert built.info.engine.endswith("micro-batches of 2")
    torch.testing.assert_close(to_dense(built), to_dense(whole.build(CPU, torch.float64)))
    assert MatrixChoice("ggn", micro_batch=2).extras == []


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (MatrixChoice("hessian", micro_batch=-1), "micro_batch"),
        (MatrixChoice("ntk", micro_batch=2), "operator=ntk takes batches"),
        (MatrixChoice("hessian", group=True, micro_batch=2), "one group"),
    ],
)
def test_micro_batches_that_cannot_be_are_refused(choice, said):
    with pytest.raises(ValueError, match=said):
        choice.check("mine")


def test_what_a_run_asks_reaches_the_choice_of_the_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    problem = problem_of(MatrixChoice("hessian"))
    with demanding(Demand(cap_bytes=1600)):
        assert "micro-batches of" in problem.build(CPU, torch.float64).info.engine
    assert "micro-batches of" not in problem.build(CPU, torch.float64).info.engine


def test_what_is_loaded_is_made_once_and_built_from():
    made = []

    def counted():
        made.append(network())
        return made[-1]

    problem = network_problem("mine", MatrixChoice("ggn"), counted, dim=9, loss=CROSS_ENTROPY, fingerprint=lambda: "")
    dense = to_dense(problem.build(CPU, torch.float64))
    problem.build_rows(CPU, torch.float64)
    assert len(made) == 2
    renamed = replace(problem, name="another")
    renamed.load()
    renamed.load()
    for build in (problem.build, problem.build_rows):
        torch.testing.assert_close(to_dense(build(CPU, torch.float64)), dense)
    assert problem.network() is made[-1]
    assert len(made) == 3

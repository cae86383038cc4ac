"""Curvature of single samples: against dense matrices of each, and what is charged."""

from dataclasses import replace

import pytest
import torch
from small_networks import LOSSES, SPLITS, oracle_of, small_network

from hessbench.operators import ProductKind
from hessbench.problems.curvature.example_curvature import ExampleCurvature
from hessbench.spending import Spending


def one_sample(name: str, loss: str, place: int):
    whole = oracle_of(name, loss)
    return replace(
        whole, inputs=whole.inputs[place : place + 1], targets=whole.targets[place : place + 1], scale=1.0, drawn=None
    )


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
@pytest.mark.parametrize("sizes", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize(
    ("name", "loss"),
    [("dense", "cross-entropy mean"), ("dense", "squared sum"), ("dense", "log-cosh mean"),
     ("convolutions", "cross-entropy mean"), ("attention", "cross-entropy mean"), ("sequence", "of-positions mean")],
)  # fmt: skip
def test_each_column_is_multiplied_with_the_matrix_of_its_sample(name, loss, sizes, matrix):
    assert loss in LOSSES
    examples = ExampleCurvature(small_network(name, loss, sizes), matrix)
    for numbers, op in examples.parts(torch.tensor([5, 0, 3]), most=2):
        block = torch.randn(op.dim, numbers.numel(), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        expected = [one_sample(name, loss, i).matrix(matrix) @ x for i, x in zip(numbers, block.T, strict=True)]
        torch.testing.assert_close(op.matmat(block), torch.stack(expected, dim=1), rtol=1e-9, atol=1e-11)


def test_products_are_charged_by_the_sample():
    spending = Spending()
    examples = ExampleCurvature(small_network(), "hessian", spending)
    ((numbers, op),) = examples.parts()
    op.matmat(torch.ones(op.dim, 7, dtype=torch.float64))
    assert numbers.tolist() == list(range(7))
    assert spending.counts == {ProductKind.HESSIAN: 7}
    assert spending.gradient_equivalents == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda net: ExampleCurvature(replace(net, group=True)), "one group"),
        (lambda net: ExampleCurvature(net, "residual"), "hessian or ggn"),
        (lambda net: list(ExampleCurvature(net).parts(torch.tensor([7]))), "from 0 to 6"),
        (lambda net: list(ExampleCurvature(net).parts(torch.tensor([1, 1]))), "each once"),
        (lambda net: list(ExampleCurvature(net).parts(torch.tensor([], dtype=torch.int64))), "at least one"),
        (lambda net: list(ExampleCurvature(net).parts(most=0)), "most must be at least 1"),
        (
            lambda net: next(ExampleCurvature(net).parts())[1].matmat(torch.ones(36, 3).double()),
            "7 samples",
        ),
    ],
)
def test_what_is_not_accepted_is_said(call, said):
    with pytest.raises(ValueError, match=said):
        call(small_network())

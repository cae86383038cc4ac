"""A trial finds what is wrong: another matrix, a hidden derivative; and its own truth is true."""

from dataclasses import replace
from math import gcd

import pytest
import torch
from torch import nn

from hessbench.problems.held_out import model_trials
from hessbench.problems.held_out.architectures import held_out_models
from hessbench.problems.held_out.losses import HELD_OUT_LOSSES, losses_of
from hessbench.problems.held_out.model import Formula, HeldOutModel, values
from hessbench.problems.held_out.model_trials import STRIDE, drawn_case, model_trial

MODELS = {model.name: model for model in held_out_models()}
LOSSES = {loss.name: loss for loss in HELD_OUT_LOSSES}
TANH = MODELS["mlp-tanh"]


@pytest.mark.parametrize(
    "operator",
    ["hessian", "ggn", "residual", "gradient-second-moment", "gradient-covariance", "monte-carlo-fisher", "gram"],
)
def test_a_matrix_of_another_scale_is_wrong(operator):
    loss = LOSSES["CrossEntropyLoss-smoothed"]
    other = replace(loss, objective=lambda C: lambda outputs, targets: 1.001 * loss.objective(C)(outputs, targets))
    assert model_trial(TANH, loss, operator).outcome == "right"
    # The second moments are quadratic in the slopes, the drawn ones not: their draws are the problem's own.
    assert model_trial(TANH, other, operator).outcome == ("right" if operator == "monte-carlo-fisher" else "wrong")


def test_products_that_are_not_numbers_are_wrong(monkeypatch):
    monkeypatch.setattr(model_trials, "to_dense", lambda op: torch.full((op.dim, op.dim), torch.nan, dtype=op.dtype))
    assert model_trial(TANH, LOSSES["squared"], "hessian").outcome == "wrong"


def test_another_number_of_samples_in_the_mean_is_wrong():
    for operator in ("gradient-second-moment", "monte-carlo-fisher"):
        assert model_trial(TANH, replace(LOSSES["squared"], mean=False), operator).outcome == "wrong"


class Through(torch.autograd.Function):
    """A step whose gradient is passed through."""

    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, slope):
        return slope


def test_a_refusal_of_what_torch_can_differentiate_is_wrong():
    hidden = HeldOutModel(
        "hidden", lambda: Formula(lambda net, x: net.last(Through.apply(net.first(x))), first=nn.Linear(4, 5),
                                  last=nn.Linear(5, 3)), values(4), 3,
    )  # fmt: skip
    trial = model_trial(hidden, LOSSES["squared"], "hessian")
    assert (trial.outcome, trial.detail.startswith("refused: ")) == ("wrong", True)


def test_a_refusal_is_right_where_torch_has_no_derivative_or_the_loss_no_root():
    assert model_trial(MODELS["mlp-hardsigmoid"], LOSSES["squared"], "hessian").outcome == "refused"
    assert model_trial(TANH, LOSSES["focal"], "gram").outcome == "refused"


def test_the_truth_is_the_difference_of_gradients():
    """Of what lies next to the point; so not where a network bends there."""
    step = 1e-5
    for name in ("lstm", "encoder", "tied", "orthogonal-cayley", "shared", "instance-norm", "formula-complex"):
        plain = drawn_case(MODELS[name], LOSSES["focal"], 1).plain
        v = torch.randn(plain.point.numel(), generator=torch.Generator().manual_seed(0), dtype=torch.float64)

        def slope(at, plain=plain):
            tracked = at.clone().requires_grad_()
            return torch.autograd.grad(plain.objective(plain.outputs_at(tracked)), tracked)[0]

        differences = (slope(plain.point + step * v) - slope(plain.point - step * v)) / (2 * step)
        product = plain.matrix("hessian") @ v
        assert float((differences - product).norm()) < 1e-6 * float(product.norm()), name
        parts = plain.matrix("ggn") + plain.matrix("residual")
        assert torch.allclose(parts, plain.matrix("hessian"), atol=1e-12), name


def test_consecutive_seeds_meet_every_architecture():
    assert gcd(STRIDE, len(MODELS)) == 1


def test_every_loss_has_a_curvature_by_its_own_definition():
    for loss in losses_of(3):
        trial = model_trial(TANH, loss, "hessian", "kept-graph", references=False)
        assert trial.outcome == ("refused" if loss.refused else "right"), trial

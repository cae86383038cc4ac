"""Intervals of the trace by parts, on architectures that no estimator was made for: they miss no more than they say."""

import pytest
import torch
from scipy import stats

from hessbench.methods.rows.split_trace import split_trace
from hessbench.operators import to_dense
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.held_out.architectures import held_out_models
from hessbench.problems.networks.flat import module_forward
from hessbench.problems.networks.network import Batch, Network
from hessbench.seeding import make_generator

SEEDS, SAMPLES = 300, 24
ODD = (
    "mlp-gelu", "tied", "shared", "frozen-layer", "cosine-classifier", "experts", "two-outputs", "fitted-100",
    "layer-norm", "rms-norm", "attention-by-hand",
)  # fmt: skip
MODELS = {model.name: model for model in held_out_models()}


def hessian_of(name, *, loud=0):
    """The Hessian on some samples; the first `loud` of them at thirty times their size, where inputs are numbers."""
    model = MODELS[name]
    generator = make_generator(3)
    module = model.make(generator)
    inputs = model.inputs(SAMPLES, generator)
    if loud and inputs.is_floating_point():
        inputs[:loud] *= 30
    forward, parameters = module_forward(module)
    labels = torch.randint(model.outputs, (SAMPLES,), generator=generator)
    return MatrixChoice("hessian").of(Network(forward, parameters, (Batch(inputs, labels),)), by_rows=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("loud", [0, 2])
def test_intervals_of_the_trace_hold_on_odd_architectures(name, loud):
    op = hessian_of(name, loud=loud)
    diagonal = to_dense(op).diagonal()
    truth, rounding = float(diagonal.sum()), 1e-9 * float(diagonal.abs().sum())
    misses = said = 0
    for seed in range(SEEDS):
        *_, found = split_trace(op, num_matvecs=60, generator=make_generator(seed))
        interval = found.resolve().diagnostics
        if "low" in interval:  # both parts have a variance
            said += interval["high"] > interval["low"]
            misses += not interval["low"] - rounding <= truth <= interval["high"] + rounding
    assert said > SEEDS / 2
    assert misses <= stats.binom.isf(1e-3 / (2 * len(ODD)), SEEDS, 0.01)

"""What the package promises, on cases that are in no registry: a sample of its own for every version.

`--seed` gives another sample. A case that breaks a promise is named, from which it can be made again.
"""

import pytest
import torch

from hessbench.cli.self_check import CERTIFIED, FAMILIES, FLAGS, INTERVALS, MODELS, default_seed, summed
from hessbench.problems.held_out.architectures import held_out_models
from hessbench.problems.held_out.losses import HELD_OUT_LOSSES
from hessbench.problems.held_out.model_trials import model_trial

TURNS = {MODELS: len(held_out_models()), CERTIFIED: 60, FLAGS: 100, INTERVALS: 100}
SQUARED = next(loss for loss in HELD_OUT_LOSSES if loss.name == "squared")
LARGE = 100
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")


@pytest.fixture
def seed(request):
    asked = request.config.getoption("--seed")
    return default_seed() if asked is None else asked


@pytest.mark.slow
def test_every_architecture_has_the_hessian_that_torch_gives_it():
    found = {}
    for model in held_out_models():
        module, inputs = model.draw(0)
        assert module(inputs).shape == (model.samples, model.outputs), model.name
        if sum(value.numel() for value in module.parameters()) <= LARGE:
            found[model.name] = model_trial(model, SQUARED, "hessian", "kept-graph", references=False)
    assert [trial for trial in found.values() if trial.outcome == "wrong"] == []
    refused = {name for name, trial in found.items() if trial.outcome == "refused"}
    assert refused <= {model.name for model in held_out_models() if model.refused}
    assert len(found) >= 150


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_promise_is_broken_on_cases_of_no_registry(family, seed):
    (found,) = (
        total
        for each, total in summed(family.turn(seed + turn) for turn in range(TURNS[family.name])).items()
        if each is family
    )
    assert found.broken <= family.allowed(found), "\n".join(found.details)
    # Refusals alone would keep any promise.
    assert found.tried > 2 * found.refused


def test_one_seed_is_one_network():
    for model in held_out_models()[:60:20]:
        (one, x), (again, y) = model.draw(3), model.draw(3)
        other, _ = model.draw(4)
        assert torch.equal(x, y)
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))

"""Networks that are sure of their samples: accepted on every slice, and measured as far as each dtype sees."""

import pytest
import torch
from torch import nn

from hessbench.estimand import TopEigenvalues
from hessbench.operators import check_operator, to_dense
from hessbench.problems import from_model
from hessbench.problems.curvature.matrices import OPERATORS
from hessbench.problems.data.digits import bundled_digits
from hessbench.seeding import make_generator

CPU = torch.device("cpu")
LOSSES = (1e-2, 1e-5, 1e-8)


def own(outputs, targets):
    """The cross-entropy of torch as a function of one's own, whose formula loses digits where p is near 1."""
    return nn.functional.nll_loss(outputs.log_softmax(dim=1), targets)


@pytest.fixture(scope="module")
def trained():
    """Networks of a loss each, and their data: one that separates the digits, its last layer scaled."""
    images, numbers = bundled_digits("train")
    inputs = torch.as_tensor(images[:120, ::2]).flatten(1) / 16
    labels = torch.as_tensor(numbers[:120]).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(32, 8), nn.Tanh(), nn.Linear(8, 10)).double()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(300):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(inputs.double()), labels).backward()
        optimiser.step()
    found = {}
    for wanted in LOSSES:
        with torch.no_grad():
            while nn.functional.cross_entropy(model(inputs.double()), labels) > wanted:
                model[2].weight *= 1.05
                model[2].bias *= 1.05
        found[wanted] = nn.Sequential(nn.Linear(32, 8), nn.Tanh(), nn.Linear(8, 10)).eval()
        found[wanted].load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    return found, inputs, labels


@pytest.mark.parametrize("loss", ["cross-entropy", own], ids=["cross-entropy", "own"])
def test_a_network_that_fits_its_data_is_accepted_on_every_slice_and_by_a_run(trained, loss):
    models, inputs, labels = trained
    without = ("monte-carlo-fisher", "gram") if loss is own else ()
    generator = torch.Generator().manual_seed(1)
    for model in models.values():
        for operator in OPERATORS:
            if operator in without:
                continue
            for _ in range(2):
                places = torch.randperm(120, generator=generator)[:40]
                from_model(model, loss, (inputs[places], labels[places]), operator=operator)
            problem = from_model(model, loss, (inputs, labels), operator=operator)
            for dtype in (torch.float32, torch.float64):
                check_operator(problem.build(CPU, dtype), make_generator(0))


# Minutes in all: dense matrices of every network, for two losses in two dtypes.
OTHERS = [
    pytest.param(operator, marks=pytest.mark.slow)
    for operator in ("hessian", "residual", "gradient-second-moment", "gradient-covariance")
]


@pytest.mark.parametrize("operator", ["ggn", *OTHERS])
def test_the_bound_holds_in_both_dtypes_and_a_note_says_what_float32_cannot_see(trained, operator):
    models, inputs, labels = trained
    inputs, labels = inputs[:40], labels[:40]
    for wanted, model in models.items():
        exact = from_model(model, "cross-entropy", (inputs, labels), operator=operator)
        truth = to_dense(exact.build(CPU, torch.float64))
        for loss in ("cross-entropy", own):
            problem = from_model(model, loss, (inputs, labels), operator=operator)
            reference = problem.references[TopEigenvalues](TopEigenvalues(1))
            for dtype in (torch.float32, torch.float64):
                A = to_dense(problem.build(CPU, dtype)).double()
                off = float(torch.linalg.matrix_norm(A - truth, 2))
                assert off <= reference.bound_in(str(dtype)[6:]), (wanted, loss, dtype)
            sees = reference.bound_in("float32") < 1e-3 * reference.norm
            assert ("float32 cannot see" in reference.note) != sees
            assert sees == (loss != own or wanted > 1e-4), (wanted, loss)


def test_samples_that_are_alike_leave_a_covariance_that_is_zero():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).eval()
    inputs = torch.randn(1, 4).expand(6, 4)
    for repeated in (inputs, torch.zeros(6, 4), torch.cat([inputs[:2], torch.randn(4, 4)])):
        labels = torch.tensor([1, 1, 1, 1, 1, 1])
        problem = from_model(model, "cross-entropy", (repeated, labels), operator="gradient-covariance")
        for dtype in (torch.float32, torch.float64):
            check_operator(problem.build(CPU, dtype), make_generator(0))

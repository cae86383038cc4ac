"""Problems of a user's own module, against the Hessian torch gives of the objective as the user would write it."""

import copy
import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset

from hessbench.estimand import TopEigenvalues, Trace
from hessbench.operators import to_dense
from hessbench.problem import FACTOR, NETWORK, PSD
from hessbench.problems import from_model

CPU = torch.device("cpu")
SAMPLES, CLASSES = 7, 3


class Tied(nn.Module):
    """Tokens (m, t) in, scores of the next one out; one weight is used twice."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 2)
        self.decoder = nn.Linear(2, CLASSES)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens):
        return self.decoder(torch.tanh(self.embedding(tokens)).mean(dim=1))


class Forgetful(torch.autograd.Function):
    """A cube whose gradient cannot be differentiated again."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        return 3 * ctx.saved_tensors[0] ** 2 * slope


class Detached(torch.autograd.Function):
    """A cube whose gradient forgets that it depends on the input."""

    @staticmethod
    def forward(ctx, x):
        ctx.square = x.detach() ** 2
        return x**3

    @staticmethod
    def backward(ctx, slope):
        return 3 * ctx.square * slope


class Cube(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function.apply(x)


def small(*middle):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), *(middle or (nn.Tanh(),)), nn.Linear(3, CLASSES)).eval()


def convolutional():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 2, 2, padding=1), nn.BatchNorm2d(2), nn.Softplus(),
                          nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, CLASSES))  # fmt: skip
    for _ in range(3):
        model(1 + torch.randn(16, 4))  # running statistics that are not 0 and 1
    return model.eval()


def tied():
    torch.manual_seed(2)
    return Tied().eval()


def data(kind="labels"):
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(SAMPLES, 4, generator=generator)
    labels = torch.randint(0, CLASSES, (SAMPLES,), generator=generator)
    values = torch.rand(SAMPLES, CLASSES, generator=generator)
    tokens = torch.randint(0, CLASSES, (SAMPLES, 3), generator=generator)
    return {
        "labels": (inputs, labels),
        "values": (inputs, values),
        "shares": (inputs, values / values.sum(dim=1, keepdim=True)),
        "tokens": (tokens, labels),
    }[kind]


def torch_hessian(model, loss, pair, names):
    """Hessian in float64 of the user's objective over all samples in one batch."""
    model, loss = copy.deepcopy(model).double(), copy.deepcopy(loss).double()
    inputs, targets = (part.double() if part.is_floating_point() else part for part in pair)
    values = {name: value.detach() for name, value in model.named_parameters() if name in names}
    sizes = [value.numel() for value in values.values()]

    def objective(flat):
        pieces = {
            name: part.view_as(value)
            for (name, value), part in zip(values.items(), flat.split(sizes), strict=True)
        }  # fmt: skip
        return loss(functional_call(model, pieces, (inputs,)), targets)

    flat = torch.cat([value.flatten() for value in values.values()])
    return torch.autograd.functional.hessian(objective, flat)


def dense(problem, dtype=torch.float64):
    return to_dense(problem.build(CPU, dtype))


def all_names(model):
    return [name for name, _ in model.named_parameters()]


MODELS = {
    "dense": (small, "labels"),
    "convolutions and batch norm": (convolutional, "labels"),
    "tied": (tied, "tokens"),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_hessian_of_a_model_is_that_of_torch(model):
    make, kind = MODELS[model]
    module, pair = make(), data(kind)
    problem = from_model(module, "cross-entropy", pair)
    truth = torch_hessian(module, nn.CrossEntropyLoss(), pair, all_names(module))
    assert problem.dim == sum(p.numel() for p in module.parameters()) == truth.shape[0]
    torch.testing.assert_close(dense(problem), truth)
    torch.testing.assert_close(dense(problem, torch.float32), truth.float(), rtol=1e-4, atol=1e-5)
    assert NETWORK in problem.traits
    assert PSD not in problem.traits


LOSSES = {
    "cross-entropy mean": (nn.CrossEntropyLoss(), "labels"),
    "cross-entropy sum": (nn.CrossEntropyLoss(reduction="sum"), "labels"),
    "label smoothing": (nn.CrossEntropyLoss(label_smoothing=0.25), "labels"),
    "class weights": (nn.CrossEntropyLoss(torch.tensor([0.5, 2.0, 1.0]), label_smoothing=0.1), "labels"),
    "probabilities": (nn.CrossEntropyLoss(), "shares"),
    "MSE, over N and C": (nn.MSELoss(), "values"),
    "MSE sum": (nn.MSELoss(reduction="sum"), "values"),
    "without a closed form": (nn.SmoothL1Loss(beta=0.3), "values"),
}


@pytest.mark.parametrize("split", [(7,), (3, 3, 1)])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_torch_keep_their_meaning_over_ragged_batches(loss, split):
    module, (loss, kind) = small(), LOSSES[loss]
    inputs, targets = data(kind)
    problem = from_model(module, loss, list(zip(inputs.split(split), targets.split(split), strict=True)))
    torch.testing.assert_close(dense(problem), torch_hessian(module, loss, (inputs, targets), all_names(module)))


@pytest.mark.parametrize("loss", [case for case in LOSSES if case != "without a closed form"])
def test_the_ggn_of_a_linear_model_is_its_hessian_and_has_a_factor(loss):
    torch.manual_seed(0)
    module, (loss, kind) = nn.Linear(4, CLASSES), LOSSES[loss]
    problem = from_model(module, loss, data(kind), operator="ggn")
    torch.testing.assert_close(dense(problem), torch_hessian(module, loss, data(kind), all_names(module)))
    assert {PSD, FACTOR} <= set(problem.traits)


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_weight_decay_is_added_to_the_diagonal_and_to_the_hash(operator):
    plain, decayed = (
        from_model(small(), "cross-entropy", data(), operator=operator, name="it", weight_decay=decay)
        for decay in (0.0, 0.5)
    )
    torch.testing.assert_close(dense(decayed), dense(plain) + 0.5 * torch.eye(plain.dim, dtype=torch.float64))
    assert decayed.hash != plain.hash
    assert FACTOR not in decayed.traits
    moved = decayed.references[Trace](Trace()).arrays["trace"][0] - plain.references[Trace](Trace()).arrays["trace"][0]
    assert moved == pytest.approx(0.5 * plain.dim, rel=1e-12)


def test_draws_are_those_of_their_number_and_seed_in_products_references_and_hash():
    made = [
        from_model(
            small(), "squared", data(), operator="monte-carlo-fisher", name="it", mc_samples=mc_samples, seed=seed
        )
        for mc_samples, seed in ((1, 0), (3, 0), (3, 1))
    ]
    assert len({problem.hash for problem in made}) == 3
    for problem in made:
        trace = problem.references[Trace](Trace()).arrays["trace"][0]
        assert trace == pytest.approx(float(dense(problem).trace()), rel=1e-12)
        assert {PSD, FACTOR} <= set(problem.traits)


def test_the_references_are_those_of_the_matrix():
    problem = from_model(small(), "cross-entropy", data())
    eigenvalues = torch.linalg.eigvalsh(dense(problem))
    trace = problem.references[Trace](Trace()).arrays["trace"][0]
    assert trace == pytest.approx(float(eigenvalues.sum()), rel=1e-9)
    top = problem.references[TopEigenvalues](TopEigenvalues(1)).arrays["eigenvalues"][0]
    assert abs(top) == pytest.approx(float(eigenvalues.abs().max()), rel=1e-9)


LAST = ["2.weight", "2.bias"]
SUBSETS = {
    "names": (lambda module: ["2.bias", "0.weight"], ["0.weight", "2.bias"]),
    "one name": (lambda module: "0.bias", ["0.bias"]),
    "a module's name": (lambda module: "2", LAST),
    "parameters": (lambda module: [module[2].weight, module[0].bias], ["0.bias", "2.weight"]),
    "a module's parameters": (lambda module: module[2].parameters(), LAST),
    "a function": (lambda module: lambda name: name.endswith("bias"), ["0.bias", "2.bias"]),
}


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_choice_of_parameters_is_differentiated_alone(subset):
    module, (choose, names) = small(), SUBSETS[subset]
    problem = from_model(module, "cross-entropy", data(), params=choose(module))
    assert list(problem.shapes) == names
    torch.testing.assert_close(dense(problem), torch_hessian(module, nn.CrossEntropyLoss(), data(), names))


def test_frozen_parameters_stay_out():
    module = small()
    module[0].requires_grad_(requires_grad=False)
    problem = from_model(module, "cross-entropy", data())
    assert list(problem.shapes) == LAST
    torch.testing.assert_close(dense(problem), torch_hessian(module, nn.CrossEntropyLoss(), data(), LAST))
    with pytest.raises(ValueError, match=r"0\.weight is frozen: call requires_grad_"):
        from_model(module, "cross-entropy", data(), params="0.weight")


@pytest.mark.parametrize(
    ("block", "places"),
    [("2", range(15, 27)), ("0.bias+2.bias", (*range(12, 15), *range(24, 27))), ("3:26:4", range(3, 26, 4))],
)
def test_a_block_is_the_sub_matrix(block, places):
    whole = dense(from_model(small(), "cross-entropy", data()))
    part = dense(from_model(small(), "cross-entropy", data(), block=block))
    torch.testing.assert_close(part, whole[list(places)][:, list(places)])


def test_vectors_come_back_in_the_shape_of_the_parameters():
    module = small()
    problem = from_model(module, "cross-entropy", data())
    flat = torch.cat([value.detach().flatten() for value in module.parameters()])
    pieces = problem.split(flat)
    assert list(pieces) == all_names(module)
    assert all(torch.equal(pieces[name], value) for name, value in module.named_parameters())
    assert problem.split(torch.ones(problem.dim, 2))["0.weight"].shape == (3, 4, 2)


def test_a_loader_in_order_is_read_in_its_batches():
    loader = DataLoader(TensorDataset(*data()), batch_size=3)
    problem = from_model(small(), "cross-entropy", loader)
    torch.testing.assert_close(dense(problem), dense(from_model(small(), "cross-entropy", data())))


def test_what_happens_to_model_and_data_later_changes_nothing():
    module, (inputs, labels) = convolutional(), data()
    problem = from_model(module, "cross-entropy", (inputs, labels))
    before = dense(problem)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers(), inputs, labels):
            tensor.zero_()
    module.train()
    assert torch.equal(dense(problem), before)
    assert problem.hash == from_model(convolutional(), "cross-entropy", data()).hash


def test_model_mode_gradients_and_random_numbers_are_left_as_they_were():
    module = nn.Sequential(convolutional(), nn.Dropout(0.5)).eval()
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    module[0][3].train()  # the mode of each module by itself, where it does no harm
    state = copy.deepcopy(module.state_dict())
    modes = [part.training for part in module.modules()]
    drawn = torch.random.get_rng_state()
    dense(from_model(module, "cross-entropy", data()))
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert [part.training for part in module.modules()] == modes
    assert all(bool((parameter.grad == 1).all()) for parameter in module.parameters())
    assert torch.equal(torch.random.get_rng_state(), drawn)


@pytest.mark.parametrize("change", ["weights", "buffers", "data", "loss", "operator", "block"])
def test_the_hash_follows_what_is_measured(change):
    def problem(change=None):
        module, (inputs, labels) = convolutional(), data()
        with torch.no_grad():
            module[1].bias[0] += 1e-3 * (change == "weights")
            module[2].running_mean[0] += 1e-3 * (change == "buffers")
            inputs[0, 0] += 1e-3 * (change == "data")
        loss = nn.CrossEntropyLoss(label_smoothing=0.1 * (change == "loss"))
        operator = "ggn" if change == "operator" else "hessian"
        block = "6" if change == "block" else "all"
        return from_model(module, loss, (inputs, labels), operator=operator, block=block, name="mine")

    assert problem(change).hash != problem().hash == problem().hash


def refused(model=small, loss="cross-entropy", pair=None, **options):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - callers compare the text
        from_model(model() if callable(model) and not isinstance(model, nn.Module) else model, loss,
                   data() if pair is None else pair, **options)  # fmt: skip
    said = str(refusal.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"shuffle": True},
            "by a RandomSampler, which is no fixed order: make it with shuffle=False",
        ),
        ({"shuffle": True}, "or pass list(loader) to fix one order"),
        ({"sampler": [3, 1, 2]}, "takes its samples by a list"),
        ({"drop_last": True}, "drop_last leaves out 1 of 7 samples"),
    ],
)
def test_a_loader_without_a_fixed_order_is_refused_with_the_remedy(options, says):
    assert says in refused(pair=DataLoader(TensorDataset(*data()), batch_size=3, **options))


INPUTS, LABELS = data()
MODELS_REFUSED = {
    "dropout": (lambda: small(nn.Dropout(0.5)).train(), "1 (Dropout) draws at random in training mode: call model"),
    "batch norm": (lambda: small(nn.BatchNorm1d(3)).train(), "1 (BatchNorm1d) mixes the samples of a batch in train"),
    "no statistics": (lambda: small(nn.BatchNorm1d(3, track_running_stats=False)), "make it with track_running_stats"),
    "once differentiable": (lambda: small(Cube(Forgetful)), "twice: Forgetful (a custom autograd.Function) hides"),
    "detached": (lambda: small(Cube(Detached)), "the second derivative of Detached (a custom autograd"),
    "parameters not finite": (lambda: small(nn.Linear(3, 3)).apply(
        lambda part: isinstance(part, nn.Linear) and nn.init.constant_(part.weight, torch.inf)
    ), "the parameter 0.weight holds values that are not finite"),
    "outputs of another shape": (lambda: nn.Sequential(small(), nn.Flatten(0)), "the model returns shape (21,) for 7"),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS_REFUSED)
def test_a_model_whose_curvature_is_not_defined_is_refused_in_one_sentence(case):
    model, says = MODELS_REFUSED[case]
    assert says in refused(model)


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ((torch.full((7, 4), torch.nan), LABELS), "the loss of batch 1 is nan"),
        ([(INPUTS[:3], LABELS[:3]), (INPUTS[3:] * torch.inf, LABELS[3:])], "the loss of batch 2 is nan"),
        ((INPUTS[:0], LABELS[:0]), "batch 1 is empty: leave it out"),
        ([(INPUTS, LABELS), (INPUTS[:0], LABELS[:0])], "batch 2 is empty"),
        ([], "data holds no batch"),
        ((INPUTS, LABELS + 1), "labels of batch 1 run from 1 to 3: the model has 3 outputs, so labels from 0 to 2"),
        ([(INPUTS, LABELS), (INPUTS, LABELS - 1)], "labels of batch 2 run from -1 to 1"),
        ((INPUTS, LABELS[:5]), "batch 1 has 7 inputs and 5 targets"),
        ((INPUTS, LABELS.float()), "class numbers (m,) as integers or probabilities (m, 3) are needed"),
        ((INPUTS[:, :3], LABELS), "the model cannot be called on the data"),
        (INPUTS, "a pair (inputs, targets) of tensors or arrays"),
    ],
)
def test_data_that_cannot_be_used_is_refused_in_one_sentence(pair, says):
    assert says in refused(pair=pair)


def mean_quartic(outputs, targets):
    return (outputs**4).sum(dim=1).mean()


def batch_max(outputs, targets):
    return outputs.square().sum(dim=1).max()


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ("cross-entrpy", "unknown loss 'cross-entrpy' (did you mean 'cross-entropy'?)"),
        (nn.CrossEntropyLoss(reduction="none"), "reduction must be mean or sum, got 'none'"),
        (nn.MSELoss(), "values (m, 3) are needed, as many as the model has outputs"),
        (batch_max, "loss batch_max: its value over 7 samples is not the mean of theirs"),
        (3, "loss takes a name or a function of outputs and targets, got int"),
    ],
)
def test_a_loss_that_is_no_sum_over_samples_is_refused(loss, says):
    assert says in refused(loss=loss)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"params": "0.wieght"}, "no parameter or module '0.wieght' (did you mean '0.weight'?)"),
        ({"params": [torch.ones(2)]}, "a tensor (2,) that is no parameter of the model"),
        ({"params": lambda name: False}, "params chooses no parameter"),
        ({"block": "2.bais"}, "unknown block '2.bais' (did you mean '2.bias'"),
        ({"params": "0", "block": "2"}, "unknown block '2'"),
        ({"operator": "fisher"}, "operator"),
        ({"operator": "residual", "weight_decay": 0.1}, "weight_decay belongs to operator=hessian or ggn"),
        ({"weight_decay": float("nan")}, "weight_decay must be between 0 and 1000000.0, got nan"),
        ({"seed": 1}, "mc_samples and seed belong to operator=monte-carlo-fisher, got operator=hessian"),
        ({"operator": "gram", "loss": mean_quartic}, "has no root, which the Gram matrix needs"),
        ({"operator": "monte-carlo-fisher", "loss": mean_quartic}, "names no distribution that targets could be drawn"),
        ({"name": "Not A Name"}, "problem name 'Not A Name' is not accepted"),
        ({"dtype": torch.float16}, "dtype must be torch.float32 or torch.float64"),
    ],
)
def test_options_out_of_range_are_refused(options, says):
    assert says in refused(**options)


PLUGIN = """
import torch
from torch import nn
from hessbench.problems import from_model

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))
PROBLEMS = [from_model(model.eval(), nn.CrossEntropyLoss(), (torch.randn(8, 4), torch.arange(8) % 3), name="mine")]
"""
SUITE = """
name = "own"
version = 1
[[cross]]
estimand = "trace"
problems = ["mine"]
methods = ["hutchinson"]
num_matvecs = [4, 8]
repeats = 2
memory = false
"""


@pytest.mark.slow
def test_a_plugin_file_with_a_model_is_run_from_the_command_line(tmp_path):
    suite, plugin, out = tmp_path / "suite.toml", tmp_path / "mine.py", tmp_path / "run"
    suite.write_text(SUITE)
    plugin.write_text(PLUGIN)
    done = subprocess.run(
        [sys.executable, "-m", "hessbench", "run", str(suite), "--plugin", str(plugin), "--out", str(out),
         "--no-prices", "--no-report"],
        cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line for file in (out / "ledger").glob("*.jsonl") for line in file.read_text().splitlines()]
    rows = [row for row in map(json.loads, filter(None, lines)) if row["kind"] == "terminal"]
    assert sorted((row["repeat"], row["status"], row["dim"]) for row in rows) == [(0, "ok", 27), (1, "ok", 27)]

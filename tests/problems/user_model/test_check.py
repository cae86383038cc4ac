"""What models can be measured, which cannot, and that each refusal names what is to be changed."""

import copy
import sys

import pytest
import torch
from custom_operations import Square
from dense_oracle import FORMULAS, Oracle
from torch import nn
from torch.utils.checkpoint import checkpoint

from hessbench.operators import to_dense
from hessbench.problem import FACTOR
from hessbench.problems import from_model
from hessbench.problems.curvature.matrices import OPERATORS
from hessbench.problems.networks.losses import CROSS_ENTROPY
from hessbench.problems.user_model.check import differentiable_attention
from hessbench.seeding import derive_seed, make_generator

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


C = 3


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells = nn.LSTM(2, 2, batch_first=True)
        self.head = nn.Linear(2, C)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(2, 1, 3, batch_first=True)
        self.head = nn.Linear(2, C)

    def forward(self, x):
        return self.head(self.layer(x).mean(dim=1))


class Tokens(nn.Module):
    """Embedding and decoder share a weight; the embedding asks for sparse gradients."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(C, 2, sparse=True)
        self.decoder = nn.Linear(2, C, bias=False)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens):
        return self.decoder(torch.tanh(self.embedding(tokens)).mean(dim=1))


class Applied(nn.Module):
    """A function of inputs and a weight (3, 2), or of a linear layer's outputs."""

    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(2, C)
        self.function = function

    def forward(self, x):
        return self.function(self.layer(x))


class Lost(torch.autograd.Function):
    """A square whose backward leaves torch."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return torch.as_tensor(2 * x.detach().numpy() * slope.detach().numpy())


class Mistaken(torch.autograd.Function):
    """A hyperbolic tangent whose backward is that of nothing."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return slope * x.flip(1)


def seeded(make, *arguments):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make(*arguments).eval()


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


LABELS = torch.tensor([0, 2, 1, 1])
TOKENS = torch.tensor([[0, 1], [2, 2], [1, 0], [2, 1]])
ACCEPTED = {
    "recurrent": (lambda: seeded(Recurrent), drawn(4, 3, 2)),
    "attention": (lambda: seeded(Attentive), drawn(4, 3, 2)),
    "tied tokens": (lambda: seeded(Tokens), TOKENS),
    "tokens in 32 bits": (lambda: seeded(Tokens), TOKENS.int()),
    "custom function": (lambda: seeded(Applied, Square.apply), drawn(4, 2)),
    "in double precision": (lambda: seeded(Recurrent).double(), drawn(4, 3, 2).double()),
    "in half precision": (lambda: seeded(Applied, torch.tanh).bfloat16(), drawn(4, 2)),
}


def oracle_of(model, inputs):
    """The oracle of a module, of the weights and inputs that every cell has: those rounded to float32."""
    model = copy.deepcopy(model).float().double()
    inputs = inputs.float().double() if inputs.is_floating_point() else inputs
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.sparse = False
    shapes = {name: value.shape for name, value in model.named_parameters()}
    flat = torch.cat([value.detach().flatten() for value in model.parameters()])

    def forward(q, x):
        pieces = q.split([shape.numel() for shape in shapes.values()])
        state = {name: piece.view(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
        with differentiable_attention():
            return torch.func.functional_call(model, state, (x,))

    # The labels of the one draw a sample: where p - e_y is negative.
    generator = make_generator(derive_seed("monte-carlo-fisher", "0"))
    drawn = CROSS_ENTROPY.draw(forward(flat, inputs), LABELS, 1, generator)[:, :, 0].argmin(dim=1)
    return Oracle(forward, flat, inputs, LABELS, FORMULAS["cross-entropy"], 1 / len(LABELS), CROSS_ENTROPY.root, drawn)


@pytest.mark.parametrize("case", ACCEPTED)
def test_the_matrix_of_a_model_is_that_of_torch(case):
    make, inputs = ACCEPTED[case]
    oracle = oracle_of(make(), inputs)
    # The dtypes are of weights and data, which all operators are given alike.
    for operator in ("hessian", "gram") if case.startswith("in ") or "32 bits" in case else OPERATORS:
        problem = from_model(make(), "cross-entropy", (inputs, LABELS), operator=operator)
        expected = oracle.matrix(operator)
        found = to_dense(problem.build(CPU, torch.float64))
        assert float((found - expected).abs().max()) <= 1e-12 * max(1, float(expected.abs().max())), operator
        single = to_dense(problem.build(CPU, torch.float32)).double()
        assert float((single - expected).norm()) <= 1e-5 * float(expected.norm()), operator


def test_a_model_whose_samples_cannot_be_differentiated_together_does_not_promise_the_factor():
    model, inputs = ACCEPTED["recurrent"][0](), ACCEPTED["recurrent"][1]
    assert FACTOR not in from_model(model, "cross-entropy", (inputs, LABELS), operator="ggn").traits
    other = seeded(Applied, torch.tanh)
    assert FACTOR in from_model(other, "cross-entropy", (drawn(4, 2), LABELS), operator="ggn").traits


def test_one_output_and_one_sample_are_enough():
    model = seeded(nn.Linear, 2, 1)
    problem = from_model(model, nn.MSELoss(), (drawn(1, 2), drawn(1, 1)))
    x = torch.cat([drawn(1, 2)[0], torch.ones(1)]).double()
    torch.testing.assert_close(to_dense(problem.build(CPU, torch.float64)), 2 * torch.outer(x, x))


def distances(x):
    return torch.cdist(x, torch.eye(C, dtype=x.dtype))


def noisy(x):
    return x + 1e-3 * torch.rand_like(x)


def mixed(x):
    return x - x.mean(dim=0)


class Checkpointed(Applied):
    """Its layer, of which the input has no gradient, runs again in the backward pass."""

    def __init__(self, reentrant):
        super().__init__(torch.tanh)
        self.reentrant = reentrant

    def forward(self, x):
        return torch.nn.functional.silu(checkpoint(self.layer, x, use_reentrant=self.reentrant))


MODELS = {
    "no second derivative": (lambda: Applied(distances), "twice: torch has no derivative for _cdist_backward"),
    "backward outside torch": (lambda: Applied(Lost.apply), "Lost (a custom autograd.Function) hides a derivative"),
    "random": (lambda: Applied(noisy), "the model returns other outputs when it is called again"),
    "mixed samples": (lambda: Applied(mixed), "the outputs of a sample depend on the others of its batch"),
    "no gradient": (lambda: Applied(torch.Tensor.detach), "the loss does not depend on the chosen parameters in a way"),
    "a hidden derivative": (lambda: Applied(Mistaken.apply), "Mistaken (a custom autograd.Function) hides a deriv"),
    "a tuple": (lambda: Applied(lambda x: (x, x)), "the model returns a tuple: a tensor (m, ..., C), or a dict"),
    "no class axis": (lambda: Applied(lambda x: x[:, 0]), "the model returns one number (m,) for each sample, which"),
    "another axis": (
        lambda: Applied(lambda x: x[:, None]), "probabilities (m, 1, 3) are needed for outputs (m, 1, 3)"
    ),
    "one number for all": (lambda: Applied(torch.sum), "the model returns shape () for 4 samples: (m, C) is needed,"),
    "a cast": (lambda: Applied(torch.Tensor.float), "the model returns torch.float32 for weights and inputs of"),
    "a constant dtype": (lambda: Applied(lambda x: x @ torch.eye(C)), "the model cannot be called on the data in"),
    "lazy": (lambda: nn.LazyLinear(C), "the parameter weight has no shape yet: call the model on one batch first"),
    "complex": (lambda: Applied(torch.tanh).to(torch.complex64), "the parameter layer.weight is complex"),
    "recurrent dropout": (
        lambda: nn.Sequential(nn.LSTM(2, C, num_layers=2, dropout=0.5)).train(),
        "0 (LSTM) draws at random in training mode: call model.eval() first",
    ),
    "attention dropout": (
        lambda: nn.Sequential(nn.MultiheadAttention(2, 1, dropout=0.5)).train(),
        "0 (MultiheadAttention) draws at random in training mode",
    ),
    "checkpoints": (lambda: Checkpointed(reentrant=False), "the model calls torch.utils.checkpoint, which computes"),
    "reentrant": (lambda: Checkpointed(reentrant=True), "call its layers directly"),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, C)),
        "the second derivative that torch has of _weight_norm_interface (weight_norm over dim 0) is wrong",
    ),
    "a function": (lambda: mixed, "model must be an nn.Module, which holds its parameters, got mixed (a function): ma"),
    "a class": (lambda: Tokens, "model is the class Tokens itself: an instance is accepted, as Tokens(...)"),
    "a number": (lambda: 3, "model must be an nn.Module, which holds its parameters, got int"),
    "no parameters": (lambda: nn.Identity(), "params chooses no parameter that requires a gradient"),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.filterwarnings("ignore:ComplexHalf|Complex modules:UserWarning")
@pytest.mark.filterwarnings("ignore:Lazy modules|None of the inputs have requires_grad:UserWarning")
def test_a_model_is_refused_in_one_sentence(case):
    make, says = MODELS[case]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = make()
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 -- compared below, without escapes
        from_model(model, "cross-entropy", (drawn(4, 2), LABELS))
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_model_that_cannot_be_copied_says_so():
    model = seeded(nn.Linear, 2, C)
    model.cached = model(drawn(4, 2))
    with pytest.raises(ValueError, match=r"the model cannot be copied by copy\.deepcopy: Only Tensors created"):
        from_model(model, "cross-entropy", (drawn(4, 2), LABELS))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_integers_where_the_model_takes_numbers_are_refused_with_the_remedy(dtype):
    with pytest.raises(
        ValueError, match=f"the inputs are {dtype} and the model takes floating numbers .*: convert them"
    ):
        from_model(seeded(nn.Linear, 2, C), "cross-entropy", (torch.ones(4, 2).to(dtype), LABELS))


def test_tokens_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"the model cannot be called on the data .* index out of range"):
        from_model(seeded(Tokens), "cross-entropy", (TOKENS + 1, LABELS))


def test_a_loss_that_is_not_finite_in_a_large_problem_is_seen_when_it_is_built(monkeypatch):
    monkeypatch.setattr(sys.modules[from_model.__module__], "EAGER", 0)
    inputs = drawn(4, 2)
    inputs[3, 1] = torch.inf
    problem = from_model(seeded(nn.Linear, 2, C), "cross-entropy", [(inputs[:2], LABELS[:2]), (inputs[2:], LABELS[2:])])
    with pytest.raises(ValueError, match="the loss of batch 2 is nan"):
        problem.build(CPU, torch.float32)


def test_attention_is_left_as_it_was():
    flags = (torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.flash_sdp_enabled())
    model, inputs = ACCEPTED["attention"][0](), ACCEPTED["attention"][1]
    from_model(model, "cross-entropy", (inputs, LABELS)).build(CPU, torch.float32)
    assert flags == (torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.flash_sdp_enabled())


def test_celu_is_differentiated_with_every_digit_of_its_scale():
    x = drawn(4, 2)
    model = nn.Sequential(nn.Linear(2, C), nn.Identity())

    def hessian(activation):
        each = copy.deepcopy(model)
        each[1] = activation if isinstance(activation, nn.Module) else Applied(activation)
        if isinstance(each[1], Applied):
            each[1].layer = nn.Identity()
        problem = from_model(each, "cross-entropy", (x, LABELS), dtype=torch.float64)
        return to_dense(problem.build(CPU, torch.float64))

    wanted = hessian(lambda h: torch.where(h > 0, h, 0.3 * torch.expm1(h.clamp(max=0) / 0.3)))
    for activation in (
        nn.CELU(0.3),
        nn.CELU(0.3, inplace=True),
        lambda h: nn.functional.celu(h, 0.3),
        lambda h: nn.functional.celu(1 * h, alpha=0.3, inplace=True),
        lambda h: torch.celu(h, 0.3),
        lambda h: torch.celu_(1 * h, 0.3),
    ):
        assert float((hessian(activation) - wanted).norm()) <= 1e-14 * float(wanted.norm())

"""Models and losses that have no curvature to measure, each refused in one sentence that says why."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessbench.problems import from_model

C, M = 3, 24


def drawn(*shape, seed=4):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


INPUTS, LABELS = drawn(M, 4), torch.arange(M) % C
SEQUENCES = drawn(M, 5, 4)


class Applied(nn.Module):
    """A small network whose hidden values, or outputs, go through a function."""

    def __init__(self, hidden=torch.tanh, outputs=lambda x: x):
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, C)
        self.hidden, self.outputs = hidden, outputs

    def forward(self, x):
        return self.outputs(self.last(self.hidden(self.first(x))))


def hidden(function):
    return lambda: Applied(hidden=function)


def outputs(function):
    return lambda: Applied(outputs=function)


def custom(name, value, slope, **options):
    """A function of torch whose backward is `slope(ctx, gradient)`."""

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return value(x)

    backward = staticmethod(slope)
    if options.get("once"):
        backward = staticmethod(torch.autograd.function.once_differentiable(slope))
    return type(name, (torch.autograd.Function,), {"forward": staticmethod(forward), "backward": backward}).apply


def window(x):
    return (x.abs() < 1).to(x.dtype)


STRAIGHT = custom("StraightSign", torch.sign, lambda ctx, g: g)
SURROGATE = custom("Surrogate", lambda x: (x > 0).to(x.dtype), lambda ctx, g: g / (1 + ctx.saved_tensors[0].abs()) ** 2)
CLIPPED = custom("ClippedSign", torch.sign, lambda ctx, g: g * window(ctx.saved_tensors[0]))
REVERSED = custom("Reversed", torch.tanh, lambda ctx, g: -g * (1 - ctx.saved_tensors[0].tanh() ** 2))
SCALED = custom("Scaled", torch.tanh, lambda ctx, g: 3 * g * (1 - ctx.saved_tensors[0].tanh() ** 2))
NUMPY = custom("Numpy", torch.tanh, lambda ctx, g: torch.as_tensor(1 - ctx.saved_tensors[0].detach().numpy() ** 2)
               * g.detach())  # fmt: skip
ONCE = custom("Once", lambda x: x**3, lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g, once=True)
FROZEN = custom("Frozen", lambda x: x**3, lambda ctx, g: 3 * ctx.saved_tensors[0].detach() ** 2 * g)
MISTAKEN = custom("Mistaken", torch.tanh, lambda ctx, g: g * ctx.saved_tensors[0].flip(1))
CLIPPING = custom(
    "Clipping", torch.tanh, lambda ctx, g: (g * (1 - ctx.saved_tensors[0].tanh() ** 2)).clamp(-0.01, 0.01)
)
QUANTISED = custom("Quantised", lambda x: (x * 8).round() / 8, lambda ctx, g: g)
MEASURED = custom("Normalised", torch.tanh, lambda ctx, g: g / (1e-3 + g.norm(dim=1, keepdim=True)))


def hook_shrunk(x):
    y = torch.tanh(x)
    if y.requires_grad:
        y.register_hook(lambda g: g.clamp(-0.01, 0.01))
    return y


def noisy(x):
    return x + 1e-3 * torch.rand_like(x)


def depth(x):
    return x * (torch.rand(x.shape[0], 1) > 0.5).to(x.dtype)


def attention_over_batch(x):
    return (x @ x.T).softmax(dim=1) @ x


def groups(x):
    """Statistics of four samples at a time: alone, a sample has others than among its neighbours."""
    return torch.cat([part - part.mean(dim=0) for part in x.split(4)])


def neighbour(x):
    """The first sample is as it is; every other one has a bit of the one before."""
    return torch.cat([x[:1], x[1:] + 0.1 * x[:-1]])


def late(x):
    """Samples mix only from the seventeenth on."""
    return torch.cat([x[:16], x[16:] - x[16:].mean(dim=0)]) if x.shape[0] > 16 else x


def many(x):
    """Samples mix only where there are many."""
    return x - x.mean(dim=0) if x.shape[0] > 16 else x


class Counting(nn.Module):
    """Another answer with every call."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(4, C), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) / self.calls


class Remembering(nn.Module):
    """An answer that has a part of the batch before."""

    def __init__(self):
        super().__init__()
        self.layer, self.before = nn.Linear(4, C), None

    def forward(self, x):
        found, before = self.layer(x), self.before
        self.before = found.detach().mean(dim=0)
        return found if before is None else found + before


class Recurrent(nn.Module):
    """Takes its samples for steps of time: `batch_first` is missing."""

    def __init__(self, kind, **options):
        super().__init__()
        self.cells = kind(4, 5, **options)
        self.head = nn.LazyLinear(C)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


def recurrent(kind, **options):
    def make():
        model = Recurrent(kind, **options)
        model(SEQUENCES)
        return model

    return make


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 1, 4, dropout=0.0)
        self.head = nn.Linear(4, C)

    def forward(self, x):
        return self.head(self.layer(x).mean(dim=1))


def training(layer):
    return lambda: nn.Sequential(nn.Linear(4, 5), layer, nn.Linear(5, C)).train()


def weight_norm():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, C)).eval()


def infinite():
    model = Applied()
    nn.init.constant_(model.last.weight, torch.inf)
    return model


def refuse_all(x):
    assert x.shape[0] < 0, "fewer samples, please"


SYMMETRIC = "not symmetric"
TWICE, OTHERS = "cannot be differentiated twice", "depend on the others of its batch"
RANDOM = "must not draw at random"

BAD = {
    "straight through, custom": (hidden(STRAIGHT), "StraightSign (a custom autograd.Function)"),
    "surrogate gradient": (hidden(SURROGATE), "Surrogate (a custom autograd.Function)"),
    "clipped straight through": (hidden(CLIPPED), "ClippedSign (a custom autograd.Function)"),
    "quantised": (hidden(QUANTISED), "Quantised (a custom autograd.Function)"),
    "gradient reversal": (hidden(REVERSED), "Reversed (a custom autograd.Function)"),
    "scaled gradient": (hidden(SCALED), "Scaled (a custom autograd.Function)"),
    "backward outside torch": (hidden(NUMPY), "Numpy (a custom autograd.Function)"),
    "once differentiable": (hidden(ONCE), "Once (a custom autograd.Function) hides a derivative"),
    "detached in backward": (hidden(FROZEN), "Frozen (a custom autograd.Function)"),
    "mistaken backward": (hidden(MISTAKEN), "Mistaken (a custom autograd.Function)"),
    "clipped gradient": (hidden(CLIPPING), "Clipping (a custom autograd.Function)"),
    "normalised gradient": (hidden(MEASURED), "Normalised (a custom autograd.Function)"),
    "hook that clips": (hidden(hook_shrunk), SYMMETRIC),
    "weight norm": (weight_norm, "_weight_norm_interface"),
    "no derivative": (outputs(lambda x: torch.cdist(x, torch.eye(C).to(x))), "torch has no derivative for"),
    "misspelt attribute": (outputs(lambda x: x.no_such_thing()), "the model cannot be called on the data"),
    "failed assertion": (outputs(refuse_all), "the model cannot be called on the data"),
    "detached outputs": (outputs(torch.Tensor.detach), "the loss does not depend on the chosen parameters"),
    "argmax": (outputs(lambda x: functional.one_hot(x.argmax(dim=1), C).to(x)), "the loss does not depend on"),
    "threshold": (outputs(lambda x: (x > 0).to(x)), "the loss does not depend on"),
    "no_grad": (outputs(torch.no_grad()(lambda x: x * 2)), "the loss does not depend on"),
    "noise": (hidden(noisy), RANDOM),
    "stochastic depth": (hidden(depth), RANDOM),
    "functional dropout": (hidden(lambda x: functional.dropout(x, 0.5)), RANDOM),
    "random features": (outputs(lambda x: x @ torch.randn(C, C).to(x)), RANDOM),
    "counter": (Counting, RANDOM),
    "memory of the batch before": (Remembering, RANDOM),
    "centred by the batch": (outputs(lambda x: x - x.mean(dim=0)), OTHERS),
    "scaled by the batch": (outputs(lambda x: x / x.std()), OTHERS),
    "softmax over the batch": (outputs(lambda x: x.softmax(dim=0)), OTHERS),
    "norm over the batch": (outputs(lambda x: functional.normalize(x, dim=0)), OTHERS),
    "sum along the batch": (outputs(lambda x: x.cumsum(dim=0)), OTHERS),
    "sorted along the batch": (outputs(lambda x: x.sort(dim=0).values), OTHERS),
    "reversed batch": (outputs(lambda x: x.flip(0)), OTHERS),
    "rolled batch": (outputs(lambda x: x.roll(1, 0)), OTHERS),
    "attention over the batch": (hidden(attention_over_batch), OTHERS),
    "statistics of groups": (hidden(groups), OTHERS),
    "neighbours": (hidden(neighbour), OTHERS),
    "mixed from the seventeenth on": (hidden(late), OTHERS),
    "mixed where there are many": (hidden(many), OTHERS),
    "divided by their number": (outputs(lambda x: x / x.shape[0]), OTHERS),
    "largest of the batch": (outputs(lambda x: x - x.amax(dim=0).detach()), OTHERS),
    "batch norm": (training(nn.BatchNorm1d(5)), "mixes the samples of a batch in training mode"),
    "batch norm without statistics": (
        lambda: nn.Sequential(nn.Linear(4, C), nn.BatchNorm1d(C, track_running_stats=False)).eval(),
        "track_running_stats=True",
    ),
    "dropout": (training(nn.Dropout(0.5)), "draws at random in training mode"),
    "alpha dropout": (training(nn.AlphaDropout(0.5)), "draws at random in training mode"),
    "cast to float32": (hidden(lambda x: x.float().tanh()), "the model cannot be called"),
    "outputs in float32": (outputs(torch.Tensor.float), "the model returns torch.float32"),
    "complex outputs": (outputs(lambda x: torch.complex(x, x)), "the model returns torch.complex128"),
    "no outputs": (outputs(lambda x: None), "the model returns a NoneType"),
    "tuple": (outputs(lambda x: (x, x)), "the model returns a tuple"),
    "dictionary": (outputs(lambda x: {"scores": x}), "the model returns a dict"),
    "no class axis": (outputs(lambda x: x[:, 0]), "the model returns one number (m,) for each sample"),
    "one row": (outputs(lambda x: x.sum(dim=0, keepdim=True)), "(m, C) is needed"),
    "parameters not finite": (infinite, "values that are not finite"),
    "outputs not finite": (outputs(lambda x: x / 0), "the loss of batch 1 is nan"),
}  # fmt: skip

SEQUENTIAL = {
    "LSTM": (recurrent(nn.LSTM), OTHERS),
    "LSTM of two layers": (recurrent(nn.LSTM, num_layers=2), OTHERS),
    "GRU": (recurrent(nn.GRU), OTHERS),
    "RNN": (recurrent(nn.RNN), OTHERS),
    "both ways": (recurrent(nn.LSTM, bidirectional=True), OTHERS),
    "transformer": (Attending, OTHERS),
}


def refusal(make, inputs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = make()
        model = model if model.training and isinstance(model, nn.Sequential) else model.eval()
        try:
            from_model(model, "cross-entropy", (inputs, LABELS))
        except ValueError as refused:
            return str(refused)
    return "accepted"


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize(("cases", "inputs"), [(BAD, INPUTS), (SEQUENTIAL, SEQUENCES)], ids=["models", "sequences"])
def test_a_model_without_a_curvature_is_refused_in_one_sentence(cases, inputs):
    for case, (make, says) in cases.items():
        said = refusal(make, inputs)
        assert says in said, f"{case}: {said}"
        assert "\n" not in said, case


def test_a_wrong_derivative_is_refused_where_the_network_is_sure_of_its_samples_too():
    for case, (make, says) in BAD.items():
        if "custom autograd" not in says and says != SYMMETRIC:
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            model = make().eval()
        with torch.no_grad():
            model.last.weight *= 100
            labels = model(INPUTS).argmax(dim=1)
        with pytest.raises(ValueError) as refused:  # noqa: PT011 -- compared below, case by case
            from_model(model, "cross-entropy", (INPUTS, labels))
        assert says in str(refused.value), f"{case}: {refused.value}"


def _largest(outputs, targets):
    return (outputs - functional.one_hot(targets, C)).square().sum(dim=1).max()


def _spread(outputs, targets):
    return functional.cross_entropy(outputs, targets) + outputs.std()


def _weighted_mean(outputs, targets):
    return functional.cross_entropy(outputs, targets, weight=torch.tensor([1.0, 2.0, 3.0]).to(outputs))


def _vector(outputs, targets):
    return functional.cross_entropy(outputs, targets, reduction="none")


def _summed(outputs, targets):
    return functional.cross_entropy(outputs, targets, reduction="sum")


def _detached(outputs, targets):
    return functional.cross_entropy(outputs.detach(), targets)


def _pairs(outputs, targets):
    return (outputs[:, None] - outputs[None]).square().mean()


def _infinite(outputs, targets):
    return (outputs - outputs).log().mean()


LOSSES = {
    "largest": (_largest, "is not the mean of theirs"),
    "spread of the batch": (_spread, "is not the mean of theirs"),
    "weights of its own": (_weighted_mean, "is not the mean of theirs"),
    "a vector": (_vector, "one number is needed"),
    "a sum called a mean": (_summed, "is not the mean of theirs"),
    "detached": (_detached, "the loss does not depend on the chosen parameters"),
    "pairs of samples": (_pairs, "is not the mean of theirs"),
    "not finite": (_infinite, "the loss of batch 1 is"),
}


def test_a_loss_without_a_curvature_is_refused_in_one_sentence():
    for case, (loss, says) in LOSSES.items():
        with pytest.raises(ValueError) as refused:  # noqa: PT011 -- compared below, case by case
            from_model(Applied().eval(), loss, (INPUTS, LABELS))
        assert says in str(refused.value), f"{case}: {refused.value}"

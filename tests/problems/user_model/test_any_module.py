"""Modules of many kinds: what they take and return, and what torch's own loss over all samples at once says of it."""

import copy
from types import SimpleNamespace

import pytest
import torch
from module_oracle import module_oracle
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from hessbench.estimand import Trace
from hessbench.operators import to_dense
from hessbench.problem import FACTOR
from hessbench.problems import from_model
from hessbench.problems.curvature.matrices import OPERATORS, curvature_operator
from hessbench.problems.user_model.check import differentiable_attention

DIRECT = [operator for operator in OPERATORS if operator not in ("monte-carlo-fisher", "gram")]

N, T, D, C = 5, 4, 4, 3


class Encoder(nn.Module):
    """Tokens and a mask in, scores of the classes of every token out, as Hugging Face's models have them."""

    def __init__(self, form="logits"):
        super().__init__()
        self.embedding = nn.Embedding(6, D, padding_idx=0)
        self.layer = nn.TransformerEncoderLayer(D, 2, 3, dropout=0.0, batch_first=True, activation="gelu")
        self.head = nn.Linear(D, C)
        self.form = form

    def forward(self, input_ids, attention_mask=None, labels=None):
        assert labels is None, "targets are for the loss"
        x = self.layer(self.embedding(input_ids), src_key_padding_mask=attention_mask == 0)
        found = self.head(x)
        return {"logits": {"logits": found}, "object": SimpleNamespace(logits=found), "tensor": found}[self.form]


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.cells = nn.Embedding(6, D), nn.LSTM(D, 2, batch_first=True)
        self.head = nn.Linear(2, C)

    def forward(self, tokens):
        return self.head(self.cells(self.embedding(tokens))[0])


class Pooled(nn.Module):
    """A recurrent network that reads as many steps as each sample has."""

    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.GRU(D, 2, batch_first=True), nn.Linear(2, C)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.cells(packed)[1][-1])


class SmallUNet(nn.Module):
    """Down, up, and across: scores (m, C, h, w) of the classes of every pixel."""

    def __init__(self, classes=C):
        super().__init__()
        self.down, self.low = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
        self.up, self.last = nn.ConvTranspose2d(3, 2, 2, stride=2), nn.Conv2d(4, classes, 1)

    def forward(self, x):
        first = torch.tanh(self.down(x))
        low = functional.softplus(self.low(functional.max_pool2d(first, 2)))
        return self.last(torch.cat([first, self.up(low)], dim=1))


class Two(nn.Module):
    """Two inputs, of which the second is a mask of truths."""

    def __init__(self, outputs=C):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(D, 3), nn.Linear(2, 3, bias=False), nn.Linear(3, outputs)

    def forward(self, x, mask):
        return self.head(torch.tanh(self.first(x) + self.second(mask.to(x))))


class Whole(Two):
    """The same of one argument."""

    def forward(self, both):
        return super().forward(*(both.values() if isinstance(both, dict) else both))


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(D, 3), nn.Tanh(), nn.Linear(3, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


class Second(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, *inputs, **named):
        return self.net(*inputs, **named).movedim(-1, 1)


def logits_of(model, inputs):
    return model(**inputs)["logits"]


def cross_entropy(outputs, targets):
    """Classes along the last axis, a mean over samples and positions."""
    return functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def shares_of(*shape):
    return torch.rand(*shape).softmax(dim=-1)


def half_squares(outputs, targets):
    """A mean over all axes but the last."""
    return (outputs - targets).square().sum() / (2 * outputs.shape[:-1].numel())


def cosh(outputs, targets):
    """A loss of one's own, of outputs as they are."""
    assert outputs.shape[1:] == (T, C)
    return torch.cosh(outputs - targets).sum(dim=2).log().mean()


torch.manual_seed(0)
X, IDS = torch.randn(N, D), torch.randint(1, 6, (N, T))
STEPS, IMAGES = torch.randn(N, T, D), torch.randn(N, 1, 4, 4)
LENGTHS = torch.tensor([4, 2, 3, 1, 4])
MASK = (torch.arange(T) < LENGTHS[:, None]).long()
LABELS, PIXELS = torch.randint(C, (N, T)), torch.randint(C, (N, 4, 4))
MASKED = LABELS.masked_fill(MASK == 0, -100)
ONES = torch.randint(C, (N,))
BOTH = torch.rand(N, 2) > 0.5
WEIGHTS = torch.tensor([0.5, 2.0, 1.0])
HF = {"input_ids": IDS * MASK, "attention_mask": MASK}

CE, BCE, MSE = nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.MSELoss


def mlp(outputs=C):
    return nn.Sequential(nn.Linear(D, 3), nn.Tanh(), nn.Linear(3, outputs))


def words(*last):
    """Each word for itself: what a loss makes of positions does not ask for a network that is slow to differentiate."""
    return nn.Sequential(nn.Embedding(6, D), mlp(), *last)


CASES = {
    "transformer, logits in a dict": (Encoder, cross_entropy, "cross-entropy", (HF, LABELS), logits_of),
    "transformer, labels ignored": (
        lambda: Second(Encoder("tensor")), CE(), None, (HF, MASKED), lambda model, inputs: model(**inputs)
    ),
    "tagger": (Tagger, cross_entropy, "cross-entropy", (IDS, LABELS), None),
    "tagger, torch's axes": (lambda: Second(Tagger()), CE(), None, (IDS, LABELS), None),
    "tagger, weights and ignored": (lambda: Second(Tagger()), CE(WEIGHTS), None, (IDS, MASKED), None),
    "words, smoothed": (
        lambda: Second(words()), CE(WEIGHTS, label_smoothing=0.2), None, (IDS, MASKED), None
    ),
    "words, sum": (lambda: Second(words()), CE(WEIGHTS, reduction="sum"), None, (IDS, MASKED), None),
    "words, shares": (
        lambda: Second(words()), CE(WEIGHTS), None, (IDS, shares_of(N, T, C).movedim(-1, 1)), None
    ),
    "words, likelihood": (
        lambda: Second(words(nn.LogSoftmax(dim=-1))), nn.NLLLoss(WEIGHTS), None, (IDS, MASKED), None
    ),
    "tagger, a loss of one's own": (Tagger, cosh, None, (IDS, torch.randn(N, T, C)), None),
    "lengths beside": (Pooled, CE(), None, ((STEPS, LENGTHS), ONES), lambda model, inputs: model(*inputs)),
    "segmentation": (SmallUNet, CE(WEIGHTS, ignore_index=0), None, (IMAGES, PIXELS), None),
    "segmentation, one class": (
        lambda: SmallUNet(1), BCE(pos_weight=torch.tensor(2.0)), None, (IMAGES, (PIXELS > 0)[:, None].float()), None
    ),
    "images": (lambda: SmallUNet(1), MSE(), None, (IMAGES, torch.randn(N, 1, 4, 4)), None),
    "sequences, squared": (mlp, half_squares, "squared", (STEPS, torch.randn(N, T, C)), None),
    "sequences, Huber": (mlp, nn.HuberLoss(delta=0.4), None, (STEPS, torch.randn(N, T, C)), None),
    "yes or no of positions, weights": (
        mlp, BCE(WEIGHTS, pos_weight=torch.rand(T, C)), None, (STEPS, torch.rand(N, T, C)), None
    ),
    "two inputs": (Two, CE(), None, ((X, BOTH), ONES), lambda model, inputs: model(*inputs)),
    "two inputs as one": (Whole, CE(), None, ((X, BOTH), ONES), None),
    "a dict of two inputs": (Two, CE(), None, ({"mask": BOTH, "x": X}, ONES), lambda model, inputs: model(**inputs)),
    "a dict as one": (Whole, CE(), None, ({"x": X, "mask": BOTH}, ONES), None),
    "single outputs, values": (Squeezed, MSE(), None, (X, torch.randn(N)), None),
    "single outputs, sum": (Squeezed, MSE(reduction="sum"), None, (X, torch.randn(N)), None),
    "single outputs, squared": (Squeezed, lambda o, t: (o - t).square().sum() / (2 * N), "squared",
                                (X, torch.randn(N)), None),
    "single outputs, yes or no": (Squeezed, BCE(), None, (X, (torch.randn(N) > 0).float()), None),
    "single outputs, weights": (
        Squeezed, BCE(torch.tensor([0.5]), pos_weight=torch.tensor(3.0)), None, (X, torch.rand(N)), None
    ),
    "single outputs, a loss of one's own": (Squeezed, nn.HuberLoss(), None, (X, torch.randn(N)), None),
}  # fmt: skip


def cut(pair, sizes=(2, 2, 1)):
    """The samples in ragged batches."""
    inputs, targets = pair

    def parts(tree):
        if isinstance(tree, torch.Tensor):
            return list(tree.split(sizes))
        if isinstance(tree, dict):
            return [dict(zip(tree, group, strict=True)) for group in zip(*map(parts, tree.values()), strict=True)]
        return list(zip(*map(parts, tree), strict=True))

    return list(zip(parts(inputs), targets.split(sizes), strict=True))


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def near(found, truth, told):
    assert float((found - truth).abs().max()) <= 1e-11 * max(1.0, float(truth.abs().max())), told


@pytest.mark.parametrize("name", CASES)
def test_every_matrix_is_that_of_the_users_loss_over_all_samples_in_any_cut(name):
    make, twin, loss, pair, call = CASES[name]
    torch.manual_seed(1)
    module = make().eval()
    with differentiable_attention():
        oracle = module_oracle(module, twin, [pair], call)
        truths = {operator: oracle.matrix(operator) for operator in DIRECT}
    for data, operators in ((pair, DIRECT), (cut(pair), ("hessian", "ggn"))):
        problem = from_model(module, loss or twin, data, operator="ggn", dtype=torch.float64)
        for operator in operators:
            near(to_dense(curvature_operator(problem.network(), operator)), truths[operator], operator)
        if FACTOR in problem.traits:
            F = columns(curvature_operator(problem.network(), "ggn").factor)
            near(F @ F.T, truths["ggn"], "factor")
            near(to_dense(curvature_operator(problem.network(), "gram")), F.T @ F, "gram")


def columns(factor):
    return factor.rmatmat(torch.eye(factor.num_columns, dtype=torch.float64))


def test_a_loader_of_dicts_is_the_batches_it_gives_and_what_a_model_returns_may_be_an_object():
    torch.manual_seed(1)
    samples = [{**{key: HF[key][i] for key in HF}, "labels": LABELS[i]} for i in range(N)]
    found = {}
    for form in ("logits", "object", "tensor"):
        torch.manual_seed(1)
        model = Encoder(form).eval()
        for data in (DataLoader(samples, batch_size=2), [{**HF, "labels": LABELS}]):
            op = curvature_operator(from_model(model, "cross-entropy", data, dtype=torch.float64).network(), "ggn")
            found[form, type(data)] = to_dense(op)
    first, *others = found.values()
    for other in others:
        near(other, first, found.keys())


RAGGED = {
    "classes": (lambda: Second(Tagger()), CE(WEIGHTS), lambda t: torch.randint(C, (2, t)), IDS),
    "classes last": (Tagger, "cross-entropy", lambda t: torch.randint(C, (2, t)), IDS),
    "shares": (lambda: Second(mlp()), CE(), lambda t: shares_of(2, t, C).movedim(-1, 1), STEPS),
    "values": (mlp, MSE(), lambda t: torch.randn(2, t, C), STEPS),
    "squared": (mlp, "squared", lambda t: torch.randn(2, t, C), STEPS),
    "squared of classes": (mlp, "squared", lambda t: torch.randint(C, (2, t)), STEPS),
    "truths": (mlp, BCE(pos_weight=torch.tensor(2.0)), lambda t: torch.rand(2, t, C), STEPS),
}


@pytest.mark.parametrize("name", RAGGED)
def test_batches_of_different_lengths_weigh_every_position_the_same(name):
    make, loss, targets, inputs = RAGGED[name]
    torch.manual_seed(1)
    module = make().eval()
    data = [(inputs[:2, :t], targets(t)) for t in (3, 1, 4)]
    summed, divisor = summed_as(loss, data)
    oracles = [module_oracle(module, summed, [batch]) for batch in data]
    for operator in ("ggn", "hessian", "residual"):
        problem = from_model(module, loss, data, operator=operator, dtype=torch.float64)
        truth = sum(oracle.matrix(operator) for oracle in oracles) / divisor
        near(to_dense(problem.build(torch.device("cpu"), torch.float64)), truth, operator)
        assert torch.isfinite(torch.as_tensor(problem.references[Trace](Trace()).arrays["trace"])).all()
    network = problem.network()
    F = columns(curvature_operator(network, "ggn").factor)
    near(F @ F.T, sum(oracle.ggn for oracle in oracles) / divisor, "factor")
    fisher = curvature_operator(network, "monte-carlo-fisher") if network.loss.draw else None
    assert fisher is None or fisher.dim == F.shape[0]


def summed_as(loss, data):
    """The loss as a sum over all positions, and what its mean divides by."""
    places = sum(targets.shape[0] * targets.shape[1 if targets.ndim == 2 else -1] for _, targets in data)
    if loss == "cross-entropy":

        def last(outputs, targets):
            return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="sum")

        last.reduction = "sum"
        return last, places
    if loss == "squared":

        def half(outputs, targets):
            values = targets if targets.is_floating_point() else functional.one_hot(targets, C)
            return (outputs - values).square().sum() / 2

        half.reduction = "sum"
        return half, sum(inputs.shape[:2].numel() for inputs, _ in data)
    twin = copy.deepcopy(loss)
    twin.reduction = "sum"
    if isinstance(loss, CE):
        weighted = loss.weight is not None
        return twin, sum(float(WEIGHTS[t].sum()) if weighted else t.shape[0] * t.shape[2] for _, t in data)
    return twin, sum(targets.numel() for _, targets in data)


REFUSED = {
    "classes last for torch": (
        lambda: mlp(), CE(), (STEPS, LABELS),
        "class numbers (m, 3) as integers or probabilities (m, 4, 3) are needed for outputs (m, 4, 3); for outputs "
        "with their classes along the last axis take loss='cross-entropy'",
    ),
    "classes second by name": (
        lambda: Second(mlp()), "cross-entropy", (STEPS, LABELS),
        "for outputs with their classes along the second axis take nn.CrossEntropyLoss()",
    ),
    "values of another shape": (mlp, MSE(), (STEPS, torch.ones(N, T)), "values (m, 4, 3) are needed"),
    "labels of one position": (Tagger, "cross-entropy", (IDS, ONES), "class numbers (m, 4) as integers or"),
    "broadcast values": (Squeezed, MSE(), (X, torch.ones(N, 1)), "values (m,) are needed, as many as the model has"),
    "one score": (Squeezed, CE(), (X, ONES), "the model returns one number (m,) for each sample, which are no scores"),
    "several outputs": (
        lambda: Split(), CE(), (X, ONES), "the model returns a tuple: a tensor (m, ..., C), or a dict or an object with"
    ),
    "no such argument": (
        Two, CE(), ({"x": X, "masks": BOTH}, ONES), "the model cannot be called on the data in torch.float64"
    ),
    "lengths and a loss of one's own": (
        mlp, nn.HuberLoss(), [(STEPS[:, :t], torch.ones(N, t, C)) for t in (2, 3)],
        "samples of shapes (2, 3), (3, 3) in different batches, which only the losses of torch and those by name weigh",
    ),
    "another kind of sample later": (
        lambda: Second(mlp()), CE(), [(STEPS, LABELS), (torch.randn(N, T, 2), LABELS)], "the model cannot be called on"
    ),
    "a weight for each pixel": (
        lambda: SmallUNet(1), BCE(torch.ones(N, 1, 4, 4)), (IMAGES, torch.ones(N, 1, 4, 4)),
        "loss: weight (5, 1, 4, 4) must be one number, or numbers for the outputs (1, 4, 4) of every sample alike",
    ),
    "a label too many": (Tagger, "cross-entropy", (IDS, LABELS + 1), "labels of batch 1 run from 1 to 3: the model"),
    "a label that is ignored, by name": (Tagger, "cross-entropy", (IDS, MASKED), "which nn.CrossEntropyLoss() ignores"),
}  # fmt: skip


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp()

    def forward(self, x):
        return self.net(x), x


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(name):
    make, loss, data, says = REFUSED[name]
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 -- compared below, without escapes
        from_model(make().eval(), loss, data)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_no_targets_are_drawn_where_a_factor_for_ones_makes_the_loss_no_likelihood():
    pair = (X, torch.rand(N))
    with pytest.raises(ValueError, match="binary-cross-entropy with pos_weight names no distribution"):
        from_model(Squeezed(), BCE(pos_weight=torch.tensor(2.0)), pair, operator="monte-carlo-fisher")
    assert FACTOR in from_model(Squeezed(), BCE(pos_weight=torch.tensor(2.0)), pair, operator="ggn").traits
    assert FACTOR in from_model(Squeezed(), BCE(), pair, operator="monte-carlo-fisher").traits


def test_the_hash_follows_the_names_and_every_tensor_of_the_inputs():
    def hash_of(inputs):
        torch.manual_seed(1)
        return from_model(Whole().eval(), CE(), (inputs, ONES)).hash

    tree = {"x": X, "mask": BOTH}
    hashes = [hash_of(inputs) for inputs in (tree, (X, BOTH), {"x": X, "other": BOTH}, {"x": X, "mask": ~BOTH})]
    assert len(set(hashes)) == len(hashes)
    assert hash_of(dict(tree)) == hashes[0]

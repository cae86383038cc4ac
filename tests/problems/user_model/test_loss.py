"""Losses as users give them: what each means over several batches, what its targets may be, and how it is hashed."""

import pytest
import torch
from torch import nn

from hessbench.operators import to_dense
from hessbench.problem import FACTOR, PSD
from hessbench.problems import from_model
from hessbench.problems.networks.losses import SQUARED
from hessbench.problems.networks.network import Batch
from hessbench.problems.user_model.loss import loss_of, loss_text

M, C = 6, 3
GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = torch.randn(M, C, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([0, 2, 2, 1, 2, 0])
VALUES = torch.rand(M, C, generator=GENERATOR, dtype=torch.float64)
SHARES = VALUES / VALUES.sum(dim=1, keepdim=True)
WEIGHTS = torch.tensor([0.5, 4.0, 1.0])
LOGS = OUTPUTS.log_softmax(dim=1)
SORTED = torch.tensor([0, 0, 0, 0, 2, 1])
"""Labels of which the first four, all that is looked at singly, are the same."""


def smooth(outputs, targets):
    return torch.cosh(outputs - targets).log().sum(dim=1).mean()


def summed(outputs, targets):
    return torch.cosh(outputs - targets).log().sum()


summed.reduction = "sum"


class Weighted(nn.Module):
    """A module with a buffer, of a dtype and a mode of its own."""

    reduction = "sum"

    def __init__(self):
        super().__init__()
        self.register_buffer("weights", WEIGHTS.clone())

    def forward(self, outputs, targets):
        return (self.weights * (outputs - targets) ** 4).sum()


def batches_of(targets, sizes=(4, 2)):
    inputs = torch.zeros(M, 1)
    return [Batch(*pair) for pair in zip(inputs.split(sizes), targets.split(sizes), strict=True)]


CASES = {
    "cross-entropy": ("cross-entropy", LABELS, nn.CrossEntropyLoss()),
    "cross-entropy of torch": (nn.functional.cross_entropy, LABELS, nn.CrossEntropyLoss()),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), LABELS, nn.CrossEntropyLoss(reduction="sum")),
    "weights": (nn.CrossEntropyLoss(WEIGHTS), LABELS, nn.CrossEntropyLoss(WEIGHTS.double())),
    "weights, sum": (
        nn.CrossEntropyLoss(WEIGHTS, reduction="sum"), LABELS, nn.CrossEntropyLoss(WEIGHTS.double(), reduction="sum")
    ),
    "weights, shares": (nn.CrossEntropyLoss(WEIGHTS), SHARES, nn.CrossEntropyLoss(WEIGHTS.double())),
    "smoothing": (nn.CrossEntropyLoss(label_smoothing=0.2), LABELS, nn.CrossEntropyLoss(label_smoothing=0.2)),
    "ignored": (nn.CrossEntropyLoss(ignore_index=2), LABELS, nn.CrossEntropyLoss(ignore_index=2)),
    "ignored, default": (nn.CrossEntropyLoss(), LABELS.masked_fill(LABELS == 1, -100), nn.CrossEntropyLoss()),
    "ignored, weights, smoothing": (
        nn.CrossEntropyLoss(WEIGHTS, ignore_index=0, label_smoothing=0.3), LABELS,
        nn.CrossEntropyLoss(WEIGHTS.double(), ignore_index=0, label_smoothing=0.3),
    ),
    "ignored, sum": (
        nn.CrossEntropyLoss(ignore_index=0, reduction="sum"), LABELS,
        nn.CrossEntropyLoss(ignore_index=0, reduction="sum"),
    ),
    "likelihood, ignored": (nn.NLLLoss(WEIGHTS, ignore_index=0), SORTED, nn.NLLLoss(WEIGHTS.double(), ignore_index=0)),
    "BCE": (nn.BCEWithLogitsLoss(), VALUES, nn.BCEWithLogitsLoss()),
    "BCE of torch": (nn.functional.binary_cross_entropy_with_logits, VALUES, nn.BCEWithLogitsLoss()),
    "BCE, weights": (
        nn.BCEWithLogitsLoss(WEIGHTS, pos_weight=2 * WEIGHTS), VALUES,
        nn.BCEWithLogitsLoss(WEIGHTS.double(), pos_weight=2 * WEIGHTS.double()),
    ),
    "BCE, sum": (
        nn.BCEWithLogitsLoss(torch.tensor([0.3]), reduction="sum"), VALUES,
        nn.BCEWithLogitsLoss(torch.tensor([0.3]).double(), reduction="sum"),
    ),
    "squared": ("squared", VALUES, lambda o, t: (o - t).square().sum() / (2 * M)),
    "squared of labels": ("squared", LABELS, lambda o, t: (o - torch.eye(C)[t]).square().sum() / (2 * M)),
    "a loss of this package": (SQUARED, VALUES, lambda o, t: (o - t).square().sum() / (2 * M)),
    "MSE": (nn.MSELoss(), VALUES, nn.MSELoss()),
    "MSE of torch": (nn.functional.mse_loss, VALUES, nn.MSELoss()),
    "MSE, sum": (nn.MSELoss(reduction="sum"), VALUES, nn.MSELoss(reduction="sum")),
    "Huber": (nn.HuberLoss(delta=0.4), VALUES, nn.HuberLoss(delta=0.4)),
    "KL, batchmean": (nn.KLDivLoss(reduction="batchmean"), SHARES, lambda o, t: (t * (t.log() - o)).sum() / M),
    "KL of logs": (
        nn.KLDivLoss(reduction="batchmean", log_target=True), LOGS, lambda o, t: (t.exp() * (t - o)).sum() / M
    ),
    "likelihood": (nn.functional.nll_loss, LABELS, nn.NLLLoss()),
    "likelihood, weights": (nn.NLLLoss(WEIGHTS), SORTED, nn.NLLLoss(WEIGHTS.double())),
    "likelihood, sum": (nn.NLLLoss(WEIGHTS, reduction="sum"), SORTED, nn.NLLLoss(WEIGHTS.double(), reduction="sum")),
    "a function": (smooth, VALUES, smooth),
    "a function, sum": (summed, VALUES, summed),
    "a module with a buffer": (Weighted(), VALUES, Weighted()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_objective_over_ragged_batches_is_that_over_all_samples_at_once(case):
    loss, targets, twin = CASES[case]
    batches = batches_of(targets)
    found = loss_of(loss, batches, OUTPUTS[:4])
    total = sum(found.total(OUTPUTS[start:stop], targets[start:stop]) for start, stop in ((0, 4), (4, 6)))
    torch.testing.assert_close(total / (M if found.mean else 1), twin(OUTPUTS, targets), rtol=1e-14, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_closed_forms_are_known_for_the_losses_of_torch_only(case):
    loss, targets, _ = CASES[case]
    known = not case.startswith(("Huber", "KL", "likelihood", "a function", "a module"))
    assert (loss_of(loss, batches_of(targets), OUTPUTS[:4]).root is not None) == known


def test_a_loss_of_ones_own_gives_a_ggn_without_factor():
    model = nn.Linear(2, C)
    inputs = torch.ones(M, 2)
    traits = from_model(model, smooth, (inputs, VALUES), operator="ggn").traits
    assert PSD not in traits
    assert FACTOR not in traits
    assert PSD in from_model(model, smooth, (inputs, VALUES), operator="gradient-second-moment").traits


def test_a_module_with_buffers_is_copied_and_follows_the_dtype():
    loss, model = Weighted(), nn.Linear(2, C)
    problem = from_model(model, loss, (torch.ones(M, 2), VALUES))
    before = to_dense(problem.build(torch.device("cpu"), torch.float64))
    loss.weights.zero_()
    after = to_dense(problem.build(torch.device("cpu"), torch.float64))
    torch.testing.assert_close(after, before, rtol=0, atol=1e-13 * float(before.abs().max()))
    assert before.abs().max() > 0


REFUSED = {
    "an unknown name": ("crossentropy", LABELS, "unknown loss 'crossentropy' (did you mean 'cross-entropy'?)"),
    "no function": (1.5, LABELS, "loss takes a name or a function of outputs and targets, got float"),
    "no reduction": (nn.MSELoss(reduction="none"), VALUES, "loss: reduction must be mean or sum, got 'none'"),
    "all ignored": (
        nn.CrossEntropyLoss(ignore_index=2), 0 * LABELS + 2,
        "all labels are 2, which is ignored (ignore_index): their mean is not defined",
    ),
    "out of range beside ignored": (
        nn.CrossEntropyLoss(), torch.tensor([0, -100, 3, 1, 2, 0]), "labels of batch 1 run from 0 to 3: the model has 3"
    ),
    "ignored in a late sample": (
        lambda o, t: nn.functional.cross_entropy(o, t, ignore_index=1), SORTED, "over 6 samples is not the mean of"
    ),
    "weights that show late": (
        lambda o, t: nn.functional.nll_loss(o, t, weight=WEIGHTS.to(o)), SORTED, "over 6 samples is not the mean of"
    ),
    "a class": (
        nn.CrossEntropyLoss, LABELS,
        "loss is the class CrossEntropyLoss itself: an instance is accepted, as CrossEntropyLoss()",
    ),
    "weights of another length": (nn.CrossEntropyLoss(torch.ones(2)), LABELS, "class weights must be 3 numbers"),
    "negative weights": (nn.CrossEntropyLoss(-WEIGHTS), LABELS, "class weights must be 3 numbers, none negative"),
    "weights of samples": (nn.BCEWithLogitsLoss(torch.ones(M, 1)), VALUES, "weight (6, 1) must be one number, or"),
    "too many weights": (nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)), VALUES, "loss: pos_weight (2,) must be one"),
    "truths as integers": (nn.BCEWithLogitsLoss(), VALUES > 0.5, "has outputs; convert them, as in targets.float()"),
    "truths out of range": (nn.BCEWithLogitsLoss(), 3 * VALUES - 1, "from 0 to 1 are accepted"),
    "weights of no label": (
        nn.CrossEntropyLoss(torch.tensor([0.0, 1, 0])), 0 * LABELS, "the class weights of all labels are 0"
    ),
    "labels too high": ("cross-entropy", LABELS + 1, "labels of batch 1 run from 1 to 3: the model has 3 outputs, so"),
    "labels too low": ("squared", LABELS - 1, "run from -1 to 1: the model has 3 outputs, so labels from 0 to 2"),
    "labels as numbers": ("cross-entropy", LABELS.double(), "class numbers (m,) as integers or probabilities (m, 3)"),
    "labels as truths": ("cross-entropy", LABELS > 0, "targets of batch 1 are torch.bool (6,): class numbers"),
    "labels in a column": ("cross-entropy", LABELS[:, None], "are torch.int64 (6, 1): class numbers"),
    "no probabilities": ("cross-entropy", VALUES, "are no probabilities: rows of numbers >= 0 with sum 1 are needed"),
    "too many shares": ("cross-entropy", torch.ones(M, 4) / 4, "have 4 probabilities, the model 3 outputs"),
    "values that would be broadcast": ("squared", VALUES[:, 0], "values (m, 3), or class numbers (m,)"),
    "labels for MSE": (nn.MSELoss(), LABELS, "targets of batch 1 are torch.int64 (6,): values (m, 3) are needed"),
    "not split": (lambda o, t: (o - t).square().sum() ** 2, VALUES, "over 4 samples is not the mean of theirs"),
    "a sum called a mean": (lambda o, t: (o - t).square().sum(), VALUES, "set its attribute `reduction`"),
    "one number for each sample": (lambda o, t: (o - t).sum(dim=1), VALUES, "one number is needed, with"),
    "no tensor": (lambda o, t: 1.0, VALUES, "one number is needed"),
    "a failure": (lambda o, t: o @ t, VALUES, "the loss <lambda> cannot be called on outputs (4, 3) and targets"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_loss_is_refused_in_one_sentence(case):
    loss, targets, says = REFUSED[case]
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 -- compared below, without escapes
        loss_of(loss, batches_of(targets, (M,)), OUTPUTS[:4])
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_texts_of_different_losses_differ():
    losses = ["cross-entropy", "squared", nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum"), nn.MSELoss(),
              nn.CrossEntropyLoss(label_smoothing=0.1), nn.CrossEntropyLoss(WEIGHTS),
              nn.CrossEntropyLoss(WEIGHTS * (1 + 2.0**-20)), nn.HuberLoss(), nn.HuberLoss(delta=2.0),
              smooth, summed]  # fmt: skip
    texts = [loss_text(loss) for loss in losses]
    assert len(set(texts)) == len(texts)
    assert texts == [loss_text(loss) for loss in losses]
    assert " at 0x" not in " ".join(texts)

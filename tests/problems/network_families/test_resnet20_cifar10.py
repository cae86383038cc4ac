"""ResNet20 on CIFAR-10: its forms, the files it needs, what it says without them, and what trained weights reach."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from hessbench.estimand import Diagonal, TopEigenvalues, Trace
from hessbench.operators import check_operator
from hessbench.problems.curvature.matrices import OPERATORS, curvature_operator
from hessbench.problems.network_families.resnet20_cifar10 import (
    IMAGES_FILE,
    RESNET20_CIFAR10,
    STORED,
    resnet20_module,
    resnet20_network,
    resnet20_problem,
    resnet20_state,
    unavailable,
)

CPU = torch.device("cpu")
WEIGHTS_FILE = STORED["pyhessian"].file
missing_files = next((reason for weights in STORED if (reason := unavailable(weights)) is not None), None)
needs_data = pytest.mark.skipif(missing_files is not None, reason=str(missing_files))


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """A folder with small files of the right form."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(6, dtype=np.uint8)
    np.savez(tmp_path / IMAGES_FILE, x_train=images, y_train=labels, x_test=images, y_test=labels)
    for stored in STORED.values():
        state = resnet20_state("random", stored.shortcuts)
        np.savez(tmp_path / stored.file, **{name: value.numpy() for name, value in state.items()})
    monkeypatch.setenv("HESSBENCH_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("params", "dim", "head"),
    [
        ({}, 272_474, "fc"),
        ({"weights": "pyhessian", "shortcuts": "projection"}, 272_474, "fc"),
        ({"weights": "random"}, 272_474, "fc"),
        ({"weights": "random", "shortcuts": "projection"}, 272_474, "fc"),
        ({"weights": "akamaster"}, 269_722, "linear"),
        ({"weights": "akamaster", "shortcuts": "padded"}, 269_722, "linear"),
        ({"weights": "random", "shortcuts": "padded"}, 269_722, "linear"),
    ],
)
def test_the_dimension_and_the_pieces_follow_the_shortcuts(params, dim, head):
    problem = resnet20_problem(**params)
    assert problem.dim == dim
    assert sum(int(np.prod(shape)) for shape in problem.shapes.values()) == dim
    assert list(problem.shapes)[-2:] == [f"{head}.weight", f"{head}.bias"]


@pytest.mark.parametrize(
    ("weights", "shortcuts", "needed"), [("pyhessian", "padded", "projection"), ("akamaster", "projection", "padded")]
)
def test_trained_weights_with_other_shortcuts_are_refused_in_one_sentence(weights, shortcuts, needed):
    message = f"^resnet20-cifar10: weights={weights} needs shortcuts={needed}, got {shortcuts}$"
    with pytest.raises(ValueError, match=message):
        resnet20_problem(weights=weights, shortcuts=shortcuts)


def test_what_the_defaults_name_has_not_changed():
    assert resnet20_problem().name == "resnet20-cifar10"
    assert resnet20_problem(weights="random", samples=8).name == "resnet20-cifar10[samples=8,weights=random]"
    assert RESNET20_CIFAR10.presets == ("resnet20-cifar10[operator=hessian]", "resnet20-cifar10[operator=ggn]")


@pytest.mark.parametrize(
    ("weights", "mean", "std"),
    [
        ("pyhessian", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        ("akamaster", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_the_network_is_the_module_at_the_weights_and_pixel_statistics_of_its_file(weights, mean, std, data_folder):
    network = resnet20_network(2, weights)
    model = resnet20_module(weights).to_empty(device=CPU)
    model.load_state_dict(resnet20_state(weights))
    with np.load(data_folder / IMAGES_FILE) as stored:
        pixels = torch.as_tensor(stored["x_train"][:2]).permute(0, 3, 1, 2) / 255
    images = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    (batch,) = network.batches
    torch.testing.assert_close(batch.inputs, images)
    with torch.no_grad():
        torch.testing.assert_close(network.forward(network.parameters, batch.inputs), model(images))


@pytest.mark.parametrize("weights", ["pyhessian", "akamaster", "random"])
def test_without_the_variable_it_says_what_is_missing_and_what_to_do(weights, monkeypatch):
    monkeypatch.delenv("HESSBENCH_DATA", raising=False)
    reason = resnet20_problem(weights=weights).unavailable()
    assert reason is not None
    assert "HESSBENCH_DATA is not set" in reason
    assert "set HESSBENCH_DATA to the folder" in reason


def test_a_missing_or_damaged_file_is_named_without_its_path(data_folder):
    assert unavailable("pyhessian") is None
    assert unavailable("akamaster") is None
    (data_folder / WEIGHTS_FILE).write_bytes(b"not an archive")
    damaged = unavailable("pyhessian")
    assert unavailable("random") is None
    assert unavailable("akamaster") is None
    (data_folder / WEIGHTS_FILE).unlink()
    missing = unavailable("pyhessian")
    (data_folder / IMAGES_FILE).write_bytes((data_folder / IMAGES_FILE).read_bytes()[:5000])
    images = unavailable("random")
    for reason in (damaged, missing, images):
        assert reason is not None
        assert str(data_folder) not in reason
        assert "\n" not in reason
    assert "damaged" in damaged
    assert "weights=random" in damaged
    assert "weights=random" in missing
    assert IMAGES_FILE in images


def test_weights_of_the_other_form_under_the_name_of_a_file_are_noticed(data_folder):
    (data_folder / STORED["akamaster"].file).replace(data_folder / WEIGHTS_FILE)
    assert "damaged" in unavailable("pyhessian")
    with pytest.raises(ValueError, match=r"weights of ResNet20 lack the array layer2\.0\.downsample\.0\.weight"):
        resnet20_state("pyhessian")


@pytest.mark.parametrize("shortcuts", ["projection", "padded"])
@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_products_on_small_files_are_symmetric_linear_and_the_same_twice(operator, shortcuts, data_folder):
    weights = "pyhessian" if shortcuts == "projection" else "random"
    problem = resnet20_problem(samples=2, operator=operator, weights=weights, shortcuts=shortcuts)
    op = problem.build(CPU, torch.float32)
    check_operator(op, torch.Generator().manual_seed(0))
    block = torch.randn(op.dim, 2, generator=torch.Generator().manual_seed(1))
    # The same engine twice: one that is chosen by measuring may be another the next time.
    engine = "rules" if operator in ("hessian", "ggn") else "auto"
    fixed = resnet20_problem(samples=2, operator=operator, weights=weights, shortcuts=shortcuts, engine=engine)
    one, two = (fixed.build(CPU, torch.float32).matmat(block) for _ in range(2))
    assert torch.equal(one, two)
    assert RESNET20_CIFAR10.problem(problem.name).hash == problem.hash
    more = resnet20_problem(samples=3, operator=operator, weights=weights, shortcuts=shortcuts)
    assert more.hash != problem.hash


def test_the_gram_spectrum_is_that_of_the_ggn_and_its_factor(data_folder):
    problem = resnet20_problem(samples=2, operator="ggn")
    op = curvature_operator(resnet20_network(2, "pyhessian").to(CPU, torch.float64), "ggn")
    F = op.factor.rmatmat(torch.eye(20, dtype=torch.float64))
    trace = problem.references[Trace](Trace())
    assert float(F.square().sum()) == pytest.approx(trace.arrays["trace"][0], rel=1e-10)
    top = problem.references[TopEigenvalues](TopEigenvalues(3)).arrays["eigenvalues"]
    U, singular, _ = torch.linalg.svd(F, full_matrices=False)
    np.testing.assert_allclose(singular[:3].square().numpy(), top, rtol=1e-10)
    torch.testing.assert_close(op.matmat(U[:, :1]), U[:, :1] * top[0], rtol=0, atol=1e-9 * top[0])
    squares = op.factor.squared_sum(torch.ones(20, 1, dtype=torch.float64))[:, 0]
    per_sample = F.view(-1, 2, 10).sum(dim=2).square().sum(dim=1)
    torch.testing.assert_close(squares, per_sample, rtol=0, atol=1e-10 * float(squares.max()))


def test_every_operator_has_references_and_a_diagonal_only_where_it_is_exact():
    for operator in OPERATORS:
        known = resnet20_problem(operator=operator).references
        assert {TopEigenvalues, Trace} <= set(known)
        assert (Diagonal in known) == (operator != "residual")


@pytest.mark.slow
def test_splits_losses_reductions_and_batch_norm_on_the_batch_are_other_problems(data_folder):
    extras = ("split=test", "loss=squared", "reduction=sum", "weight_decay=0.5", "norm=train")
    problems = [RESNET20_CIFAR10.problem(f"resnet20-cifar10[samples=2{extra}]")
                for extra in ("", *(f",{extra}" for extra in extras))]  # fmt: skip
    assert len({problem.hash for problem in problems}) == 6
    assert problems[4].name == "resnet20-cifar10[samples=2,weight_decay=0.5]"
    block = torch.randn(272_474, 1, generator=torch.Generator().manual_seed(0))
    plain, test, loss, summed, decayed, trained = (
        problem.build(CPU, torch.float32).matmat(block) for problem in problems
    )
    size = float(plain.norm())
    # The small files hold the same images for both splits; engines chosen by measuring may differ.
    torch.testing.assert_close(test, plain, rtol=0, atol=1e-4 * size)
    torch.testing.assert_close(summed, 2 * plain, rtol=0, atol=1e-4 * size)
    torch.testing.assert_close(decayed, plain + 0.5 * block, rtol=0, atol=1e-5 * size)
    for other in (loss, trained):
        assert float((other - plain).norm()) > 0.1 * size


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"split": "test", "samples": 2001}, "samples must be between 1 and 2000, got 2001"),
        ({"split": "valid"}, "split must be one of train, test, got 'valid'"),
        ({"loss": "hinge"}, "loss must be one of cross-entropy, squared, got 'hinge'"),
        ({"reduction": "max"}, "reduction must be one of mean, sum, got 'max'"),
        ({"norm": "batch"}, "norm must be one of eval, train, got 'batch'"),
        ({"norm": "train", "operator": "gradient-covariance"}, "operator=gradient-covariance needs every sample"),
    ],
)
def test_other_parameters_out_of_range_are_refused(params, says):
    with pytest.raises(ValueError, match=says):
        resnet20_problem(**params)


def hits_and_loss(weights, split, samples):
    """Right answers, and mean cross-entropy, on the first images of a split."""
    network = resnet20_network(samples, weights, split)
    (batch,) = network.batches
    with torch.no_grad():
        logits = torch.cat([network.forward(network.parameters, part) for part in batch.inputs.split(250)])
    loss = float(nn.functional.cross_entropy(logits.double(), batch.targets))
    return int((logits.argmax(dim=1) == batch.targets).sum()), loss


@pytest.mark.data
@pytest.mark.slow
@needs_data
@pytest.mark.parametrize(
    ("weights", "split", "samples", "hits", "loss"),
    [
        ("pyhessian", "test", 2000, 1841, 0.30035),
        ("pyhessian", "train", 7500, 7475, 0.01321),
        ("akamaster", "test", 2000, 1828, 0.36709),
        ("akamaster", "train", 7500, 7487, 0.00907),
    ],
)
def test_trained_networks_reproduce_the_loss_and_accuracy_stated_for_their_files(weights, split, samples, hits, loss):
    found, mean = hits_and_loss(weights, split, samples)
    assert found == hits
    assert mean == pytest.approx(loss, abs=6e-6)


@pytest.mark.data
@needs_data
@pytest.mark.parametrize(("weights", "accuracy"), [("pyhessian", 0.9205), ("akamaster", 0.9140)])
def test_the_first_test_images_are_recognised_as_often_as_all_are(weights, accuracy):
    found, _ = hits_and_loss(weights, "test", 300)
    # 300 of 2000 drawn without replacement: a standard deviation of 1.4 to 1.5 %, here four of them.
    deviation = (accuracy * (1 - accuracy) / 300 * (1 - 300 / 2000)) ** 0.5
    assert abs(found / 300 - accuracy) < 4 * deviation


@pytest.mark.data
@needs_data
@pytest.mark.parametrize("weights", STORED)
def test_the_first_training_images_have_the_batch_norm_and_labels_of_the_files(weights):
    assert os.environ["HESSBENCH_DATA"]
    found, loss = hits_and_loss(weights, "train", 64)
    assert found > 0.95 * 64
    assert loss < 0.1

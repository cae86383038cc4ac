"""ResNet20: its shape, the folded batch norm, the files it needs, and what it says without them."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from hessbench.estimand import TopEigenvalues, Trace
from hessbench.operators import check_operator
from hessbench.problems.curvature import curvature_operator
from hessbench.problems.resnet20 import (
    ResNet20,
    flat_parameters,
    normalised_convolution,
    random_state,
    resnet20_logits,
    state_from,
    state_shapes,
)
from hessbench.problems.resnet20_cifar10 import (
    IMAGES_FILE,
    RESNET20_CIFAR10,
    WEIGHTS_FILE,
    resnet20_network,
    resnet20_problem,
    unavailable,
)

CPU = torch.device("cpu")
needs_data = pytest.mark.skipif(
    unavailable("pyhessian") is not None, reason=str(unavailable("pyhessian")).partition("\n")[0]
)


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """A folder with small files of the right form."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(6, dtype=np.uint8)
    np.savez(tmp_path / IMAGES_FILE, x_train=images, y_train=labels, x_test=images, y_test=labels)
    np.savez(tmp_path / WEIGHTS_FILE, **{name: value.numpy() for name, value in random_state().items()})
    monkeypatch.setenv("HESSBENCH_DATA", str(tmp_path))
    return tmp_path


def test_the_network_has_272474_parameters():
    assert sum(parameter.numel() for parameter in ResNet20().parameters()) == 272_474
    assert flat_parameters(random_state()).numel() == 272_474 == resnet20_problem().dim


def test_flat_parameters_are_in_the_order_of_the_module():
    model, state = ResNet20(), random_state()
    model.load_state_dict(state, strict=False)
    together = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert torch.equal(together, flat_parameters(state))


def test_the_functional_network_is_the_module():
    model, state = ResNet20(), random_state()
    model.load_state_dict(state, strict=False)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(resnet20_logits(state)(flat_parameters(state), images), model(images))


def test_folding_batch_norm_is_exact_in_value_and_in_derivatives():
    generator = torch.Generator().manual_seed(1)
    convolution, norm = nn.Conv2d(2, 3, 3, padding=1, bias=False).double(), nn.BatchNorm2d(3).double().eval()
    norm.running_mean, norm.running_var = torch.randn(3, generator=generator).double(), torch.rand(3).double() + 0.5
    x = torch.randn(2, 2, 5, 5, generator=generator).double()
    weights = [*convolution.parameters(), *norm.parameters()]
    folded, plain = normalised_convolution(x, convolution, norm).tanh().sum(), norm(convolution(x)).tanh().sum()
    torch.testing.assert_close(folded, plain, rtol=0, atol=1e-13)
    for one, other in zip(torch.autograd.grad(folded, weights), torch.autograd.grad(plain, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_random_weights_keep_activations_of_order_one():
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    state = random_state()
    logits = resnet20_logits(state)(flat_parameters(state), images)
    assert 0.05 < float(logits.std()) < 5


def test_weights_of_another_form_are_refused():
    arrays = {name: np.zeros(shape, dtype=np.float32) for name, shape in state_shapes().items()}
    with pytest.raises(ValueError, match=r"lack the array fc\.bias"):
        state_from({name: array for name, array in arrays.items() if name != "fc.bias"})
    with pytest.raises(ValueError, match=r"fc\.bias of ResNet20 must have shape \(10,\), got \(3,\)"):
        state_from({**arrays, "fc.bias": np.zeros(3, dtype=np.float32)})


@pytest.mark.parametrize("weights", ["pyhessian", "random"])
def test_without_the_variable_it_says_what_is_missing_and_what_to_do(weights, monkeypatch):
    monkeypatch.delenv("HESSBENCH_DATA", raising=False)
    reason = resnet20_problem(weights=weights).unavailable()
    assert reason is not None
    assert "HESSBENCH_DATA is not set" in reason
    assert "set HESSBENCH_DATA to the folder" in reason


def test_a_missing_or_damaged_file_is_named_without_its_path(data_folder):
    assert unavailable("pyhessian") is None
    (data_folder / WEIGHTS_FILE).write_bytes(b"not an archive")
    damaged = unavailable("pyhessian")
    assert unavailable("random") is None
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


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_products_on_small_files_are_symmetric_linear_and_the_same_twice(operator, data_folder):
    problem = resnet20_problem(samples=2, operator=operator)
    op = problem.build(CPU, torch.float32)
    check_operator(op, torch.Generator().manual_seed(0))
    block = torch.randn(op.dim, 2, generator=torch.Generator().manual_seed(1))
    assert torch.equal(problem.build(CPU, torch.float32).matmat(block), op.matmat(block))
    assert RESNET20_CIFAR10.problem(problem.name).hash == problem.hash
    assert resnet20_problem(samples=3, operator=operator).hash != problem.hash


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


def test_references_exist_only_where_they_are_exact():
    assert resnet20_problem(operator="hessian").references == {}
    assert resnet20_problem(operator="ggn", samples=201).references == {}
    assert TopEigenvalues in resnet20_problem(operator="ggn", samples=200).references


@pytest.mark.data
@pytest.mark.slow
@needs_data
def test_the_trained_network_reproduces_its_published_loss_and_accuracy():
    network = resnet20_network(2000, "pyhessian", "test")
    (batch,) = network.batches
    with torch.no_grad():
        logits = torch.cat([network.forward(network.parameters, part) for part in batch.inputs.split(250)])
    assert float(nn.functional.cross_entropy(logits, batch.targets)) == pytest.approx(0.30035, abs=1e-5)
    assert int((logits.argmax(dim=1) == batch.targets).sum()) == 1841


@pytest.mark.data
@needs_data
def test_the_first_training_images_have_the_batch_norm_and_labels_of_the_files():
    assert os.environ["HESSBENCH_DATA"]
    network = resnet20_network(64, "pyhessian")
    (batch,) = network.batches
    with torch.no_grad():
        hits = network.forward(network.parameters, batch.inputs).argmax(dim=1) == batch.targets
    assert float(hits.float().mean()) > 0.95

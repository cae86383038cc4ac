"""The architectures: their sizes, what they refuse, and that everything in them can be differentiated twice."""

import math

import pytest
import torch

from hessbench.problems.networks import ARCHITECTURES, flat_forward, initial_state, parameter_shapes
from hessbench.problems.networks.architectures.all_cnn_c import all_cnn_c
from hessbench.problems.networks.architectures.cnn_3c3d import cnn_3c3d
from hessbench.problems.networks.architectures.mlp import mlp
from hessbench.problems.networks.linearisation import quiet_transforms

CIFAR = (3, 32, 32)
SMALL = {
    "mlp": (2, 3, 3),
    "cnn-3c3d": (1, 16, 16),
    "all-cnn-c": (1, 9, 9),
    "resnet20": (1, 5, 4),
    "resnet20-padded": (1, 5, 4),
    "resnet18": (1, 4, 4),
    "vgg11-bn": (1, 32, 32),
    "vgg16": (1, 32, 32),
    "vgg16-bn": (1, 32, 32),
}
LARGE = 20_000
"""Weights larger than this stay fixed while others are differentiated through them, to keep the tests small."""


def on_meta(name, shape=CIFAR, classes=10):
    with torch.device("meta"):
        return ARCHITECTURES[name].make(shape, classes)


def small_problem(name, *, constant=False):
    """Logits of small images in float64 as a function of the small weights, these weights, and a direction."""
    shape = SMALL[name]
    model = on_meta(name, shape, 3)
    state = initial_state(model, "test", name)
    sizes = {one: math.prod(shape) for one, shape in parameter_shapes(model).items()}
    names = [one for one, size in sizes.items() if size <= LARGE]
    forward = flat_forward(model, state, names)
    generator = torch.Generator().manual_seed(0)
    parameters = torch.cat([state[one].flatten() for one in names]).double()
    # Away from the initial point, where biases and shifts are all zero and units sit on their kinks.
    parameters += 0.05 * torch.randn(parameters.shape, generator=generator, dtype=torch.float64)
    direction = torch.randn(parameters.shape, generator=generator, dtype=torch.float64)
    samples = 1 if name.startswith("vgg") else 2
    images = torch.randn(samples, *shape, generator=generator, dtype=torch.float64)
    images = torch.full_like(images, 0.5) if constant else images
    return (lambda p: forward(p, images)), parameters, direction


def test_the_names_are_those_that_problems_use():
    assert list(ARCHITECTURES) == list(SMALL)
    assert all(name == architecture.name for name, architecture in ARCHITECTURES.items())
    assert [name for name, architecture in ARCHITECTURES.items() if architecture.batched] == ["mlp"]


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        ("cnn-3c3d", 10, 895_210),
        ("all-cnn-c", 100, 1_387_108),
        ("resnet20", 10, 272_474),
        ("resnet20-padded", 10, 269_722),
        ("resnet18", 10, 11_173_962),
        ("resnet18", 100, 11_220_132),
        ("vgg11-bn", 10, 28_157_706),
        ("vgg16", 100, 15_291_300),
        ("vgg16-bn", 100, 15_299_748),
    ],
)
def test_parameters_are_as_many_as_published_for_cifar(name, classes, count):
    assert sum(parameter.numel() for parameter in on_meta(name, classes=classes).parameters()) == count


@pytest.mark.parametrize(("widths", "count"), [((), 65 * 10), ((32,), 65 * 32 + 33 * 10), ((7, 5), 65 * 7 + 40 + 60)])
def test_an_mlp_has_a_weight_for_every_pair_and_a_bias_for_every_unit(widths, count):
    model = mlp((1, 8, 8), 10, widths=widths, activation="relu")
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert not model.training


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_an_mlp_is_the_product_of_its_layers(activation):
    model = mlp((3,), 2, widths=(4,), activation=activation).double()
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    W1, b1, W2, b2 = model.parameters()
    hidden = getattr(torch, activation)(x @ W1.T + b1)
    torch.testing.assert_close(model(x), hidden @ W2.T + b2)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_making_one_leaves_the_global_generator_alone_and_gives_evaluation_mode(name):
    before = torch.get_rng_state()
    model = ARCHITECTURES[name].make(SMALL[name], 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_on_the_meta_device_nothing_is_allocated_and_names_are_the_same(name):
    meta = on_meta(name, SMALL[name], 3)
    assert all(tensor.is_meta for tensor in meta.state_dict().values())
    assert parameter_shapes(meta) == parameter_shapes(ARCHITECTURES[name].make(SMALL[name], 3))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_are_one_row_a_sample_and_each_row_depends_on_its_own_input_only(name):
    model = on_meta(name, SMALL[name], 3)
    state = initial_state(model, "rows")
    forward = flat_forward(model, state, [])
    images = torch.randn(3, *SMALL[name], generator=torch.Generator().manual_seed(1))
    nothing = torch.empty(0)
    logits = forward(nothing, images)
    assert logits.shape == (3, 3)
    torch.testing.assert_close(forward(nothing, images[1:2]), logits[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_two_ways_to_a_hessian_product_agree_and_so_do_jacobian_products(name):
    outputs, parameters, direction = small_problem(name)

    def loss(p):
        logits = outputs(p)
        return torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2])[: len(logits)])

    with quiet_transforms():
        _, forward_over_reverse = torch.func.jvp(torch.func.grad(loss), (parameters,), (direction,))
        logits, pushed = torch.func.jvp(outputs, (parameters,), (direction,))
    tracked = parameters.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(tracked), tracked, create_graph=True)
    (twice,) = torch.autograd.grad(slope @ direction, tracked)
    scale = float(twice.abs().max())
    assert scale > 0
    torch.testing.assert_close(forward_over_reverse, twice, rtol=0, atol=1e-10 * scale)
    _, pull = torch.func.vjp(outputs, parameters)
    cotangent = logits.cos()
    torch.testing.assert_close((pushed * cotangent).sum(), pull(cotangent)[0] @ direction, rtol=1e-9, atol=0)
    # The slope along the direction is that of the loss itself. A step of 1e-7 errs by the square root of eps, more
    # where it crosses kinks; a product through the wrong window or channel is off by its own size.
    step = 1e-7
    difference = (outputs(parameters + step * direction) - outputs(parameters - step * direction)) / (2 * step)
    torch.testing.assert_close(difference, pushed, rtol=0, atol=1e-3 * float(pushed.abs().max()))


def test_ties_in_pooling_leave_products_finite_and_equal_both_ways():
    outputs, parameters, direction = small_problem("cnn-3c3d", constant=True)

    def loss(p):
        return outputs(p).square().sum()

    with quiet_transforms():
        _, one = torch.func.jvp(torch.func.grad(loss), (parameters,), (direction,))
    tracked = parameters.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(tracked), tracked, create_graph=True)
    (other,) = torch.autograd.grad(slope @ direction, tracked)
    assert bool(one.isfinite().all())
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10 * float(other.abs().max()))


def test_a_block_of_an_mlp_in_one_vectorised_pass_is_its_columns_one_by_one():
    outputs, parameters, _ = small_problem("mlp")
    block = torch.randn(4, parameters.numel(), generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def product(direction):
        return torch.func.jvp(torch.func.grad(lambda p: outputs(p).square().sum()), (parameters,), (direction,))[1]

    with quiet_transforms():
        together = torch.func.vmap(product)(block)
        one_by_one = torch.stack([product(direction) for direction in block])
    torch.testing.assert_close(together, one_by_one)


@pytest.mark.parametrize(("rows", "columns"), [(16, 17), (28, 28), (18, 19), (32, 33)])
def test_the_dense_layer_of_the_cnn_fits_what_pooling_leaves_of_any_image(rows, columns):
    with torch.device("meta"):
        model = cnn_3c3d((1, rows, columns), 10)
        assert model(torch.empty(2, 1, rows, columns)).shape == (2, 10)


@pytest.mark.parametrize(("rows", "columns"), [(9, 9), (28, 28), (12, 33)])
def test_all_cnn_c_takes_images_of_any_size_it_can_halve_twice(rows, columns):
    with torch.device("meta"):
        assert all_cnn_c((1, rows, columns), 7)(torch.empty(2, 1, rows, columns)).shape == (2, 7)


def test_logits_of_all_cnn_c_are_means_of_what_its_last_relu_lets_through():
    model = all_cnn_c((1, 9, 9), 5)
    with torch.no_grad():
        model.conv9.bias.copy_(torch.tensor([-100.0, -100.0, 100.0, 100.0, 100.0]))
        logits = model(torch.randn(2, 1, 9, 9, generator=torch.Generator().manual_seed(0)))
    assert not logits[:, :2].any()
    assert bool((logits[:, 2:] > 50).all())


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("cnn-3c3d", (1, 15, 28), r"cnn-3c3d takes images \(C, H, W\) of at least 16 x 16 pixels"),
        ("all-cnn-c", (3, 8, 8), "all-cnn-c takes images .* of at least 9 x 9 pixels"),
        ("vgg11-bn", (1, 28, 28), r"vgg11-bn takes images .* 32 x 32 pixels, got the shape \(1, 28, 28\)"),
        ("vgg16", (0, 32, 32), "vgg16 takes images"),
        ("resnet18", (64,), "resnet18 takes images"),
        ("mlp", (0, 3), "mlp takes inputs of a shape of positive sizes"),
        ("mlp", (), "mlp takes inputs of a shape of positive sizes"),
    ],
)
def test_inputs_an_architecture_cannot_take_are_refused_in_one_sentence(name, shape, message):
    with pytest.raises(ValueError, match=message) as refusal:
        ARCHITECTURES[name].make(shape, 10)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_without_outputs_is_refused(name):
    with pytest.raises(ValueError, match=f"{name}: classes must be at least 1, got 0"):
        ARCHITECTURES[name].make(SMALL[name], 0)


def test_other_widths_and_activations_of_an_mlp_are_refused():
    with pytest.raises(ValueError, match="every width must be at least 1, got 5-0"):
        mlp((4,), 2, widths=(5, 0))
    with pytest.raises(ValueError, match="activation must be one of tanh, relu, got 'gelu'"):
        mlp((4,), 2, activation="gelu")

"""A module as a function of flat parameters: tied and fixed weights, buffers, dtypes, and no side effects."""

import pytest
import torch
from torch import nn

from hessbench.problems.networks import flat_forward, flat_parameters, module_forward, parameter_shapes
from hessbench.problems.networks.linearisation import quiet_transforms


class Tied(nn.Module):
    """An autoencoder of one weight, used twice, with a scale that is a buffer outside the state dict."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 3, bias=False)
        self.middle = nn.Linear(3, 4, bias=False)
        self.decoder = nn.Linear(4, 3)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, x):
        return self.decoder(self.middle(self.encoder(x))) * self.scale


def images(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def normalised():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        model[1].running_mean.fill_(0.3)
        model[1].running_var.fill_(2.0)
    return model.eval()


def test_the_function_at_the_modules_own_weights_is_the_module():
    model, x = normalised(), images(5, 1, 4, 4)
    forward, parameters = module_forward(model)
    assert torch.equal(parameters, torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(forward(parameters, x), model(x), rtol=0, atol=0)


def test_weights_that_are_not_named_stay_at_the_state_and_names_give_the_order():
    model, x = normalised(), images(5, 1, 4, 4)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    forward = flat_forward(model, state, ["3.bias", "0.weight"])
    parameters = flat_parameters(state, ["3.bias", "0.weight"])
    assert parameters.shape == (3 + 18,)
    torch.testing.assert_close(forward(parameters, x), model(x))
    moved = parameters.clone()
    moved[:3] += 1
    torch.testing.assert_close(forward(moved, x), model(x) + 1)


def test_everything_follows_the_parameters_to_their_dtype():
    model, x = normalised(), images(5, 1, 4, 4, dtype=torch.float64)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    forward = flat_forward(model, state, ["3.bias"])
    outputs = forward(flat_parameters(state, ["3.bias"]).double(), x)
    assert outputs.dtype == torch.float64
    torch.testing.assert_close(outputs, model.double()(x), rtol=0, atol=1e-14)


def test_the_module_may_live_on_the_meta_device():
    real, x = normalised(), images(5, 1, 4, 4)
    with torch.device("meta"):
        empty = normalised()
    state = {name: value for name, value in real.state_dict().items() if "num_batches" not in name}
    names = tuple(parameter_shapes(empty))
    torch.testing.assert_close(flat_forward(empty, state, names)(flat_parameters(real), x), real(x))
    assert all(value.is_meta for value in empty.state_dict().values())


def test_a_tied_weight_has_one_place_and_reaches_both_uses():
    model = Tied().double()
    forward, parameters = module_forward(model)
    assert list(parameter_shapes(model)) == ["encoder.weight", "middle.weight", "decoder.bias"]
    assert parameters.numel() == 12 + 12 + 3
    x, p = images(2, 4, dtype=torch.float64), parameters.clone().requires_grad_()
    torch.testing.assert_close(forward(p, x), model(x))
    (slope,) = torch.autograd.grad(forward(p, x).square().sum(), p)
    model(x).square().sum().backward()
    torch.testing.assert_close(slope, torch.cat([q.grad.flatten() for q in model.parameters()]))


@pytest.mark.parametrize("alias", ["encoder.weight", "decoder.weight"])
def test_a_tied_weight_answers_to_each_of_its_names(alias):
    model, x = Tied(), images(2, 4)
    forward = flat_forward(model, model.state_dict(), [alias])
    torch.testing.assert_close(forward(flat_parameters(model, [alias]), x), model(x))
    zero = forward(torch.zeros(12), x)
    torch.testing.assert_close(zero, model.scale * model.decoder.bias.expand(2, 3))


def test_a_fixed_tied_weight_may_be_in_the_state_under_one_name():
    model, x = Tied(), images(2, 4)
    state = {name: value for name, value in model.state_dict().items() if name != "encoder.weight"}
    forward = flat_forward(model, state, ["middle.weight"])
    torch.testing.assert_close(forward(flat_parameters(model, ["middle.weight"]), x), model(x))


def test_naming_both_ends_of_a_tied_weight_or_one_twice_is_refused():
    model = Tied()
    with pytest.raises(ValueError, match=r"encoder\.weight and decoder\.weight are one weight"):
        parameter_shapes(model, ["encoder.weight", "decoder.weight"])
    with pytest.raises(ValueError, match=r"middle\.weight and middle\.weight are one weight"):
        flat_forward(model, model.state_dict(), ["middle.weight", "middle.weight"])


def test_what_is_no_parameter_or_not_in_the_state_is_refused_by_name():
    model = normalised()
    state = model.state_dict()
    with pytest.raises(ValueError, match=r"no parameter 1\.running_mean; it has 0\.weight"):
        flat_forward(model, state, ["1.running_mean"])
    for missing in ("0.bias", "1.running_var"):
        partial = {name: value for name, value in state.items() if name != missing}
        with pytest.raises(ValueError, match=rf"lacks the tensor {missing} of shape \(2,\)"):
            flat_forward(model, partial, ["0.weight"])
    with pytest.raises(ValueError, match=r"there is no parameter 9\.weight"):
        flat_parameters(state, ["9.weight"])


def test_flat_parameters_of_a_state_dict_leave_batch_norm_statistics_out():
    model = normalised()
    assert torch.equal(flat_parameters(model.state_dict()), flat_parameters(model))


def test_changing_the_module_afterwards_changes_nothing():
    model, x = normalised(), images(5, 1, 4, 4)
    forward, parameters = module_forward(model)
    before = forward(parameters, x)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.zero_()
    assert torch.equal(forward(parameters, x), before)


@pytest.mark.parametrize("counted", [True, False])
def test_batch_norm_in_training_mode_leaves_module_and_state_as_they_were(counted):
    model, x = normalised().train(), images(5, 1, 4, 4)
    state = {name: value.clone() for name, value in model.state_dict().items() if counted or "num_batches" not in name}
    kept = {name: value.clone() for name, value in state.items()}
    own = {name: value.clone() for name, value in model.state_dict().items()}
    forward = flat_forward(model, state, tuple(parameter_shapes(model)))
    p = flat_parameters(model)
    with quiet_transforms():
        _, product = torch.func.jvp(torch.func.grad(lambda q: forward(q, x).square().sum()), (p,), (p,))
    assert bool(product.isfinite().all())
    assert all(torch.equal(state[name], kept[name]) for name in kept)
    assert all(torch.equal(model.state_dict()[name], own[name]) for name in own)
    torch.testing.assert_close(forward(p, x), model(x))

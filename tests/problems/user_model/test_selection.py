"""Which parameters of a model are chosen, and by which names."""

import pytest
import torch
from torch import nn

from hessbench.problems.user_model.selection import selected_names


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3, 2)
        self.body = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))
        self.decoder = nn.Linear(2, 3)
        self.decoder.weight = self.embedding.weight


def frozen():
    model = Tied()
    model.body[0].requires_grad_(requires_grad=False)
    return model


EVERY = ("embedding.weight", "body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias", "decoder.bias")
CHOICES = {
    "all": (Tied, lambda m: None, EVERY),
    "what is not frozen": (frozen, lambda m: None, (EVERY[0], *EVERY[3:])),
    "names in any order": (Tied, lambda m: ["decoder.bias", "body.0.bias"], ("body.0.bias", "decoder.bias")),
    "a name twice": (Tied, lambda m: ["decoder.bias", "decoder.bias"], ("decoder.bias",)),
    "a tied weight by its other name": (Tied, lambda m: "decoder.weight", ("embedding.weight",)),
    "a module with a tied weight": (Tied, lambda m: "decoder", ("embedding.weight", "decoder.bias")),
    "a module": (Tied, lambda m: ["body.2"], ("body.2.weight", "body.2.bias")),
    "a module with a frozen part": (frozen, lambda m: ["body"], ("body.2.weight", "body.2.bias")),
    "parameters": (Tied, lambda m: [m.decoder.bias, m.decoder.weight], ("embedding.weight", "decoder.bias")),
    "parameters of a module": (Tied, lambda m: m.body[2].parameters(), ("body.2.weight", "body.2.bias")),
    "names and parameters": (Tied, lambda m: ["body.0", m.decoder.bias], (*EVERY[1:3], "decoder.bias")),
    "a function": (frozen, lambda m: lambda name: "bias" in name, ("body.2.bias", "decoder.bias")),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_the_chosen_parameters_come_in_the_order_of_the_model(choice):
    make, choose, expected = CHOICES[choice]
    model = make()
    assert selected_names(model, choose(model)) == expected


REFUSED = {
    "an unknown name": (
        Tied,
        "body.0.wieght",
        "no parameter or module 'body.0.wieght' (did you mean 'body.0.weight'?)",
    ),
    "an unknown module": (Tied, ["encoder"], "no parameter or module 'encoder' (did you mean 'decoder'?)"),
    "half a name": (Tied, ["emb"], "no parameter or module 'emb'"),
    "a frozen parameter": (frozen, ["body.0.weight"], "body.0.weight is frozen: call requires_grad_() on it, or leave"),
    "a frozen module": (frozen, "body.0", "body.0 is frozen"),
    "another model's": (Tied, [torch.ones(2, 2)], "a tensor (2, 2) that is no parameter of the model"),
    "nothing": (Tied, [], "params chooses no parameter that requires a gradient: at least one is needed"),
    "nothing by a function": (Tied, lambda name: False, "params chooses no parameter"),
    "nothing at all": (nn.Tanh, None, "params chooses no parameter"),
}


@pytest.mark.parametrize("choice", REFUSED)
def test_a_choice_is_refused_in_one_sentence(choice):
    make, params, says = REFUSED[choice]
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 -- compared below, without escapes
        selected_names(make(), params)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)

"""A recipe: held against its ranges, and one text for one meaning."""

from dataclasses import fields, replace

import pytest

from hessbench.problems.training.recipe import Recipe, usual_checkpoints

PLAIN = Recipe(steps=500, batch_size=64, learning_rate=0.1)

OTHERS = {
    "steps": Recipe(steps=600, batch_size=64, learning_rate=0.1, checkpoints=(0, 10, 100, 600)),
    "batch_size": replace(PLAIN, batch_size=32),
    "learning_rate": replace(PLAIN, learning_rate=0.2),
    "momentum": replace(PLAIN, momentum=0.5),
    "nesterov": replace(PLAIN, nesterov=True),
    "weight_decay": replace(PLAIN, weight_decay=1e-4),
    "schedule": replace(PLAIN, schedule="step", knots=((10, 0.1),)),
    "knots": replace(PLAIN, schedule="step", knots=((10, 0.2),)),
    "loss": replace(PLAIN, loss="squared"),
    "checkpoints": replace(PLAIN, checkpoints=(0, 500)),
    "seed": replace(PLAIN, seed=("other",)),
    "optimiser": replace(PLAIN, optimiser="adam"),
}


def test_every_field_but_short_is_in_the_content():
    assert set(OTHERS) == {field.name for field in fields(Recipe)} - {"short"}
    assert len({PLAIN.content(), *(other.content() for other in OTHERS.values())}) == 1 + len(OTHERS)
    assert replace(PLAIN, short=True).content() == PLAIN.content()


def test_equal_recipes_have_equal_content():
    assert Recipe(500, 64, 1, knots=((5, 1),), schedule="step") == Recipe(
        500, 64, 1.0, knots=((5, 1.0),), schedule="step"
    )
    assert (
        Recipe(500, 64, 1, knots=((5, 1),), schedule="step").content()
        == Recipe(500, 64, 1.0, knots=((5, 1.0),), schedule="step").content()
    )


def test_content_is_a_fixed_text():
    assert PLAIN.content() == (
        '{"batch_size":64,"checkpoints":[0,10,100,500],"knots":[],"learning_rate":0.1,"loss":"cross-entropy",'
        '"momentum":0.9,"nesterov":false,"schedule":"constant","seed":[],"steps":500,"weight_decay":0.0}'
    )


@pytest.mark.parametrize(
    ("steps", "named"),
    [(0, (0,)), (1, (0, 1)), (10, (0, 10)), (500, (0, 10, 100, 500)), (1000, (0, 10, 100, 1000))],
)
def test_checkpoints_are_powers_of_ten_and_the_end(steps, named):
    assert usual_checkpoints(steps) == named
    assert Recipe(steps, 1, 0.1).checkpoints == named


def test_rate_is_the_scheduled_one():
    recipe = replace(PLAIN, schedule="step", knots=((10, 0.5),))
    assert (recipe.rate(9), recipe.rate(10)) == (0.1, 0.05)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"steps": -1}, "steps must be a whole number of at least 0, got -1"),
        ({"steps": 1.5}, "steps must be a whole number of at least 0, got 1.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"learning_rate": float("inf")}, "learning_rate must be above 0, got inf"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"momentum": -0.1}, r"momentum must be in \[0, 1\), got -0.1"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs a momentum above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0, got -1.0"),
        ({"schedule": "cosine"}, "schedule must be one of"),
        ({"knots": ((1, 1.0),)}, "knots must be empty"),
        ({"loss": "square"}, r"loss must be one of cross-entropy, squared, got 'square' \(did you mean 'squared'\?\)"),
        ({"checkpoints": (0, 10)}, r"checkpoints must rise from 0 at the least to steps = 500, got \(0, 10\)"),
        ({"checkpoints": (0, 10, 10, 500)}, "checkpoints must rise"),
        ({"checkpoints": (-1, 500)}, "checkpoints must rise"),
    ],
)
def test_a_field_out_of_range_is_refused_in_one_sentence(wrong, said):
    with pytest.raises(ValueError, match=f"^recipe: {said}"):
        Recipe(**{"steps": 500, "batch_size": 64, "learning_rate": 0.1, **wrong})


def test_a_step_is_one_that_the_training_passes():
    for step in (0, 99, 100, 500):
        PLAIN.check_step(step)
    for step in (-1, 501):
        with pytest.raises(ValueError, match=rf"^step must be between 0 and 500, got {step}$"):
            PLAIN.check_step(step)

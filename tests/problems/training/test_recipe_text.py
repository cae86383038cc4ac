"""A recipe as a word of a spec: what it changes, and what it refuses in one sentence."""

import pytest

from hessbench.problems.training import Recipe
from hessbench.problems.training.recipe_text import read_recipe

BASE = Recipe(1000, 64, 0.1, weight_decay=1e-4, nesterov=True, schedule="step", knots=((500, 0.1),))


def test_built_in_changes_nothing():
    assert read_recipe("built-in").applied(BASE, 640) == BASE


def test_a_text_changes_what_it_names_and_nothing_else():
    found = read_recipe("rate:0.05+momentum:0+steps:50").applied(BASE, 640)
    assert found == Recipe(50, 64, 0.05, momentum=0.0, weight_decay=1e-4, schedule="step", knots=((500, 0.1),))
    adam = read_recipe("optimiser:adam+rate:1e-3+schedule:constant+decay:0").applied(
        Recipe(1000, 64, 0.1, weight_decay=1e-4), 640
    )
    assert adam == Recipe(1000, 64, 1e-3, optimiser="adam")


def test_epochs_are_whole_passes_of_whole_minibatches():
    assert read_recipe("epochs:3+batch:50").applied(BASE, 640).steps == 36
    with pytest.raises(ValueError, match="batch must be between 1 and the 640 samples of an epoch, got 641"):
        read_recipe("epochs:1+batch:641").applied(BASE, 640)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 1000])
def test_schedules_fall_by_the_end_of_any_number_of_steps(steps):
    plain = Recipe(1000, 64, 0.1)
    falls = read_recipe(f"schedule:linear+steps:{steps}").applied(plain, 640)
    assert [falls.rate(0), falls.rate(steps)] == [0.1, 0.0]
    halves = read_recipe(f"schedule:step+steps:{steps}").applied(plain, 640)
    assert halves.rate(steps // 2) == pytest.approx(0.01)
    assert halves.rate(steps + 1) == pytest.approx(0.001)
    thirds = read_recipe(f"schedule:thirds+steps:{steps}").applied(plain, 640)
    assert [thirds.rate(0), thirds.rate(max(1, steps // 3)), thirds.rate(steps + 1)] == pytest.approx(
        [0.1, 0.01, 0.001]
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rate", r"joined by '\+', such as rate:0.05\+steps:500, of optimiser, rate, .*got 'rate'"),
        ("speed:3", "got 'speed:3'"),
        ("rate:fast", "recipe: rate must be a number, got 'fast'"),
        ("rate:nan", "recipe: rate must be a number, got 'nan'"),
        ("rate:1+rate:2", "recipe: rate is given twice"),
        ("steps:0", "recipe: steps must be a whole number between 1 and 10000000, got '0'"),
        ("steps:99999999999999999999", "recipe: steps must be a whole number between 1 and 10000000"),
        ("batch:2.5", "recipe: batch must be a whole number"),
        ("optimiser:adamm", "recipe: optimiser must be one of sgd, adam, got 'adamm' .did you mean 'adam'"),
        ("schedule:cosine", "recipe: schedule must be one of constant, step, thirds, linear, got 'cosine'"),
        ("steps:5+epochs:5", "recipe takes steps or epochs, not both"),
        ("", "got ''"),
    ],
)
def test_what_is_not_accepted_is_one_sentence(text, says):
    with pytest.raises(ValueError, match=says) as caught:
        read_recipe(text)
    assert "\n" not in str(caught.value)

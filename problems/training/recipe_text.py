"""A recipe as one word of a spec: `recipe=rate:0.05+momentum:0+steps:500` changes the built-in one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from hessbench.problems.training.recipe import OPTIMISERS, Recipe, usual_checkpoints
from hessbench.problems.training.schedules import CONSTANT, PIECEWISE_LINEAR, STEP, Knots
from hessbench.specs import suggest

BUILT_IN: Final = "built-in"
"""The word that stands for the recipe of the architecture."""

_LINEAR: Final = "linear"
_THIRDS: Final = "thirds"
_MOST_STEPS: Final = 10_000_000


@dataclass(frozen=True)
class RecipeChanges:
    """What a text changes of a recipe; None where it changes nothing.

    Attributes:
        optimiser: sgd or adam.
        rate: Learning rate.
        momentum: Of sgd; of adam the decay of the first moment.
        decay: Weight decay.
        schedule: constant; step, a tenth from half of the steps on and a hundredth from three quarters on; thirds, the
            same from one and from two thirds on; or linear, a straight line down to zero.
        batch: Samples of a minibatch.
        steps: Updates made.
        epochs: The same in passes over the samples, in place of `steps`.
    """

    optimiser: str | None = None
    rate: float | None = None
    momentum: float | None = None
    decay: float | None = None
    schedule: str | None = None
    batch: int | None = None
    steps: int | None = None
    epochs: int | None = None

    def applied(self, recipe: Recipe, samples: int) -> Recipe:
        """A recipe with these changes.

        Args:
            recipe: What is changed.
            samples: Samples of an epoch.

        Raises:
            ValueError: If a value is out of range, or an epoch has no whole minibatch.
        """
        batch = recipe.batch_size if self.batch is None else self.batch
        steps = recipe.steps if self.steps is None else self.steps
        if self.epochs is not None:
            if not 1 <= batch <= samples:
                raise ValueError(f"recipe: batch must be between 1 and the {samples} samples of an epoch, got {batch}")
            steps = self.epochs * (samples // batch)
        if steps > _MOST_STEPS:
            raise ValueError(f"recipe: steps must be at most {_MOST_STEPS}, got {steps}")
        momentum = recipe.momentum if self.momentum is None else self.momentum
        schedule, knots = (recipe.schedule, recipe.knots) if self.schedule is None else _schedule(self.schedule, steps)
        return replace(
            recipe,
            steps=steps,
            batch_size=batch,
            learning_rate=recipe.learning_rate if self.rate is None else self.rate,
            momentum=momentum,
            nesterov=recipe.nesterov and momentum > 0,
            weight_decay=recipe.weight_decay if self.decay is None else self.decay,
            schedule=schedule,
            knots=tuple(knots),
            checkpoints=recipe.checkpoints if steps == recipe.steps else usual_checkpoints(steps),
            optimiser=recipe.optimiser if self.optimiser is None else self.optimiser,
        )


def read_recipe(text: str) -> RecipeChanges:
    """Read `built-in`, or changes `key:value` joined by `+`.

    Args:
        text: A word of a spec, such as `optimiser:adam+rate:0.001+epochs:5`.

    Raises:
        ValueError: If a key is unknown or given twice, or a value is not of its kind; saying what is accepted.
    """
    if text == BUILT_IN:
        return RecipeChanges()
    found: dict[str, Any] = {}
    for part in text.split("+"):
        key, colon, raw = part.partition(":")
        if key not in _KINDS or not colon:
            near = suggest(key, _KINDS)
            raise ValueError(
                f"recipe must be {BUILT_IN}, or changes of it joined by '+', such as rate:0.05+steps:500, "
                f"of {', '.join(_KINDS)}; got {part!r}{near}"
            )
        if key in found:
            raise ValueError(f"recipe: {key} is given twice")
        found[key] = _KINDS[key](key, raw)
    if "steps" in found and "epochs" in found:
        raise ValueError("recipe takes steps or epochs, not both")
    return RecipeChanges(**found)


def _schedule(name: str, steps: int) -> tuple[str, Knots]:
    if name == STEP:
        late = max(steps // 2 + 1, 3 * steps // 4)
        return STEP, ((steps // 2, 0.1), (late, 0.01))
    if name == _THIRDS:
        early = max(steps // 3, 1)
        return STEP, ((early, 0.1), (max(2 * steps // 3, early + 1), 0.01))
    if name == _LINEAR:
        return PIECEWISE_LINEAR, ((0, 1.0), (max(steps, 1), 0.0))
    return CONSTANT, ()


def _number(key: str, raw: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"recipe: {key} must be a number, got {raw!r}")
    return value


def _count(key: str, raw: str) -> int:
    if not (raw.isascii() and raw.isdecimal()) or not int(raw[:9]) >= 1 or len(raw) > 8:
        raise ValueError(f"recipe: {key} must be a whole number between 1 and {_MOST_STEPS}, got {raw!r}")
    return int(raw)


def _word(accepted: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(key: str, raw: str) -> str:
        if raw not in accepted:
            raise ValueError(f"recipe: {key} must be one of {', '.join(accepted)}, got {raw!r}{suggest(raw, accepted)}")
        return raw

    return read


_KINDS: Final[Mapping[str, Callable[[str, str], Any]]] = MappingProxyType(
    {
        "optimiser": _word(OPTIMISERS),
        "rate": _number,
        "momentum": _number,
        "decay": _number,
        "schedule": _word((CONSTANT, STEP, _THIRDS, _LINEAR)),
        "batch": _count,
        "steps": _count,
        "epochs": _count,
    }
)

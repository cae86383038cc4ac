"""The recipe of a training: everything that decides its weights, apart from network, initial state and data."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from typing import Final

from hessbench.problems.networks.losses import LOSSES
from hessbench.problems.training.schedules import CONSTANT, check_schedule, rate_factor
from hessbench.specs import suggest

SGD: Final = "sgd"
ADAM: Final = "adam"
OPTIMISERS: Final = (SGD, ADAM)


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent on minibatches, with momentum or by Adam.

    Attributes:
        steps: Updates made, at least 0.
        batch_size: Samples of a minibatch, at least 1.
        learning_rate: Rate that the schedule multiplies, above 0.
        momentum: In [0, 1); the momentum buffer is the decayed sum of gradients, not their mean. Of Adam, the decay
            of the first moment; that of the second is 0.999.
        nesterov: Whether the gradient is looked up ahead; needs a momentum above 0.
        weight_decay: Factor of the parameters added to the gradient, at least 0; every parameter decays.
        schedule: constant, step or piecewise-linear; see `hessbench.problems.training.schedules`.
        knots: Pairs (step, factor of the learning rate) of the schedule.
        loss: cross-entropy or squared, the mean over the minibatch.
        checkpoints: Named steps whose weights are kept: rising, the last one `steps`. Empty stands for 0, the powers
            of ten from 10 on, and `steps`.
        seed: Texts from which the order of the samples is drawn.
        short: Whether the training is cheap enough to be made on demand before a run, in seconds rather than
            minutes on one core: true of small perceptrons. It says nothing of the weights and is not part of `content`.
        optimiser: sgd or adam (Kingma and Ba 2015, arXiv:1412.6980).
    """

    steps: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = CONSTANT
    knots: tuple[tuple[int, float], ...] = ()
    loss: str = "cross-entropy"
    checkpoints: tuple[int, ...] = ()
    seed: tuple[str, ...] = ()
    short: bool = False
    optimiser: str = SGD

    def __post_init__(self) -> None:
        _number("steps", self.steps, "a whole number of at least 0", self.steps >= 0 and _whole(self.steps))
        _number(
            "batch_size",
            self.batch_size,
            "a whole number of at least 1",
            self.batch_size >= 1 and _whole(self.batch_size),
        )
        _number("learning_rate", self.learning_rate, "above 0", self.learning_rate > 0)
        _number("momentum", self.momentum, "in [0, 1)", 0 <= self.momentum < 1)
        _number("weight_decay", self.weight_decay, "at least 0", self.weight_decay >= 0)
        if self.nesterov and self.momentum == 0:
            raise ValueError("recipe: nesterov needs a momentum above 0, got momentum 0")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"recipe: optimiser must be one of {', '.join(OPTIMISERS)}, got {self.optimiser!r}")
        if self.nesterov and self.optimiser != SGD:
            raise ValueError(f"recipe: nesterov belongs to sgd, got optimiser {self.optimiser}")
        check_schedule(self.schedule, self.knots)
        if self.loss not in LOSSES:
            near = suggest(self.loss, LOSSES)
            raise ValueError(f"recipe: loss must be one of {', '.join(LOSSES)}, got {self.loss!r}{near}")
        if not self.checkpoints:
            object.__setattr__(self, "checkpoints", usual_checkpoints(self.steps))
        rising = all(late > early for early, late in itertools.pairwise(self.checkpoints))
        if not rising or self.checkpoints[0] < 0 or self.checkpoints[-1] != self.steps:
            raise ValueError(
                f"recipe: checkpoints must rise from 0 at the least to steps = {self.steps}, got {self.checkpoints}"
            )

    def rate(self, step: int) -> float:
        """Learning rate of the update that leads from `step` to `step + 1`."""
        return self.learning_rate * rate_factor(self.schedule, self.knots, step)

    def content(self) -> str:
        """Canonical text of all that decides the weights, for hashing: equal for equal recipes only."""
        facts = {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": float(self.learning_rate),
            "momentum": float(self.momentum),
            "nesterov": self.nesterov,
            "weight_decay": float(self.weight_decay),
            "schedule": self.schedule,
            "knots": [(step, float(factor)) for step, factor in self.knots],
            "loss": self.loss,
            "checkpoints": self.checkpoints,
            "seed": self.seed,
        }
        if self.optimiser != SGD:  # the texts of recipes from before there was a choice stay what they are
            facts["optimiser"] = self.optimiser
        return json.dumps(facts, sort_keys=True, separators=(",", ":"))

    def check_step(self, step: int) -> None:
        """Refuse a step that no training by this recipe passes.

        Raises:
            ValueError: Naming the range.
        """
        if not 0 <= step <= self.steps:
            raise ValueError(f"step must be between 0 and {self.steps}, got {step}")


def usual_checkpoints(steps: int) -> tuple[int, ...]:
    """0, the powers of ten from 10 on that are below `steps`, and `steps`."""
    powers = [10**exponent for exponent in range(1, len(str(steps)))]
    return tuple(sorted({0, *(power for power in powers if power < steps), steps}))


def _whole(value: object) -> bool:
    return isinstance(value, int)


def _number(name: str, value: float, accepted: str, holds: bool) -> None:
    if not holds or not math.isfinite(value):
        raise ValueError(f"recipe: {name} must be {accepted}, got {value}")

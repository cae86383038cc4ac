"""Schedules of the learning rate: pure functions of the step, as factors of the rate a recipe names."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, TypeAlias

from hessbench.specs import suggest

Knots: TypeAlias = Sequence[tuple[int, float]]

CONSTANT: Final = "constant"
STEP: Final = "step"
PIECEWISE_LINEAR: Final = "piecewise-linear"
SCHEDULES: Final = (CONSTANT, STEP, PIECEWISE_LINEAR)


def rate_factor(schedule: str, knots: Knots, step: int) -> float:
    """Factor of the learning rate for the update that leads from `step` to `step + 1`.

    constant: 1 throughout. step: 1, and from each knot's step on that knot's factor. piecewise-linear: the straight
    line between neighbouring knots, and beyond the first and the last their own factors.

    Args:
        schedule: constant, step or piecewise-linear.
        knots: Pairs (step, factor) with rising steps; none for a constant schedule.
        step: Number of updates made before, from 0.
    """
    if schedule == CONSTANT:
        return 1.0
    after = bisect_right([at for at, _ in knots], step)
    if after == 0:
        return 1.0 if schedule == STEP else knots[0][1]
    left_step, left = knots[after - 1]
    if schedule == STEP or after == len(knots):
        return left
    right_step, right = knots[after]
    return left + (right - left) * (step - left_step) / (right_step - left_step)


def check_schedule(schedule: str, knots: Knots) -> None:
    """Refuse an unknown schedule, or knots that do not fit it.

    Raises:
        ValueError: Saying what is accepted.
    """
    if schedule not in SCHEDULES:
        near = suggest(schedule, SCHEDULES)
        raise ValueError(f"recipe: schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}{near}")
    if schedule == CONSTANT and knots:
        raise ValueError(f"recipe: knots must be empty for a constant schedule, got {knots!r}")
    if schedule != CONSTANT and not knots:
        raise ValueError(f"recipe: knots must hold at least one (step, factor) for a {schedule} schedule, got none")
    steps = [step for step, _ in knots]
    if any(step < 0 for step in steps) or any(late <= early for early, late in itertools.pairwise(steps)):
        raise ValueError(f"recipe: knots must have rising steps from 0 on, got {steps}")
    factors = [factor for _, factor in knots]
    if not all(math.isfinite(factor) and factor >= 0 for factor in factors):
        raise ValueError(f"recipe: knots must have finite factors of at least 0, got {factors}")

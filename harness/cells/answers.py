"""From an evaluated estimate to messages: one for the cell's own estimand, and one for each other it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, cast, final

import numpy as np
from torch import Tensor

from hessbench.cells.messages import Checkpoint, Emit
from hessbench.estimand import ESTIMANDS, Estimand, Estimate
from hessbench.ledger.costs import Costs
from hessbench.ledger.record import finite_or_null
from hessbench.ledger.typed_fields import INT64
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator
from hessbench.redact import redact

_MOST_DIAGNOSTICS: Final = 100


@final
class Answers:
    """Answers on their way out: taken while the run goes on, emitted when that costs it nothing.

    Args:
        bound: The method, bound to the cell's own estimand.
        dim: Dimension of the operator.
        dtype: Name of the dtype the operator computes in.
        emit: Where messages go.
    """

    def __init__(self, bound: BoundMethod, dim: int, dtype: str, emit: Emit) -> None:
        self._bound = bound
        self._dim = dim
        self._dtype = dtype
        self._emit = emit
        self._pending: list[tuple[int, Estimand, Estimate, Costs]] = []
        self._op: LinearOperator | None = None
        self._handed: Mapping[str, Tensor] = {}
        self.diverged = ""
        """Why the cell's own estimate is no answer, not finite or broken down; empty while it is one."""
        self.last: Costs | None = None
        """What the last estimate cost."""

    def observe(self, op: LinearOperator, handed: Mapping[str, Tensor]) -> None:
        """Ask an operator for what only it tells of the estimates, off the clock and uncharged.

        Args:
            op: The operator, not the one that counts.
            handed: The vectors that are part of the question.
        """
        self._op, self._handed = op, handed

    def take(self, budget: int, estimate: Estimate, costs: Costs) -> None:
        """Take the estimate of one budget.

        Raises:
            ValueError: If it lacks an answer to the cell's own estimand.
        """
        found = _answers(estimate, self._bound, self._dim, self._dtype)
        self._pending += [(budget, estimand, answer, costs) for estimand, answer in found]
        self.last = costs

    def flush(self) -> None:
        """Emit what was taken.

        Raises:
            ValueError: If a value has another shape than its estimand.
        """
        while self._pending:
            self._emit_one(*self._pending.pop(0))

    def _emit_one(self, budget: int, estimand: Estimand, answer: Estimate, costs: Costs) -> None:
        arrays = estimand.to_arrays(answer.value, self._dim)
        if answer.interval is not None:
            arrays |= estimand.claimed(answer.interval, answer.value, self._dim)
        if self._op is not None and estimand is self._bound.estimand:
            arrays |= estimand.observed(answer.value, self._op, self._handed)
        finite = all(bool(np.isfinite(array).all()) for array in arrays.values())
        broken = str(answer.diagnostics.get("breakdown", ""))
        if (broken or not finite) and estimand is self._bound.estimand:
            said = broken or str(answer.diagnostics.get("reason", ""))
            self.diverged = redact(said) or "the estimate is not finite"
        freedom = {} if answer.stderr_dof is None else {"stderr_dof": answer.stderr_dof}
        diagnostics = plain_diagnostics({**freedom, **answer.diagnostics})
        self._emit(
            Checkpoint(
                budget=budget,
                estimand=estimand.spec,
                finite=finite,
                costs=costs,
                said_stderr=_number(answer.stderr),
                said_converged=None if answer.converged is None else bool(answer.converged),
                said_matvecs=_count(diagnostics.get("matvecs")),
                diagnostics=diagnostics,
                arrays=arrays,
            )
        )


def is_wanted(kind: type[Estimand], bound: BoundMethod) -> bool:
    """Whether an answer is scored; what nobody asked for, such as a basis of long vectors, is not computed."""
    return kind is type(bound.run_for) or not _needs_parameters(kind)


def _answers(estimate: Estimate, bound: BoundMethod, dim: int, dtype: str) -> list[tuple[Estimand, Estimate]]:
    """The cell's own estimand first, then the others the same run answered.

    Raises:
        ValueError: If the own one was not answered.
    """
    own = bound.answer(estimate, dim, dtype)
    if own is None:
        raise ValueError(f"the method gave no {bound.run_for.key}; it must be in `also`")
    known: dict[type[Estimand], Estimate] = {bound.method.estimands[0]: estimate, **estimate.also}
    others = [kind for kind in known if kind is not type(bound.estimand) and not _needs_parameters(kind)]
    return [(bound.estimand, own), *((kind(), known[kind]) for kind in others)]


def _needs_parameters(kind: type[Estimand]) -> bool:
    return kind not in ESTIMANDS.values() or kind.default() is None


def _are_numbers(values: Sequence[object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _number(value: Any) -> float | None:
    """A number that a method says of itself; None for one that is not finite, which says nothing."""
    return None if value is None or not math.isfinite(value) else float(value)


def _count(value: Any) -> int | None:
    """A number of products that a method says of itself, where that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < INT64 or value != int(value):
        return None
    return int(value)


def plain_diagnostics(diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    """The first hundred diagnostics as JSON values.

    A tensor of one number is read, of a list of numbers the first hundred are kept, a larger tensor is dropped.
    """
    plain: dict[str, Any] = {}
    for name, value in islice(diagnostics.items(), _MOST_DIAGNOSTICS):
        key = str(name)[:200]
        if isinstance(value, Tensor):
            if value.numel() == 1:
                plain[key] = float(value)
        elif value is None or isinstance(value, bool | int | float):
            plain[key] = value
        elif isinstance(value, list | tuple) and _are_numbers(cast("Sequence[object]", value)):
            plain[key] = list(cast("Sequence[object]", value)[:_MOST_DIAGNOSTICS])
        else:
            plain[key] = redact(str(value)[:400])[:200]
    return cast("dict[str, Any]", finite_or_null(plain))

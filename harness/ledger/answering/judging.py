"""One method at one tolerance: the smallest budget from which on every repeat stays within it, and what that cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hessbench.ledger.answering.claims import claims, values_within
from hessbench.ledger.answering.entries import MethodAnswer, State
from hessbench.ledger.answering.method_repeats import MethodRepeats, Repeat, tally
from hessbench.ledger.answering.words import percent, plural
from hessbench.ledger.passes import passes_of
from hessbench.ledger.record import WITHOUT_ENGINE, Record, Status
from hessbench.ledger.shown_errors import USELESS
from hessbench.ledger.spreads import spread

LEAST_REPEATS: Final = 3
"""Repeats that a method with randomness needs to be judged."""


CONTENDED: Final = "timed while other work ran"

LEAST_HOST_PEAK: Final = float(1 << 19)
"""Bytes of host memory below which peaks are noise, since the kernel counts resident pages in batches."""


@dataclass(frozen=True)
class AnswerJudgement:
    """What is known of a method at a tolerance, at which budget, and why."""

    state: State
    budget: int | None
    reason: str = ""


def judge(method: MethodRepeats, tolerance: float, least_repeats: int = LEAST_REPEATS) -> AnswerJudgement:
    """Find the smallest budget from which on every repeat stays within a tolerance.

    A budget counts from on which all its cells came to an answer, every answer at it and at all larger budgets is
    within, and at least three repeats are there, or the method draws no random number. A larger budget at which a cell
    was cut short was not measured there: that is said. An answer that is not finite is not within.

    Args:
        method: What it was measured at.
        tolerance: Largest error accepted.
        least_repeats: Repeats that a method with randomness needs.
    """
    answered = [budget for budget, at in method.budgets.items() if any(it.is_answered for it in at.values())]
    if not answered:
        return AnswerJudgement(State.FAILED, None, _how_it_ended(method))
    largest = answered[-1]
    if all(repeat.shown.value is None and repeat.status is Status.OK for repeat in _answered(method, largest)):
        return AnswerJudgement(State.NOT_JUDGED, largest, _unscored(_answered(method, largest)[0]))
    if method.bound is not None and method.bound > tolerance:
        useless = "useless: " if method.bound >= USELESS else ""
        reason = f"{useless}the reference itself is known to {percent(method.bound)} only"
        return AnswerJudgement(State.NOT_JUDGED, largest, reason)
    lasting = _lasting(method, tolerance)
    if not lasting:
        return AnswerJudgement(State.NOT_REACHED, largest, _why_not(method, largest, tolerance))
    enough = [budget for budget in lasting if method.is_random is False or _number(method, budget) >= least_repeats]
    if not enough:
        budget = max(lasting, key=lambda it: (_number(method, it), -it))
        number = _number(method, budget)
        reason = f"within {percent(tolerance)} in {plural(number, 'repeat')}; {least_repeats} are needed"
        return AnswerJudgement(State.NOT_JUDGED, budget, reason)
    return AnswerJudgement(State.REACHED, enough[0], _to_know(method, enough[0]))


def entry(method: MethodRepeats, name: str, tolerance: float, engine: str, peaks: Sequence[Record]) -> MethodAnswer:
    """What a method's answer is and costs, its ratio to the best left out.

    Args:
        method: The method.
        name: Name to show.
        tolerance: Largest error accepted.
        engine: Seconds of cells with another engine are left out.
        peaks: Terminal rows of the memory pass of its run.
    """
    found = judge(method, tolerance)
    bare = MethodAnswer(
        method.key, name, found.state, found.reason, found.budget, is_random=method.is_random, bound=method.bound
    )
    if found.budget is None:
        return bare
    repeats = _answered(method, found.budget)
    build, wall, both, note = seconds(repeats, engine)
    peak, peak_budget = _peak(peaks, found.budget, method.key.device)
    is_relative = any(repeat.shown.name == "relative" for repeat in repeats)
    return replace(
        bare,
        repeats=len(repeats),
        error=spread(repeat.shown.value for repeat in repeats),
        scaled_error=spread(repeat.answer.row.error for repeat in repeats) if is_relative else None,
        products=spread(repeat.answer.row.matvecs for repeat in repeats),
        gradient_equivalents=spread(repeat.answer.row.gradient_equivalents for repeat in repeats),
        build_s=spread(build.values()),
        wall_s=spread(wall.values()),
        seconds=spread(both.values()),
        seconds_note=note,
        peak_bytes=spread(peak.values()),
        peak_budget=peak_budget,
        passes=spread(passes_of(repeat.answer.row) for repeat in repeats),
        values=values_within(method.key.estimand, repeats, tolerance),
        claims=claims(repeats, tolerance),
        cells=tuple(repeat.answer.row.cell for repeat in repeats),
    )


ByRepeat = Mapping[int, float]


def seconds(repeats: Sequence[Repeat], engine: str) -> tuple[ByRepeat, ByRepeat, ByRepeat, str]:
    """Build, wall and both by repeat, and what to know of them.

    Seconds of the memory pass are none; of cells with another engine they are left out; and those taken while other
    work ran are left out where others were not.
    """
    timed = [it for it in repeats if it.answer.terminal.pass_ == "time" and it.answer.seconds is not None]
    if not timed:
        return {}, {}, {}, "not timed"
    # Rows alone, and a library's own products, are made without an engine: how is the method's own, as its time is.
    like = [repeat for repeat in timed if repeat.answer.terminal.engine_name in (engine, *WITHOUT_ENGINE)]
    notes: list[str] = []
    if len(like) < len(timed):
        other = next(it.answer.terminal.engine_name for it in timed if it not in like)
        where = f"{len(timed) - len(like)} of {len(timed)} cells"
        notes.append(f"{where} ran with the engine {other or 'not named'}: their seconds do not compare")
    alone = [repeat for repeat in like if not _is_contended(repeat)]
    if like and not alone:
        notes.append(CONTENDED)
    elif len(alone) < len(like):
        notes.append(f"of the {len(alone)} repeats that ran alone")
    kept = {repeat.answer.row.repeat: repeat.answer for repeat in alone or like}
    build = {number: answer.build_s or 0.0 for number, answer in kept.items()}
    both = {number: answer.seconds or 0.0 for number, answer in kept.items()}
    return build, {number: both[number] - build[number] for number in both}, both, "; ".join(notes)


def costs_by_repeat(
    method: MethodRepeats, found: MethodAnswer, engine: str, peaks: Sequence[Record]
) -> dict[str, ByRepeat]:
    """Every cost that may rank, repeat by repeat, at the budget of an entry.

    Args:
        method: The method.
        found: Its entry.
        engine: Seconds of cells with another engine are left out.
        peaks: Terminal rows of the memory pass of its run.
    """
    if found.budget is None:
        return {}
    repeats = _answered(method, found.budget)
    rows = {repeat.answer.row.repeat: repeat.answer.row for repeat in repeats}
    return {
        "seconds": seconds(repeats, engine)[2],
        "products": {number: float(row.matvecs) for number, row in rows.items()},
        "gradients": {number: row.gradient_equivalents for number, row in rows.items()},
        "memory": _peak(peaks, found.budget, method.key.device)[0],
        "passes": {number: known for number, row in rows.items() if (known := passes_of(row)) is not None},
    }


def comparable_peak(peak_bytes: float, device: str) -> float:
    """A peak as it may be compared: on the host, what is below half a MiB counts as that."""
    return max(peak_bytes, LEAST_HOST_PEAK) if device == "cpu" else peak_bytes


def _lasting(method: MethodRepeats, tolerance: float) -> list[int]:
    """Budgets, ascending, at which all cells came to an answer, with no answer outside there or beyond."""
    found: list[int] = []
    for budget in sorted(method.budgets, reverse=True):
        at = method.budgets[budget].values()
        if any(it.is_answered and not it.is_within(tolerance) for it in at):
            break
        if all(it.is_answered for it in at):
            found.append(budget)
    return found[::-1]


def _answered(method: MethodRepeats, budget: int) -> list[Repeat]:
    return [repeat for repeat in method.budgets[budget].values() if repeat.is_answered]


def _number(method: MethodRepeats, budget: int) -> int:
    return len(_answered(method, budget))


def _why_not(method: MethodRepeats, largest: int, tolerance: float) -> str:
    """Why a tolerance is not reached: at the largest budget, or because it was left again."""
    last = method.budgets[largest]
    within = sum(repeat.is_within(tolerance) for repeat in last.values())
    said = f"{within} of {len(last)} repeats within {percent(tolerance)}" if within else ""
    lost = [repeat for repeat in last.values() if repeat.status is not Status.OK]
    if lost:
        said = "; ".join(filter(None, [said, tally(repeat.status.value for repeat in lost)]))
    before = [
        budget
        for budget, at in method.budgets.items()
        if budget < largest and all(repeat.is_within(tolerance) for repeat in at.values())
    ]
    if before:
        said = "; ".join(filter(None, [said, f"within at budget {before[-1]:,}, not from there on"]))
    return said


def _to_know(method: MethodRepeats, budget: int) -> str:
    """What to know of a method that reached the tolerance: repeats that lack, and larger budgets that were cut."""
    said: list[str] = []
    most = max(len(at) for at in method.budgets.values())
    if _number(method, budget) < most:
        said.append(f"{_number(method, budget)} of {most} repeats")
    for larger, at in method.budgets.items():
        cut = [repeat.status.value for repeat in at.values() if not repeat.is_answered]
        if larger > budget and cut:
            said.append(f"at budget {larger:,}: {tally(cut)}")
    return "; ".join(said)


def _how_it_ended(method: MethodRepeats) -> str:
    reasons = [repeat.answer.terminal.reason for repeat in method.repeats if repeat.answer.terminal.reason]
    first = f": {reasons[0].splitlines()[0]}" if reasons else ""
    number = ", ".join(f"{number} {status}" for status, number in sorted(method.ended.items()))
    return f"{number or 'no answer'}{first}"


def _unscored(repeat: Repeat) -> str:
    row, end = repeat.answer.row, repeat.answer.terminal
    return row.notes.get("error") or end.notes.get("error") or "no reference"


def _is_contended(repeat: Repeat) -> bool:
    return repeat.answer.row.contended or repeat.answer.terminal.contended


def _peak(rows: Sequence[Record], budget: int, device: str) -> tuple[ByRepeat, int | None]:
    """Peaks by repeat at the smallest budget of the memory pass that is not below one, else at the largest."""
    column = "host_peak_bytes" if device == "cpu" else "device_peak_bytes"
    known = [row for row in rows if getattr(row, column) is not None and row.status in (Status.OK, Status.OVER_BUDGET)]
    if not known:
        return {}, None
    budgets = {row.budget for row in known}
    chosen = min((it for it in budgets if it >= budget), default=max(budgets))
    return {row.repeat: float(getattr(row, column)) for row in known if row.budget == chosen}, chosen

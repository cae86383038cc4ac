"""The answer in a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from hessbench.ledger.answering import Answered, MethodAnswer, State
from hessbench.ledger.answering.words import listed, percent
from hessbench.reports.answers.words import BY, details, error_text, sentence, shortfall
from hessbench.reports.writing import units
from hessbench.reports.writing.escaping import clean

WIDTH: Final = 80
_NAME: Final = 17
_COLUMNS: Final[tuple[tuple[str, int, Callable[[MethodAnswer], str]], ...]] = (
    ("products", 8, lambda it: units.median_text(it.products, units.count)),
    ("grad-eq", 7, lambda it: units.median_text(it.gradient_equivalents, units.count)),
    ("build", 7, lambda it: units.median_text(it.build_s, units.seconds)),
    ("own", 7, lambda it: units.median_text(it.wall_s, units.seconds)),
    ("total", 7, lambda it: units.median_text(it.seconds, units.seconds)),
    ("peak", 8, lambda it: units.median_text(it.peak_bytes, units.size)),
    ("error", 8, error_text),
)
"""Heads, widths and texts of the numbers: with a space before each they and a name fill 76 columns."""


def text(found: Sequence[Answered]) -> str:
    """Every question with its methods at every tolerance, best first, in 80 columns."""
    if not found:
        return "no finished cells"
    blocks: list[str] = []
    for question, answered in groupby(found, key=lambda it: it.question):
        heads = _wrapped(f"{question.label} (n = {question.dim:,})")
        heads += _wrapped(clean(f"error: {question.error_sentence}"), "  ", "  ")
        blocks.append("\n".join([*heads, *_blocks(list(answered))]))
    return "\n\n\n".join(blocks)


def summary(found: Sequence[Answered]) -> str:
    """One sentence a question, under a head that says what they answer."""
    if not found:
        return ""
    first = found[0]
    heads = _wrapped(f"Within {percent(first.tolerance)} on every repeat, from this budget on; best by {BY[first.by]}:")
    return "\n".join([*heads, *(line for it in found for line in _wrapped(sentence(it), "  ", "    "))])


def _blocks(found: Sequence[Answered]) -> list[str]:
    """A block for each tolerance, those that say the same in one."""
    lines: list[str] = []
    for said, answered in groupby(found, key=_block):
        same = list(answered)
        within = listed([percent(it.tolerance) for it in same], len(same))
        nobody = "" if same[0].reached else ": no method"
        lines += ["", f"within {within}, by {BY[same[0].by]}{nobody}", *said]
    return lines


def _block(answered: Answered) -> list[str]:
    reached = answered.reached
    lines: list[str] = []
    if reached:
        lines.append(" " * _NAME + "".join(f" {head:>{width}}" for head, width, _ in _COLUMNS))
    for place, entry in enumerate(reached, 1):
        name = clean(f"{place}. {entry.method}")
        numbers = "".join(f" {write(entry):>{width}}" for _, width, write in _COLUMNS)
        lines += [f"{name:<{_NAME}}{numbers}"] if len(name) <= _NAME else [*_wrapped(name), " " * _NAME + numbers]
        lines += _wrapped("; ".join(details(entry)), "   ", "   ") if details(entry) else []
    for state in (State.NOT_REACHED, State.NOT_JUDGED, State.FAILED):
        short = [entry for entry in answered.entries if entry.state is state]
        lines += [state.value] if short else []
        lines += [line for entry in short for line in _wrapped(shortfall(entry), "   ", "     ")]
    if answered.trivial is not None:
        within = "is within" if answered.trivial.is_within else "is nearer than every method"
        said = f"{answered.trivial.what}: error {percent(answered.trivial.error)}, {within} and takes no product"
        lines += _wrapped(said)
    return lines + [line for remark in answered.remarks for line in _wrapped(clean(f"note: {remark}"), "", "  ")]


def _wrapped(said: str, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most 80 columns; a word is broken only where it alone is longer."""
    # A number is not parted from its percent sign.
    lines = textwrap.wrap(
        said.replace(" %", "\N{NO-BREAK SPACE}%"),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=True,
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]

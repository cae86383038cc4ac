"""The questions of a ledger: what was asked under which conditions, and the methods that were put to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hessbench.ledger.answering.entries import Question
from hessbench.ledger.answering.method_repeats import MethodRepeats, method_repeats
from hessbench.ledger.grouping import Answer, Key, memory_cells, namer, run_key, telling_conditions, timed_or_all
from hessbench.ledger.record import WITHOUT_ENGINE, Record
from hessbench.ledger.shown_errors import error_definition, shown_name

Conditions: TypeAlias = tuple[str, str, str, str, str, int]
"""Problem, its hash, estimand, device, dtype and threads."""


@dataclass(frozen=True)
class PosedQuestion:
    """A question with the methods that were put to it.

    Attributes:
        question: What was asked.
        methods: Names to show, and what each method was measured at.
        engines: How many cells ran with which engine.
        peaks: Terminal rows of the memory pass of the whole ledger, by the key of their run.
    """

    question: Question
    methods: tuple[tuple[str, MethodRepeats], ...]
    engines: Mapping[str, int]
    peaks: Mapping[Key, Sequence[Record]]

    def memory_of(self, method: MethodRepeats) -> Sequence[Record]:
        """Terminal rows of the memory pass of a method's run."""
        return self.peaks.get(run_key(method.key), ())

    @property
    def engine(self) -> str:
        """The engine of most cells, whose seconds count."""
        return min(self.engines, key=lambda name: (-self.engines[name], name), default="")


def posed_questions(records: Sequence[Record]) -> list[PosedQuestion]:
    """Every question of a ledger, in the order of their names."""
    groups = timed_or_all(records)
    name = namer(groups)
    places: dict[Conditions, dict[Key, list[Answer]]] = defaultdict(dict)
    for key, group in groups.items():
        places[key.problem, key.problem_hash, key.estimand, key.device, key.dtype, key.threads][key] = group
    where = telling_conditions(groups)
    peaks = memory_cells(records)
    found: list[PosedQuestion] = []
    for keys in places.values():
        question = _question(keys, name, where)
        methods = sorted(
            ((name(key)[1], method_repeats(key, group)) for key, group in keys.items()), key=lambda it: it[0]
        )
        found.append(PosedQuestion(question, tuple(methods), _engines(keys.values()), peaks))
    return sorted(found, key=lambda asked: (asked.question.problem, asked.question.estimand, asked.question.label))


def _question(
    keys: Mapping[Key, Sequence[Answer]], name: Callable[[Key], tuple[str, str]], where: Callable[[Key], str]
) -> Question:
    key = next(iter(keys))
    problem = name(key)[0]
    rows = [answer.row for group in keys.values() for answer in group]
    error = shown_name(rows)
    definition = error_definition(key.estimand, error)
    return Question(
        problem=problem,
        problem_spec=key.problem,
        problem_hash=key.problem_hash,
        estimand=key.estimand,
        dim=max(row.dim for row in rows),
        device=key.device,
        dtype=key.dtype,
        threads=key.threads,
        error_name=error,
        error_label=definition.label,
        error_sentence=definition.sentence,
        label=f"{problem}, {key.estimand}{where(key)}",
    )


def _engines(groups: Iterable[Sequence[Answer]]) -> dict[str, int]:
    """How many timed cells that came to an answer ran with which engine, those by rows alone left out."""
    cells = {
        answer.terminal.cell: answer.terminal.engine_name
        for group in groups
        for answer in group
        if answer.terminal.pass_ == "time"
        and answer.seconds is not None
        and answer.error is not None
        and answer.terminal.engine_name not in WITHOUT_ENGINE
    }
    return dict(Counter(cells.values()))

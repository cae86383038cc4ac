"""Changed errors judged: one by one where nothing is random, by a paired test over all of a method's runs elsewhere."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from hessbench.reports.compare.differences import Difference, Group, Judgement, Verdict
from hessbench.reports.compare.paired_answers import Pair, without_randomness
from hessbench.reports.compare.paired_tests import LEAST_RUNS, LEVEL, PairedTest, holm, paired_test, paired_test_of_one
from hessbench.reports.writing.units import error, ratio

_SHARE_OF_ALL: Final = 0.9
"""Share of a method's level that the test over all its problems has; those of single problems divide the rest."""


def judge(pairs: Sequence[Pair], threshold: float) -> tuple[list[Difference], list[Judgement]]:
    """Judge what changed.

    Args:
        pairs: Answers with an error in both ledgers.
        threshold: Factor from which on a difference counts.

    Returns:
        The differences, and every paired test.
    """
    fixed = without_randomness(pairs)
    random: dict[Group, list[Pair]] = defaultdict(list)
    unchanged: dict[Group, list[Pair]] = defaultdict(list)
    settled: dict[tuple[Group, str, int], list[Pair]] = defaultdict(list)
    sizes: dict[Group, int] = defaultdict(int)
    for pair in pairs:
        place = pair.group, pair.problem, pair.budget
        sizes[pair.group] += place not in fixed
        if not pair.is_unchanged:
            (settled[place] if place in fixed else random[pair.group]).append(pair)
        elif place not in fixed:
            unchanged[pair.group].append(pair)
    found = [line for place, changed in settled.items() for line in _one_by_one(*place, changed, threshold)]
    judged, few = _tested({group: (changed, unchanged[group]) for group, changed in random.items()}, threshold)
    found += few
    for group, changed in random.items():
        mine = [it for it in judged if it.group == group]
        found += _told(group, changed, sizes[group], mine)
    return found, judged


def _one_by_one(
    group: Group, problem: str, budget: int, changed: Sequence[Pair], threshold: float
) -> Iterable[Difference]:
    worst = max(changed, key=lambda pair: abs(pair.log_ratio))
    factor = math.exp(worst.log_ratio)
    verdict = beyond(factor, threshold)
    if verdict is Verdict.CHANGED and not any(pair.is_alike for pair in changed):
        return  # other conditions round otherwise
    text = f"{group.what} {error(worst.was)}, now {error(worst.now)}: {ratio(factor)}, without randomness"
    yield Difference(verdict, f"{problem} {group.text} budget {budget}", text, group.column)


def _tested(
    random: Mapping[Group, tuple[Sequence[Pair], Sequence[Pair]]], threshold: float
) -> tuple[list[Judgement], list[Difference]]:
    hypotheses: list[tuple[Group, str, PairedTest]] = []
    weights: list[float] = []
    few: list[Difference] = []
    for group, (changed, unchanged) in random.items():
        runs = _runs(changed, unchanged)
        if len(runs) < LEAST_RUNS:
            if any(beyond(math.exp(log), threshold) is not Verdict.CHANGED for log in runs.values()):
                few.append(_too_few(group, changed, len(runs)))
            continue
        by_problem: dict[str, list[float]] = defaultdict(list)
        for (problem, _), log in runs.items():
            by_problem[problem].append(log)
        whole = paired_test(list(by_problem.values()))
        single = {name: logs for name, logs in by_problem.items() if LEAST_RUNS <= len(logs) <= len(runs) - 2}
        hypotheses.append((group, "", whole))
        weights.append(_SHARE_OF_ALL if single else 1.0)
        for name, logs in single.items():
            others = [runs for other, runs in by_problem.items() if other != name]
            hypotheses.append((group, name, paired_test_of_one(logs, others)))
        weights += [(1 - _SHARE_OF_ALL) / len(single) for _ in single]
    adjusted = holm([test.p for _, _, test in hypotheses], weights)
    judged = [
        Judgement(
            group, problem, test.runs, test.ratio, test.low, test.high, test.p, chance,
            beyond(test.ratio, threshold) if chance <= LEVEL else Verdict.CHANGED,
        )
        for (group, problem, test), chance in zip(hypotheses, adjusted, strict=True)
    ]  # fmt: skip
    return judged, few


def _runs(changed: Iterable[Pair], unchanged: Iterable[Pair]) -> dict[tuple[str, int], float]:
    """Mean log ratio by problem and repeat: budgets of one start depend on each other and are no runs of their own.

    A run without any change, of a problem that has changed elsewhere, is one whose ratio is 1: left out, the signs of
    a few would be all there is.
    """
    logs: dict[tuple[str, int], list[float]] = defaultdict(list)
    for pair in changed:
        logs[pair.problem, pair.repeat].append(pair.log_ratio)
    problems = {problem for problem, _ in logs}
    for pair in unchanged:
        if pair.problem in problems:
            logs.setdefault((pair.problem, pair.repeat), [0.0])
    return {run: math.fsum(found) / len(found) for run, found in logs.items()}


def _told(group: Group, changed: Sequence[Pair], size: int, judged: Sequence[Judgement]) -> Iterable[Difference]:
    """One line for all problems; one more for a problem that is judged otherwise than they are together."""
    whole = next((it for it in judged if not it.problem), None)
    if whole is None:
        return
    alike = sum(pair.is_alike for pair in changed)
    said = f"{len(changed)} of {size} answers changed"
    if alike:
        said += f", {'all' if alike == len(changed) else alike} under equal conditions"
    yield Difference(whole.verdict, group.text, f"{said}: {in_words(whole)}", group.column)
    for one in judged:
        if one.problem and one.verdict not in (Verdict.CHANGED, whole.verdict):
            yield Difference(one.verdict, f"{one.problem} {group.text}", in_words(one), group.column)


def in_words(judged: Judgement) -> str:
    """A judgement as a sentence's end."""
    interval = f"{ratio(judged.low)} to {ratio(judged.high)}"
    many = f"over {judged.runs} runs, p = {judged.adjusted:.2g} with all tests counted"
    return f"{judged.group.what} {ratio(judged.ratio)} ({interval}) {many}"


def _too_few(group: Group, changed: Sequence[Pair], runs: int) -> Difference:
    was, now = median(pair.was for pair in changed), median(pair.now for pair in changed)
    many = f"in {runs} run{'s' * (runs != 1)}; at least {LEAST_RUNS} are judged"
    return Difference(Verdict.TOO_FEW, group.text, f"{group.what} {error(was)}, now {error(now)} {many}", group.column)


def beyond(factor: float, threshold: float) -> Verdict:
    """What a factor means by itself."""
    if factor > threshold:
        return Verdict.REGRESSION
    return Verdict.IMPROVEMENT if factor < 1 / threshold else Verdict.CHANGED


def judged_name(judged: Judgement) -> str:
    """What was judged: the method, what it answered, and of which problem where it is one."""
    said = f"{judged.group.what} of {judged.group.text}"
    return f"{said}, {judged.problem}" if judged.problem else said

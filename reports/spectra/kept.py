"""What a ledger keeps of spectra: the arrays beside its rows and the references, by problem. Nothing is computed."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from hessbench.estimand import Array, Arrays, Density, Reference, TopEigenvalues, Trace, parse_estimand
from hessbench.estimand.from_density import WHOLE
from hessbench.ledger.grouping import Answer, Key, namer, timed_or_all
from hessbench.ledger.reading import load_arrays
from hessbench.ledger.record import Record
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.reports.spectra.answers import DensityAnswer, Spent, TraceAnswer, ValuesAnswer
from hessbench.reports.spectra.measure import Measure, mean_measure

MOST_REPEATS: Final = 20
"""Repeats of a method that are read; more would take time and change no figure."""

_DRAWN: Final = ("density", "top-eigenvalues", "trace")


@dataclass(frozen=True)
class KeptSpectrum:
    """All that a ledger keeps of the spectrum of one problem.

    Attributes:
        problem: Name to show.
        problem_hash: Which variant of it.
        dim: Its dimension.
        dtype: What most of it was computed in.
        traits: What is declared of it.
        densities: Answers to the density, those of least error first.
        values: Answers to the first eigenvalues, likewise.
        traces: Answers to the trace, likewise.
        references: Kept truth by estimand spec.
        lost: Answers whose arrays are not there: not kept, or not to be read.
    """

    problem: str
    problem_hash: str
    dim: int
    dtype: str
    traits: tuple[str, ...] = ()
    densities: tuple[DensityAnswer, ...] = ()
    values: tuple[ValuesAnswer, ...] = ()
    traces: tuple[TraceAnswer, ...] = ()
    references: Mapping[str, Reference] = field(default_factory=dict[str, Reference])
    lost: int = 0

    @property
    def density_reference(self) -> Reference | None:
        """The true density, of any spec; None where it is not known."""
        found = [it for name, it in sorted(self.references.items()) if "nodes" in it.arrays and name.startswith("dens")]
        return found[0] if found else None

    @property
    def truth(self) -> Measure | None:
        """The true density as a measure."""
        known = self.density_reference
        return None if known is None else Measure.of(known.arrays["nodes"], known.arrays["weights"])

    @property
    def is_whole(self) -> bool:
        """Whether the true density is every eigenvalue, and no limit law or sample."""
        known = self.density_reference
        return known is not None and (known.source in WHOLE or known.source.value == "ANALYTIC")

    def leading_reference(self, which: str) -> Reference | None:
        """The most first eigenvalues that are known in an order; None where none are."""
        found: list[tuple[int, Reference]] = []
        for name, reference in self.references.items():
            asked = parse_estimand(name)
            if isinstance(asked, TopEigenvalues) and asked.which == which:
                found.append((reference.arrays["eigenvalues"].size, reference))
        return max(found, key=lambda it: it[0])[1] if found else None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.densities and not self.values


def kept_spectra(records: Sequence[Record], folder: str | Path) -> tuple[KeptSpectrum, ...]:
    """What may be drawn of the problems of a ledger, by problem; those without any array are left out.

    Of each method its largest budget is taken, with all repeats up to `MOST_REPEATS`.

    Args:
        records: Rows of the ledger.
        folder: The run's folder, in which arrays and references lie, or its `ledger` folder.
    """
    base = Path(folder)
    base = base.parent if base.name == "ledger" and not (base / "ledger").is_dir() else base
    groups = {key: found for key, found in timed_or_all(records).items() if key.estimand.partition("[")[0] in _DRAWN}
    name = namer(groups)
    conditions: dict[tuple[str, str], set[str]] = defaultdict(set)
    places: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in groups:
        conditions[key.problem, key.problem_hash].add(_where(key))
        places[key.problem, key.problem_hash].append(key)
    made: list[KeptSpectrum] = []
    for place, keys in sorted(places.items()):
        several = len(conditions[place]) > 1

        def label(key: Key, several: bool = several) -> str:
            return _encodable(name(key)[1] + (f", {_where(key)}" if several else ""))

        found = _spectrum(keys, groups, label, base, _encodable(name(keys[0])[0]))
        if not found.is_empty or found.lost:
            made.append(found)
    return tuple(made)


def _spectrum(
    keys: Sequence[Key],
    groups: Mapping[Key, Sequence[Answer]],
    label: Callable[[Key], str],
    base: Path,
    problem: str,
) -> KeptSpectrum:
    densities: dict[str, DensityAnswer] = {}
    traces: dict[str, TraceAnswer] = {}
    values: list[ValuesAnswer] = []
    lost = 0
    # A run that was made for the estimand stands before one that answers it beside its own.
    for key in sorted(keys, key=lambda it: (it.source != it.estimand, it)):
        kind = type(parse_estimand(key.estimand))
        name = label(dataclasses.replace(key, source=key.estimand))
        if name in (densities if kind is Density else traces if kind is Trace else ()):
            continue
        loaded = _loaded(groups[key], base)
        if not loaded:
            lost += kind is not Trace
            continue
        spent = _spent(name, key.method, [row for row, _ in loaded])
        arrays = [found for _, found in loaded]
        try:
            if kind is Density:
                measures = tuple(Measure.of(found["nodes"], found["weights"]) for found in arrays)
                densities[name] = DensityAnswer(spent, measures, mean_measure(measures))
            elif kind is Trace:
                traces[name] = TraceAnswer(spent, np.concatenate([found["trace"] for found in arrays]))
            elif arrays[0]["eigenvalues"].size:
                values.append(_values(spent, key, [found["eigenvalues"] for found in arrays]))
        except (KeyError, ValueError):
            lost += 1
    rows = [answer.row for key in keys for answer in groups[key]]
    store = ReferenceStore(base)
    return KeptSpectrum(
        problem=problem,
        problem_hash=keys[0].problem_hash,
        dim=max(row.dim for row in rows),
        dtype=statistics.mode(row.dtype for row in rows),
        traits=rows[0].traits,
        densities=_best_first(densities.values()),
        values=_best_first(_longest(values)),
        traces=_best_first(traces.values()),
        references=_references(store, keys),
        lost=lost,
    )


def _references(store: ReferenceStore, keys: Iterable[Key]) -> dict[str, Reference]:
    """The truth about everything that may be drawn: of what was asked, and a density that came with it."""
    specs = sorted({key.estimand for key in keys} | {Density().spec, Trace().spec})
    return {
        name: reference
        for problem_hash in sorted({key.problem_hash for key in keys} - {""})
        for name, reference in store.load(problem_hash, specs).items()
        if all(bool(np.isfinite(array).all()) for array in reference.arrays.values())
    }


def _loaded(answers: Sequence[Answer], base: Path) -> list[tuple[Record, Arrays]]:
    """Rows at the largest budget with arrays, and these, by repeat."""
    with_arrays = [answer.row for answer in answers if answer.row.arrays]
    if not with_arrays:
        return []
    largest = max(row.budget for row in with_arrays)
    by_repeat = {row.repeat: row for row in with_arrays if row.budget == largest}
    found: list[tuple[Record, Arrays]] = []
    for _, row in sorted(by_repeat.items())[:MOST_REPEATS]:
        try:
            arrays = load_arrays(base, row.arrays)
        except ValueError:
            continue
        if all(array.size and bool(np.isfinite(array).all()) for array in arrays.values()):
            found.append((row, arrays))
    return found


def _spent(name: str, spec: str, rows: Sequence[Record]) -> Spent:
    errors = [row.error for row in rows if row.error is not None]
    return Spent(
        method=name,
        spec=spec,
        matvecs=max(row.matvecs for row in rows),
        error=statistics.median(errors) if errors else None,
        repeats=len(rows),
        diagnostics=rows[0].diagnostics,
        stderrs=tuple(row.said_stderr for row in rows),
    )


def _values(spent: Spent, key: Key, repeats: Sequence[Array]) -> ValuesAnswer:
    found, *others = repeats
    asked = parse_estimand(key.estimand)
    which = asked.which if isinstance(asked, TopEigenvalues) else "magnitude"
    said, worst = spent.diagnostics.get("residuals"), spent.diagnostics.get("residual")
    residuals = None
    if isinstance(said, list | tuple) and len(said) == found.size and all(map(_is_number, said)):
        residuals = np.abs(np.asarray(said, dtype=np.float64))
    largest = abs(float(worst)) if isinstance(worst, int | float) and _is_number(worst) else None
    return ValuesAnswer(spent, which, found, residuals, largest, key.dtype, tuple(others))


def _longest(values: Iterable[ValuesAnswer]) -> list[ValuesAnswer]:
    """Of several numbers of eigenvalues that one method was asked for in one order, the most."""
    kept: dict[tuple[str, str], ValuesAnswer] = {}
    for one in values:
        place = one.spent.method, one.which
        if place not in kept or one.values.size > kept[place].values.size:
            kept[place] = one
    return list(kept.values())


def _best_first(found: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(found, key=lambda it: (it.spent.error is None, it.spent.error, it.spent.method)))


def _encodable(text: str) -> str:
    """The text with lone surrogates replaced, which no file takes."""
    return text.encode("utf-8", "replace").decode()


def _where(key: Key) -> str:
    return f"{key.device}, {key.dtype}, {key.threads} thread{'s' * (key.threads != 1)}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

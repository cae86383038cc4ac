"""The spectra on the page of a report: those of every problem whose arrays are kept, one set a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hessbench.ledger.record import Record
from hessbench.reports.spectra.kept import kept_spectra
from hessbench.reports.spectra.page import looks_of
from hessbench.reports.spectra.shown import SpectrumShown, show_spectra
from hessbench.reports.writing.palette import Look

MOST_SPECTRA: Final = 40
"""Problems of a report whose spectra are drawn; `hessbench spectrum` draws them all."""

_NONE: Final = (
    "No spectrum is drawn: the ledger keeps no arrays of a density or of first eigenvalues, or the report was made "
    "without its folder."
)


@dataclass(frozen=True)
class ReportSpectra:
    """The spectra of a report, and sentences on what is not among them."""

    shown: tuple[SpectrumShown, ...]
    said: tuple[str, ...]


def report_spectra(
    records: Sequence[Record], kept_in: Path | str | None, looks: Mapping[str, Look], folder: Path
) -> ReportSpectra:
    """Draw the spectra of a ledger into a report.

    Args:
        records: Rows of the ledger.
        kept_in: Folder of the run; None draws nothing.
        looks: Those of the report, by the spec of a method.
        folder: The report, with a folder `figures` in it.
    """
    if kept_in is None:
        return ReportSpectra((), (_NONE,))
    found = [spectrum for spectrum in kept_spectra(records, kept_in) if not spectrum.is_empty]
    if not found:
        return ReportSpectra((), (_NONE,))
    shown: list[SpectrumShown] = []
    for spectrum in found[:MOST_SPECTRA]:
        methods = {it.spent.spec for it in (*spectrum.densities, *spectrum.values)}
        # Methods that met in no figure of errors, as where nothing is scored, may share a look.
        is_distinct = len({looks[it] for it in methods if it in looks}) == len(methods)
        shown += show_spectra([spectrum], looks if is_distinct else looks_of([spectrum]), folder)
    left = len(found) - len(shown)
    said = f"{left} more problems have spectra that are not drawn here: `hessbench spectrum` draws those of every one."
    return ReportSpectra(tuple(shown), (said,) if left else ())

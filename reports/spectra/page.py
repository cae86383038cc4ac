"""The spectra of a run as one static page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hessbench.ledger.record import Record
from hessbench.reports.spectra.axis import Scale
from hessbench.reports.spectra.kept import KeptSpectrum, kept_spectra
from hessbench.reports.spectra.shown import show_spectra
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.folders import page_folder, templates, write_text
from hessbench.reports.writing.palette import Look, looks

MARK: Final = "<title>spectrum"
"""What tells a page of spectra from a report."""

NOTHING: Final = (
    "nothing of a spectrum is kept there: a run with the estimand density or top-eigenvalues, and its folder arrays/, "
    "are needed"
)


def write_spectra(
    records: Sequence[Record],
    folder: str | Path,
    out: str | Path,
    command: str,
    *,
    scales: Sequence[Scale] = (),
    sigma: float | None = None,
    torn: int = 0,
    said: Sequence[str] = (),
) -> tuple[Path, tuple[KeptSpectrum, ...]]:
    """Write the page of the spectra that a run keeps.

    Args:
        records: Rows of its ledger.
        folder: Its folder.
        out: Folder of the page: new, empty, or that of an earlier page of spectra.
        command: Command line that made it, shown on the page.
        scales: Axes of the density; those that suit by default.
        sigma: Width of the Gaussian as a share of half the axis; the heuristic one by default.
        torn: Lines of the ledger that could not be read.
        said: Sentences above everything, such as why something is missing.

    Returns:
        The page, `index.html` in `out`, and what is on it.

    Raises:
        ValueError: If nothing of a spectrum is kept, `sigma` is not above 0, or `out` holds something else.
        OSError: If it cannot be written.
    """
    spectra = kept_spectra(records, folder)
    drawn = [spectrum for spectrum in spectra if not spectrum.is_empty]
    if not drawn:
        raise ValueError(NOTHING)
    with page_folder(out, "page of spectra", MARK, own=("figures/*.svg", "figures/*.csv")) as partial:
        (partial / "figures").mkdir()
        shown = show_spectra(drawn, looks_of(drawn), partial, scales=scales, sigma=sigma)
        page = (
            templates()
            .get_template("spectrum.html")
            .render(
                title=", ".join(dict.fromkeys(clean(it.problem) for it in drawn[:3]))
                + (" …" if len(drawn) > 3 else ""),
                command=command,
                source=clean(Path(folder).resolve().name or "the folder"),
                spectra=shown,
                torn=torn,
                said=list(said),
            )
        )
        write_text(partial / "index.html", page)
    return Path(out) / "index.html", tuple(drawn)


def looks_of(spectra: Sequence[KeptSpectrum]) -> dict[str, Look]:
    """A look for every method of spectra."""
    return looks([it.spent.spec for spectrum in spectra for it in (*spectrum.densities, *spectrum.values)])

"""A spectrum on a terminal: what is known of it, and how far to trust it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.shown import remarks, value_cells
from hessbench.reports.spectra.trust import trust_of
from hessbench.reports.spectra.words import told
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.terminal import print_table

_MOST_VALUES = 10


def print_spectrum(spectrum: KeptSpectrum, console: Console) -> None:
    """Print what is known of a spectrum and how sure that is, then its first eigenvalues with their bounds."""
    trust = trust_of(spectrum)
    console.print(
        Text(f"{clean(spectrum.problem)}, n = {spectrum.dim:,}, {spectrum.dtype}", style="bold"), soft_wrap=True
    )
    rows = [(clean(line.what), line.verdict) for line in told(trust)]
    if rows:
        print_table(console, ("what is known", "how far to trust it"), rows)
    values = value_cells(trust)
    if values:
        console.print()
        heads = ("rank", "eigenvalue", "bound", "how far to trust it", "reference")
        print_table(console, heads, values[:_MOST_VALUES], numbers=(0, 1, 2, 4))
        if len(trust.top.values if trust.top else ()) > _MOST_VALUES:
            console.print(Text("and more on the page"))
    for remark in remarks(spectrum):
        console.print(Text(remark), soft_wrap=True)
    console.print()

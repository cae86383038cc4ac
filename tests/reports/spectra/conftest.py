"""Folders of runs that keep arrays: rows, estimates and references are planted, nothing is run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted_ledgers import cell

from hessbench.estimand import Reference, Source, parse_estimand
from hessbench.estimand.density import density_reference
from hessbench.estimand.eigenvalues import TopEigenvalues, top_reference
from hessbench.estimand.trace import trace_reference
from hessbench.ledger.reading import Ledger, LedgerWriter
from hessbench.ledger.record import Kind
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.reports.spectra.kept import KeptSpectrum, kept_spectra


class PlantedRun:
    """A run's folder, filled row by row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer = LedgerWriter(folder)

    def answer(
        self, arrays: Mapping[str, Any] | None, method: str = "slq", estimand: str = "density", **fields: Any
    ) -> PlantedRun:
        """Add a cell whose estimate is these arrays; None keeps none."""
        fields = {"budgets": (20,), "dtype": "float64"} | fields
        diagnostics = fields.pop("diagnostics", {})
        for row in cell(method, estimand=estimand, **fields):
            if row.kind is Kind.CHECKPOINT:
                held = {name: np.asarray(it, dtype=np.float64) for name, it in (arrays or {}).items()}
                kept = self._writer.save_arrays(f"{row.cell}/0", held) if arrays is not None else ""
                row = dataclasses.replace(row, arrays=kept, diagnostics=diagnostics)
            self._writer.append(row)
        return self

    def density(self, nodes: Sequence[float], weights: Sequence[float] | None = None, **fields: Any) -> PlantedRun:
        """Add an answer to the density, of equal weights by default."""
        return self.answer({"nodes": nodes, "weights": weights or np.full(len(nodes), 1 / len(nodes))}, **fields)

    def truth(self, eigenvalues: Sequence[float], *specs: str) -> PlantedRun:
        """Keep the references of a spectrum."""
        every = np.asarray(eigenvalues, dtype=np.float64)
        for spec in specs or ("density", "trace"):
            asked = parse_estimand(spec)
            found: Reference
            if isinstance(asked, TopEigenvalues):
                found = top_reference(every, asked, Source.DENSE)
            else:
                found = (density_reference if asked.key == "density" else trace_reference)(every, Source.DENSE)
            ReferenceStore(self.folder).save("p" * 16, spec, found)
        return self

    def spectra(self) -> tuple[KeptSpectrum, ...]:
        """What is read back."""
        self._writer.close()
        return kept_spectra(Ledger.read(self.folder).records, self.folder)

    def spectrum(self) -> KeptSpectrum:
        """The only one that is read back."""
        (found,) = self.spectra()
        return found


@pytest.fixture
def planted(tmp_path: Path) -> PlantedRun:
    return PlantedRun(tmp_path / "run")


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., Any]:
    """Shows a spectrum on a page's folder; every figure is checked to be well-formed XML with a size and a name."""
    import xml.etree.ElementTree as ET

    from hessbench.reports.spectra.page import looks_of
    from hessbench.reports.spectra.shown import show_spectra

    def draw(*spectra: KeptSpectrum, **options: Any) -> Any:
        folder = tmp_path / "page"
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        shown = show_spectra(spectra, looks_of(spectra), folder, **options)
        for one in shown:
            for figure in one.figures:
                root = ET.fromstring((folder / figure.file).read_bytes())
                assert root.get("aria-label")
                assert (float(root.get("width", 0)), float(root.get("height", 0))) == (figure.width, figure.height)
                assert "nan" not in (folder / figure.file).read_text().lower().replace("nanos", "")
                assert "inf" not in "".join(part.get("d", "") for part in root.iter())
        return shown[0] if len(shown) == 1 else shown

    return draw

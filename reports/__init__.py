"""Reports: read ledgers, run nothing."""

from __future__ import annotations

from hessbench.reports.compare import Comparison, Difference, Verdict, compare, to_text
from hessbench.reports.console import print_ledger
from hessbench.reports.export import export
from hessbench.reports.page import render_report

__all__ = ["Comparison", "Difference", "Verdict", "compare", "export", "print_ledger", "render_report", "to_text"]

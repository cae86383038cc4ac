"""The report of a run: a ledger as one folder of static files that opens from a disk and fetches nothing."""

from hessbench.reports.page.render import ReadableLedger, render_report

__all__ = ["ReadableLedger", "render_report"]

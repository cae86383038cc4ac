"""Two ledgers compared with each other: did a change make a method need more, or lose accuracy?"""

from hessbench.reports.compare.comparing import THRESHOLD, compare
from hessbench.reports.compare.differences import Comparison, Difference, Judgement, Verdict
from hessbench.reports.compare.formats import FORMATS, to_text, written
from hessbench.reports.compare.seconds import TimedPair, compare_seconds

__all__ = [
    "FORMATS",
    "THRESHOLD",
    "Comparison",
    "Difference",
    "Judgement",
    "TimedPair",
    "Verdict",
    "compare",
    "compare_seconds",
    "to_text",
    "written",
]

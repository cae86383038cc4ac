"""Two ledgers compared with each other: did a change make a method need more, or lose accuracy?"""

from hessbench.reports.compare.comparing import THRESHOLD, compare
from hessbench.reports.compare.differences import Comparison, Difference, Judgement, Verdict
from hessbench.reports.compare.formats import FORMATS, to_text, written

__all__ = ["FORMATS", "THRESHOLD", "Comparison", "Difference", "Judgement", "Verdict", "compare", "to_text", "written"]

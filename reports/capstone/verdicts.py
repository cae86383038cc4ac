"""What the document claims, and the rules that judge it, fixed before the run."""

from __future__ import annotations

from typing import Final

from hessbench.reports.capstone import kernel_claims, practice_claims, spectrum_claims
from hessbench.reports.claims.claim import PublishedClaim
from hessbench.reports.claims.measured import Measured

CLAIMS: Final[tuple[PublishedClaim[Measured], ...]] = (
    *spectrum_claims.CLAIMS[:3],
    *kernel_claims.CLAIMS[:2],
    spectrum_claims.CLAIMS[3],
    *practice_claims.CLAIMS[:2],
    kernel_claims.CLAIMS[2],
    practice_claims.CLAIMS[2],
)
"""In the order of the document."""

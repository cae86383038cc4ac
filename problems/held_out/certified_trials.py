"""Certified references compared with spectra known by construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from hessbench.counting import CountingOperator
from hessbench.problems.held_out.spectra import HeldOutSpectrum
from hessbench.problems.references.certified import certified_reference

ROUNDING = 10.0
"""Constant c in the rounding c eps ||A|| of a rotated spectrum's products."""


@dataclass(frozen=True)
class CertifiedTrial:
    """What became of one reference.

    Attributes:
        name: The spectrum's.
        outcome: Within its bound, outside it, or not given.
        error: Largest absolute difference to the truth, of magnitudes where the order is by magnitude; NaN if refused.
        bound: What was claimed, the rounding of float64 included; NaN if refused.
        products: Products spent.
        detail: Why it was refused, or both answers where it is broken.
    """

    name: str
    outcome: Literal["right", "broken", "refused"]
    error: float
    bound: float
    products: int
    detail: str


def certified_trial(spectrum: HeldOutSpectrum) -> CertifiedTrial:
    """Ask for the certified reference of a spectrum and compare it with the truth.

    Args:
        spectrum: The spectrum, and what is asked of it.
    """
    op = CountingOperator(spectrum.build(torch.float64))
    try:
        reference = certified_reference(op, spectrum.estimand, ROUNDING, spectrum.name)
    except ValueError as error:
        return CertifiedTrial(spectrum.name, "refused", float("nan"), float("nan"), op.matvecs, str(error))
    values, truth = reference.arrays["eigenvalues"], spectrum.truth
    if spectrum.estimand.which == "magnitude":
        values, truth = np.abs(values), np.abs(truth)
    error, bound = float(np.abs(values - truth).max()), reference.bound_in("float64")
    # A comparison that NaN fails.
    if error <= bound:
        return CertifiedTrial(spectrum.name, "right", error, bound, op.matvecs, "")
    return CertifiedTrial(spectrum.name, "broken", error, bound, op.matvecs, f"{values} where {truth} is the truth")

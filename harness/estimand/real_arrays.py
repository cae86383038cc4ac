"""Values of an estimate as float64 arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def real_array(value: Any) -> NDArray[np.float64]:
    """A value as a float64 array.

    Raises:
        ValueError: If it is not made of real numbers.
    """
    if isinstance(value, Tensor):
        if value.dtype.is_complex:
            raise ValueError(f"a real value is accepted, got {value.dtype}")
        return value.detach().to("cpu", torch.float64).numpy()
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        found = np.empty(0, dtype=object)
    # Asked for float64 at once, NumPy would make NaN of None and drop an imaginary part.
    if found.dtype.kind not in "biuf":
        raise ValueError(f"a tensor or real numbers are accepted, got {type(value).__name__}")
    return found.astype(np.float64)


def real_vector(value: Any, what: str) -> NDArray[np.float64]:
    """A value as a float64 vector, `what` naming it in the message.

    Raises:
        ValueError: If it is not made of real numbers, or is not one-dimensional.
    """
    values = real_array(value)
    if values.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional, got shape {values.shape}")
    return values

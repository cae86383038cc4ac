"""Estimates as they were when they were yielded, whatever the method changes in place afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

import numpy as np
from torch import Tensor

from hessbench.estimand.base import Array, Estimate

COPIED_BYTES: Final = 2**16
"""Size up to which a value is copied; a copy of a larger one would be felt in seconds and peaks."""


def settled(estimate: Estimate) -> Estimate:
    """The estimate with its small values copied; functions, vectors and values above 64 KiB are kept as they are."""
    also = {kind: settled(inner) for kind, inner in estimate.also.items()}
    return replace(estimate, value=_copied(estimate.value), also=also)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone() if value.numel() * value.element_size() <= COPIED_BYTES else value
    if isinstance(value, np.ndarray):
        array = cast("Array", value)
        return array.copy() if array.nbytes <= COPIED_BYTES else array
    if isinstance(value, tuple):
        return tuple(map(_copied, cast("tuple[Any, ...]", value)))
    return list(cast("list[Any]", value)) if isinstance(value, list) else value

"""An evaluated estimate on its way from the method's process to the operator's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from torch import Tensor

from hessbench.estimand import ESTIMANDS, Estimate
from hessbench.estimand.base import Estimand
from hessbench.sealing import values

_FIELDS: Final = ("value", "stderr", "stderr_dof", "converged", "starts", "rule", "interval")
"""What is read of an estimate; its vectors are not."""


def written(
    estimate: Estimate, tensors: list[Tensor], diagnostics: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """An evaluated estimate as JSON values and tensors.

    Args:
        estimate: It.
        tensors: Where the tensors go.
        diagnostics: Makes plain values of what the method says beside.

    Raises:
        TypeError: If it holds what does not travel.
    """
    keys = {kind: key for key, kind in ESTIMANDS.items()}
    return {
        "fields": {name: values.written(getattr(estimate, name), tensors) for name in _FIELDS},
        "diagnostics": values.written(diagnostics(estimate.diagnostics), tensors),
        "also": {
            keys[kind]: written(inner, tensors, diagnostics) for kind, inner in estimate.also.items() if kind in keys
        },
    }


def read(said: Any, tensors: list[Tensor], depth: int = 0) -> Estimate:
    """The estimate that `written` wrote, whoever sent it.

    Raises:
        ValueError: If it is none.
    """
    parts = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    fields, also = parts.get("fields"), parts.get("also")
    if depth > 2 or not isinstance(fields, dict) or not isinstance(also, dict):
        raise ValueError("something else than an estimate was sent")
    kept = {name: values.read(fields.get(name), tensors) for name in _FIELDS}
    diagnostics = values.read(parts.get("diagnostics"), tensors)
    if not isinstance(diagnostics, dict):
        raise ValueError("something else than an estimate was sent")
    others: dict[type[Estimand], Estimate] = {
        ESTIMANDS[key]: read(inner, tensors, depth + 1)
        for key, inner in cast("dict[str, Any]", also).items()
        if key in ESTIMANDS
    }
    return Estimate(**kept, diagnostics=cast("dict[str, Any]", diagnostics), also=others)

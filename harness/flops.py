"""Counting floating-point operations, with those that torch's own counter leaves out: vectors, and writes in place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Self, final

import torch
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

Shape = Sequence[int]


def _mv(matrix: Shape, vector: Shape, *_: Any, **__: Any) -> int:
    del vector
    return 2 * matrix[0] * matrix[1]


def _addmv(start: Shape, matrix: Shape, *_: Any, **__: Any) -> int:
    del start
    return 2 * matrix[0] * matrix[1]


def _dot(one: Shape, *_: Any, **__: Any) -> int:
    return 2 * one[0]


def _addmm(start: Shape, one: Shape, other: Shape, *_: Any, **__: Any) -> int:
    del start
    return 2 * math.prod(one) * other[-1]


_LEFT_OUT: Final[Mapping[Any, Any]] = MappingProxyType(
    {
        torch.ops.aten.mv: _mv,
        torch.ops.aten.addmv: _addmv,
        torch.ops.aten.addmv_: _addmv,
        torch.ops.aten.dot: _dot,
        torch.ops.aten.addmm_: _addmm,
        torch.ops.aten.baddbmm_: _addmm,
    }
)


def counting_flops() -> FlopCounterMode:
    """Count within a block: enter what is returned, and ask its `get_total_flops` afterwards.

    Convolutions and products of matrices, of a matrix and a vector, and of two vectors are counted, a multiplication
    and an addition as two; what works on single entries is not.
    """
    counter = FlopCounterMode(display=False, custom_mapping=dict(_LEFT_OUT))
    counter.mod_tracker = _NoModules()
    return counter


@final
class _NoModules(ModuleTracker):
    """Follows no modules: the hooks by which torch would are hooks on gradients, which the rules do not take."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        pass

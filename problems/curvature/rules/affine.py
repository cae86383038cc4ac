"""In which of its arguments an operation is affine, piece by piece and in all of them together.

A product of two values is so in each of them, with the other fixed; a layer norm in its weight and bias, not in what it
normalises; a tanh in nothing. As everywhere here, a kink has the derivatives that autograd gives it, none of second
order, and a maximum stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import torch
from torch._ops import OpOverload

from hessbench.problems.curvature.rules.gathering import GATHERING
from hessbench.problems.curvature.rules.pooling import POOLING
from hessbench.problems.curvature.rules.shapes import SHAPES
from hessbench.problems.curvature.rules.sums import SUMS

aten = torch.ops.aten
Places: TypeAlias = frozenset[int]

_PIECES: Final = (
    aten.relu.default,
    aten.leaky_relu.default,
    aten.threshold.default,
    aten.hardtanh.default,
    aten.hardsigmoid.default,
    aten.hardshrink.default,
    aten.softshrink.default,
    aten.abs.default,
    aten.clamp.default,
    aten.clamp_min.default,
    aten.clamp_max.default,
    aten.masked_fill.Scalar,
    aten.masked_fill.Tensor,
    aten.maximum.default,
    aten.minimum.default,
    aten.amax.default,
    aten.amin.default,
    aten.max.dim,
    aten.min.dim,
    aten.sort.default,
    aten.sort.stable,
    aten.topk.default,
    aten.adaptive_max_pool2d.default,
    aten.max_pool3d_with_indices.default,
)
"""Affine piece by piece: what chooses, bends or keeps entries by their values."""

_MOVES: Final = (
    aten.add.Scalar,
    aten.sub.Scalar,
    aten.rsub.Tensor,
    aten.div.Scalar,
    aten.index.Tensor,
    aten.index_add.default,
    aten.index_put.default,
    aten.gather.default,
    aten.scatter.src,
    aten.scatter_add.default,
    aten.roll.default,
    aten.flip.default,
    aten.unfold.default,
    aten.diagonal.default,
    aten.tril.default,
    aten.triu.default,
    aten.im2col.default,
    aten.col2im.default,
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.reflection_pad1d.default,
    aten.reflection_pad2d.default,
    aten.replication_pad1d.default,
    aten.replication_pad2d.default,
    aten.avg_pool3d.default,
    aten._adaptive_avg_pool3d.default,
    aten.upsample_nearest1d.default,
    aten.upsample_nearest2d.default,
    aten.upsample_nearest3d.default,
    aten.upsample_linear1d.default,
    aten.upsample_bilinear2d.default,
    aten.upsample_bicubic2d.default,
    aten.upsample_trilinear3d.default,
)
"""Affine operations that have no rule of their own."""

LINEAR: Final = frozenset({*SHAPES, *GATHERING, *SUMS, *POOLING, *_PIECES, *_MOVES})
"""Operations that are piecewise affine in all their arguments together."""

_TWO: Final = (frozenset({0}), frozenset({1}))
_ADDED: Final = (frozenset({0, 1}), frozenset({0, 2}))
_BIASED: Final = (frozenset({0, 2}), frozenset({1, 2}))
_SHIFTED: Final = (frozenset({1, 2}),)

JOINTLY: Final[Mapping[object, tuple[Places, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(
            (aten.mul.Tensor, aten.mm.default, aten.bmm.default, aten.mv.default, aten.dot.default), _TWO
        ),
        aten._prelu_kernel.default: _TWO,
        **dict.fromkeys(
            (aten.addmm.default, aten.baddbmm.default, aten.addmv.default, aten.addbmm.default, aten.addcmul.default),
            _ADDED,
        ),
        aten.div.Tensor: (frozenset({0}),),
        aten.addcdiv.default: (frozenset({0, 1}),),
        aten.lerp.Scalar: (frozenset({0, 1}),),
        aten.lerp.Tensor: (frozenset({0, 1}), frozenset({2})),
        aten._trilinear.default: (*_TWO, frozenset({2})),
        aten.convolution.default: _BIASED,
        aten.native_group_norm.default: _SHIFTED,
        aten.native_layer_norm.default: (frozenset({2, 3}),),
        aten._scaled_dot_product_flash_attention_for_cpu.default: (frozenset({2}),),
    }
)  # fmt: skip
"""Places of the arguments in which the first output of an operation is affine together, the others fixed."""

_BATCH_NORMS: Final = (
    aten.native_batch_norm.default,
    aten._native_batch_norm_legit.default,
    aten._native_batch_norm_legit_functional.default,
)
_IN_TRAINING: Final = 5
"""Place of their flag."""


def affine_places(op: OpOverload, index: int, args: Sequence[Any]) -> tuple[Places, ...] | None:
    """Sets of arguments in which an output is piecewise affine together while the others do not move.

    Args:
        op: The operation.
        index: Which of its outputs.
        args: Its arguments by their places.

    Returns:
        Sets of places; None for all arguments together. No set where nothing is known.
    """
    if op in LINEAR:
        return None
    if index != 0:
        return ()
    if op in _BATCH_NORMS:
        # By statistics of the batch the normalised value is curved in what it is made of, not in what scales it.
        return _SHIFTED if args[_IN_TRAINING] else _BIASED
    if op is aten._native_batch_norm_legit.no_stats:
        return _SHIFTED
    return JOINTLY.get(op, ())

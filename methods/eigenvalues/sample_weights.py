"""How much each sample adds to a curvature matrix, as far as the outputs of the network tell."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from hessbench.operator_parts import Parted, Rowed


def sample_weights(op: object) -> Tensor:
    """What the outputs say of how much each sample adds, (N,), in float64 on the CPU.

    Of a GGN sum_i J_i^T S_i S_i^T J_i that is ||S_i||_F^2; of a Hessian the norm of the slope l_i of the loss as well,
    since its residual is sum_i sum_c l_ic nabla^2 f_ic: where a network is sure and wrong, the root is small and the
    slope is not.

    Args:
        op: A GGN with rows, or a Hessian with parts.

    Cost:
        A forward pass.

    Raises:
        ValueError: If one is not finite.
    """
    is_ggn = hasattr(op, "rows")
    ggn: object = op if is_ggn else cast("Parted", op).parts.ggn
    rows = cast("Rowed", ggn).rows
    weights = rows.sample_norms().double().square()
    if not is_ggn:
        weights = weights + rows.slope_norms().double()
    if not bool(weights.isfinite().all()):
        raise ValueError("the outputs of the network must be finite: a sample has a weight that is not")
    return weights


def heaviest(weights: Tensor, dropped: float) -> int:
    """How many of the heaviest samples leave at most a share `dropped` of the weight; all where nothing weighs."""
    ascending = weights.double().sort().values
    lightest = ascending.cumsum(0)  # summed from the lightest, so that zeros leave nothing
    total = float(lightest[-1])
    left_out = int((lightest <= dropped * total).sum()) if total > 0 else 0
    return weights.numel() - left_out

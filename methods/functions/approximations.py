"""How far an operator is from one that it stands for: in the Frobenius norm, by layers, and in the damped step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hessbench.methods.arguments import check_at_least
from hessbench.methods.eigenvalues.by_layer import layer_probes
from hessbench.methods.functions.conjugate_gradients import TOLERANCE
from hessbench.methods.functions.damped_solution import damped_solution
from hessbench.operators import LinearOperator


@dataclass(frozen=True)
class FrobeniusDistance:
    """How far an approximation B is from A, and from the diagonal blocks of A.

    Attributes:
        to_whole: ||B - A||_F / ||A||_F.
        to_blocks: ||B - D||_F / ||D||_F, D the blocks of the layers on the diagonal of A.
        left_out: ||A - D||_F / ||A||_F: what no block-diagonal approximation can have.
        is_exact: Whether unit vectors were multiplied, rather than random signs.
    """

    to_whole: float
    to_blocks: float
    left_out: float
    is_exact: bool


def frobenius_distance(
    approximate: LinearOperator,
    exact: LinearOperator,
    layers: Mapping[str, range],
    *,
    num_probes: int,
    generator: torch.Generator,
) -> FrobeniusDistance:
    """Relative Frobenius distances of an approximation to an operator, and to its diagonal blocks.

    By sign probes of one layer at a time, E ||M z||^2 = ||M_c||_F^2 for the columns c of the layer; with as many probes
    as a layer has parameters unit vectors take their place, and the layer's share is exact.

    Args:
        approximate: B, such as K-FAC.
        exact: A, of the same dimension.
        layers: Where each layer is, all of the vector, such as `layer_ranges(problem.shapes)`.
        num_probes: Probes of each layer, at least 1.
        generator: Source of the signs.

    Returns:
        The distances; from random signs their squares are ratios of unbiased estimates.

    Cost: for each layer `num_probes` products with both, or as many as it has parameters.

    Raises:
        ValueError: If an argument is out of range, or A or its blocks are zero.
    """
    check_at_least("num_probes", num_probes, 1)
    check_same(approximate, exact)
    if sum(map(len, layers.values())) != exact.dim:
        raise ValueError(f"layers must be all of the {exact.dim} entries of a vector")
    totals = torch.zeros(5, dtype=torch.float64)
    for where in layers.values():
        for weight, z in layer_probes(exact, where, num_probes, generator):
            totals += weight * _squares(approximate.matmat(z), exact.matmat(z), where)
    whole, blocks, off, distance, to_blocks = totals.tolist()
    if not blocks > 0:
        raise ValueError("the operator that is approximated must not be zero on its diagonal blocks")
    return FrobeniusDistance(
        to_whole=(distance / whole) ** 0.5,
        to_blocks=(to_blocks / blocks) ** 0.5,
        left_out=(off / whole) ** 0.5,
        is_exact=all(num_probes >= len(where) for where in layers.values()),
    )


def step_cosine(
    approximate: LinearOperator,
    exact: LinearOperator,
    gradient: Tensor,
    *,
    damping: float,
    num_matvecs: int,
    tolerance: float = TOLERANCE,
) -> float:
    """Cosine of the angle between the damped steps (B + damping I)^-1 g and (A + damping I)^-1 g.

    Args:
        approximate: B, with B + damping I positive definite.
        exact: A, likewise.
        gradient: g (n,), not zero.
        damping: The same for both, above 0.
        num_matvecs: Most products with each.
        tolerance: Relative residual of both solutions.

    Cost: at most `num_matvecs` products with each.

    Raises:
        ValueError: If an argument is out of range, a system is not positive definite, or a solution does not converge
            with so many products.
    """
    check_same(approximate, exact)
    steps: list[Tensor] = []
    for op in (approximate, exact):
        found = damped_solution(op, gradient, damping=damping, num_matvecs=num_matvecs, tolerance=tolerance)
        if not found.converged:
            raise ValueError(
                f"a damped step is left with the residual {found.residual:.1e} after {num_matvecs} products: more "
                "products, a larger damping or tolerance are accepted"
            )
        steps.append(found.x.double())
    first, second = steps
    return float(first @ second / (first.norm() * second.norm()))


def check_same(one: LinearOperator, other: LinearOperator) -> None:
    """Refuse operators that do not multiply the same blocks.

    Raises:
        ValueError: If dimension, dtype or device differ.
    """
    if (one.dim, one.dtype, one.device) != (other.dim, other.dtype, other.device):
        raise ValueError(
            f"operators of one dimension, dtype and device are accepted, got {one.dim} of {one.dtype} on {one.device} "
            f"and {other.dim} of {other.dtype} on {other.device}"
        )


def _squares(found: Tensor, truth: Tensor, where: range) -> Tensor:
    """Squared norms of A z, D z, (A - D) z, (B - A) z and (B - D) z, summed over the columns."""
    B, A = found.double(), truth.double()
    D = torch.zeros_like(A)
    D[where.start : where.stop] = A[where.start : where.stop]
    return torch.stack([M.square().sum() for M in (A, D, A - D, B - A, B - D)]).cpu()

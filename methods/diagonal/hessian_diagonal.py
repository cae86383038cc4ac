"""The diagonal of a Hessian exactly: squares of its network's outputs, and of the units in which it is curved."""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor

from hessbench.estimand import Diagonal, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.diagonal.ggn_diagonal import with_squares
from hessbench.methods.rows.flat_check import check_flat, check_products
from hessbench.methods.rows.parted import PartedOperator
from hessbench.operator_parts import Curved, Formed, Sampled
from hessbench.operators import Factored, LinearOperator

_DRAWN: Final = 16
"""Entries of the residual's diagonal that are held against products."""


def hessian_diagonal_exact(
    op: PartedOperator, /, *, num_matvecs: int, generator: torch.Generator, block: int = 10
) -> Estimate:
    """Diag H = diag G + diag R + c: the GGN's as `ggn_diagonal_exact`, the residual's from the units that are curved.

    With x_u what a unit's function f is applied to, d_u the slope of the loss in its value, diag(R)_p is the sum over
    samples and units of d_u f''(x_u) (dx_u / dp)^2, where a network is curved in functions of single numbers alone.
    Where diag(R) is shown to vanish, nothing is spent on it but a check.

    Args:
        op: Hessian with parts and structure.
        num_matvecs: Most squares and products together: C squares of outputs, U of units, and for the check U squares
            and 16 products over one sample, 8 where R says its forms; or, where there are no such units, a product for
            two flat groups.
        generator: Draws the sample and the entries of the check.
        block: Outputs squared at once.

    Returns:
        The diagonal, shape (n,), and in `also` its sum, the trace.

    Cost:
        C and U per-example squares, charged at what their sums take where the layers are known: a dense layer is
        squared once, and a unit straight behind one needs no pass of its own. A forward pass of the structure, and the
        check.

    Raises:
        ValueError: If the budget does not hold it, the network is curved in anything else, with what is accepted, or a
            product of the residual has another diagonal.

    Source:
        Dangel, Kunstner and Hennig, BackPACK (2020), arXiv:1912.10985.
    """
    check_at_least("block", block, 1)
    parts, structure = op.parts, op.structure
    is_flat = bool(structure.flat.all())
    factor = cast("Factored", parts.ggn).factor
    units = None if is_flat else cast("Curved", parts.residual).units
    spent = check_products(structure) if units is None else _DRAWN + 2 * units.num_units
    check_at_least("num_matvecs", num_matvecs, factor.num_outputs + spent)
    diagonal = torch.full((op.dim,), parts.shift, dtype=op.dtype, device=op.device)
    if units is None:
        check_flat(parts.residual, structure, factor.num_samples, generator)
    else:
        _check_units(parts.residual, factor.num_samples, generator)
        diagonal += units.diagonal()
    return with_squares(diagonal, factor, block)


def _check_units(residual: LinearOperator, num_samples: int, generator: torch.Generator) -> None:
    """Hold entries e_p^T R e_p of R over one random sample, by its forms or its products, against its units.

    Where a part q of all entries were wrong, this misses it with probability (1 - q)^16.

    Raises:
        ValueError: If one differs by more than rounding.
    """
    sample = torch.randint(num_samples, (1,), generator=generator, device=generator.device)
    part = cast("Sampled", residual).subset(sample)
    places = torch.randint(part.dim, (_DRAWN,), generator=generator, device=generator.device).tolist()
    found = cast("Curved", part).units.diagonal()[places].double().cpu()
    entries, sizes = _entries(part, places)
    slack = torch.finfo(part.dtype).eps ** 0.5
    if not bool(((entries - found).abs() <= slack * (sizes + found.abs())).all()):
        raise ValueError(
            "the residual of one sample has another diagonal than its curved units say: accepted is a network whose "
            "samples stand by themselves and whose operations do what autograd records"
        )


def _entries(part: LinearOperator, places: list[int]) -> tuple[Tensor, Tensor]:
    """Diagonal entries of R, and the sizes of what they are sums of; in float64 on the CPU."""
    # By name: a counted operator has the property of any, and refuses it.
    if hasattr(part, "forms"):
        ones = torch.ones(part.dim, dtype=part.dtype, device=part.device)
        found = cast("Formed", part).forms(ones, [(place, place + 1) for place in places])
        if bool(found.values.isfinite().all()):
            return found.values, found.sizes
    columns = torch.zeros(part.dim, _DRAWN, dtype=part.dtype, device=part.device)
    picked = torch.arange(_DRAWN)
    columns[places, picked] = 1
    products = part.matmat(columns).double().cpu()
    return products[places, picked], products.norm(dim=0)


def _footprint(dim: int, num_matvecs: int, *, block: int, **_: object) -> Footprint:
    del dim
    return Footprint(vectors=block + 2.0 * _DRAWN + 4, passes=5.0 * num_matvecs)


def _widths(num_matvecs: int, *, block: int, **_: object) -> tuple[int, ...]:
    return (min(num_matvecs, block),)


HESSIAN_DIAGONAL_EXACT = Method(
    name="hessian-diagonal-exact",
    run=hessian_diagonal_exact,
    estimands=(Diagonal, Trace),
    requires=("parts",),
    works_by="factor",
    citation=(
        "Dangel, Kunstner and Hennig, BackPACK: Packing more into backprop, ICLR (2020), arXiv:1912.10985, whose roots "
        "of a residual its units are"
    ),
    version="1",
    min_matvecs=1,
    block_widths=_widths,
    footprint=_footprint,
)

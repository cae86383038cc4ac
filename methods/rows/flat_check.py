"""A check of what is claimed about the residual of a Hessian: that v^T R v = 0 inside each group of parameters."""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor

from hessbench.operator_parts import Formed, Sampled
from hessbench.operator_protocol import LinearOperator
from hessbench.operator_structure import Structure

_WIDTH: Final = 16
"""Pairs of groups that are looked at in one call."""

_ROUNDING: Final = 100.0
"""Times eps of what is added up, up to which a difference is rounding."""


def check_products(structure: Structure) -> int:
    """Products that `check_flat` is charged: one for every two groups."""
    return -(-len(structure.groups) // 2)


def check_flat(residual: LinearOperator, structure: Structure, num_samples: int, generator: torch.Generator) -> None:
    """Compare v^T R v with rounding for a normal v inside each flat group, R that of one random sample.

    Where R says its forms, each is one of them. Elsewhere two groups share a product: of v = v_g + v_h the claim says
    that v_g^T R v = v_g^T R v_h = v_h^T R v, and what these two differ by is v_g^T R v_g - v_h^T R v_h, which is 0 by
    chance for no independent v_g and v_h. Where it is wrong for a group of n_g parameters, the difference is of about
    2^(1/2) ||R_gg||_F, and |v_g| |(R v)_g| of at most n_g^(1/2) times ||R_gg + R_gh||_F: what is looked for is far
    above the 100 eps that are allowed.

    Args:
        residual: R, a sum over samples.
        structure: What is claimed.
        num_samples: Number N of samples.
        generator: Draws the sample and v.

    Cost:
        One product of R over one sample for every two groups, in calls of width 16, or the forms of each at that price.

    Raises:
        ValueError: If the claim is wrong for a group.
    """
    groups = structure.groups
    if not groups:
        return
    assert isinstance(residual, Sampled)
    sample = torch.randint(num_samples, (1,), generator=generator, device=generator.device)
    part = residual.subset(sample)
    v = torch.empty(residual.dim, dtype=residual.dtype, device=residual.device).normal_(generator=generator)
    for start, stop in groups:
        v[start:stop] /= torch.linalg.vector_norm(v[start:stop])
    # By name: a counted operator has the property of any, and refuses it.
    if hasattr(part, "forms"):
        _by_forms(cast("Formed", part), v, groups)
    else:
        _by_pairs(part, v, groups)


def _by_forms(part: Formed, v: Tensor, groups: tuple[tuple[int, int], ...]) -> None:
    """Compare the form of each group.

    Raises:
        ValueError: If one is more than rounding.
    """
    found = part.forms(v, groups)
    slack = _ROUNDING * torch.finfo(v.dtype).eps
    for group, form, size in zip(groups, found.values.tolist(), found.sizes.tolist(), strict=True):
        if not abs(form) <= slack * size:
            raise ValueError(_wrong(abs(form), size, (group,)))


def _by_pairs(part: LinearOperator, v: Tensor, groups: tuple[tuple[int, int], ...]) -> None:
    """Compare the two forms in each product.

    Raises:
        ValueError: If they differ by more than rounding.
    """
    pairs = [groups[place : place + 2] for place in range(0, len(groups), 2)]
    for first in range(0, len(pairs), _WIDTH):
        block = pairs[first : first + _WIDTH]
        V = v.new_zeros(v.numel(), len(block))
        for place, pair in enumerate(block):
            for start, stop in pair:
                V[start:stop, place] = v[start:stop]
        images = part.matmat(V)
        for place, pair in enumerate(block):
            _compare(V[:, place], images[:, place], pair)


def _compare(v: Tensor, image: Tensor, pair: tuple[tuple[int, int], ...]) -> None:
    """Refuse a pair of groups, or the last one alone, whose forms differ by more than rounding.

    Raises:
        ValueError: If they do.
    """
    forms, size = [0.0, 0.0], 0.0
    for place, (start, stop) in enumerate(pair):
        inside, product = v[start:stop].double(), image[start:stop].double()
        forms[place] = float(inside @ product)
        size += float(torch.linalg.vector_norm(inside) * torch.linalg.vector_norm(product))
    difference = abs(forms[0] - forms[1]) if len(pair) == 2 else abs(forms[0])
    if not difference <= _ROUNDING * torch.finfo(v.dtype).eps * size:
        raise ValueError(_wrong(difference, size, pair))


def _wrong(form: float, size: float, groups: tuple[tuple[int, int], ...]) -> str:
    where = " or ".join(f"{start} to {stop - 1}" for start, stop in groups)
    return (
        f"structure must hold, but v^T R v is {form:.3g}, of |v| |R v| = {size:.3g}, for a v on the "
        f"parameters {where}, where it claims 0"
    )

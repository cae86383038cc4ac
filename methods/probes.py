"""Random probes, and the widths of the blocks in which anytime methods multiply them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

import torch
from torch import Tensor

from hessbench.methods.arguments import Probe, check_choice
from hessbench.operators import LinearOperator


def draw_signs(rows: int, columns: int, like: LinearOperator, generator: torch.Generator) -> Tensor:
    """Draw independent entries -1 and +1 of equal probability.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        like: Operator whose dtype and device they take.
        generator: Source of randomness, on the same device.

    Returns:
        Block of shape (rows, columns).
    """
    bits = torch.randint(0, 2, (rows, columns), generator=generator, dtype=like.dtype, device=like.device)
    return bits.mul_(2).sub_(1)


def draw_normal(rows: int, columns: int, like: LinearOperator, generator: torch.Generator) -> Tensor:
    """Draw independent standard normal entries.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        like: Operator whose dtype and device they take.
        generator: Source of randomness, on the same device.

    Returns:
        Block of shape (rows, columns).
    """
    return torch.randn(rows, columns, generator=generator, dtype=like.dtype, device=like.device)


def draw_sphere(rows: int, columns: int, like: LinearOperator, generator: torch.Generator) -> Tensor:
    """Draw independent columns uniform on the sphere of radius sqrt(rows).

    Args:
        rows: Number of rows, at least 1.
        columns: Number of columns.
        like: Operator whose dtype and device they take.
        generator: Source of randomness, on the same device.

    Returns:
        Block of shape (rows, columns).
    """
    block = draw_normal(rows, columns, like, generator)
    return block.mul_(rows**0.5 / torch.linalg.vector_norm(block, dim=0))


def draw_direction(like: LinearOperator, generator: torch.Generator) -> Tensor:
    """Draw a direction (n,) at random: a start, or what a run goes on with after an exhausted space."""
    return draw_normal(like.dim, 1, like, generator)[:, 0]


def draw_probes(probe: str, rows: int, columns: int, like: LinearOperator, generator: torch.Generator) -> Tensor:
    """Draw a block by the name of its distribution.

    Args:
        probe: `signs`, `normal` or `sphere`.
        rows: Number of rows.
        columns: Number of columns.
        like: Operator whose dtype and device it takes.
        generator: Source of randomness, on the same device.

    Returns:
        Block of shape (rows, columns).

    Raises:
        ValueError: If `probe` is another word.
    """
    check_choice("probe", probe, get_args(Probe))
    return _DRAWS[probe](rows, columns, like, generator)


_DRAWS: Final = {"signs": draw_signs, "normal": draw_normal, "sphere": draw_sphere}


def sketched_range(
    op: LinearOperator, num_matvecs: int, generator: torch.Generator, probe: str = "signs"
) -> tuple[Tensor, Tensor]:
    """Spend a third of a budget on the range of A, and draw the probes for what it leaves over.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Products m, at least 3; s = min(m // 3, n) are spent here.
        generator: Source of the probes.
        probe: Their distribution, see `draw_probes`.

    Returns:
        An orthonormal basis (n, s) of the range of A on s probes, and further probes (n, m - 2 s), none where s is n.

    Raises:
        ValueError: If `probe` is another word.
    """
    s = min(num_matvecs // 3, op.dim)
    Q = torch.linalg.qr(op.matmat(draw_probes(probe, op.dim, s, op, generator)).detach()).Q
    return Q, draw_probes(probe, op.dim, num_matvecs - 2 * s if s < op.dim else 0, op, generator)


def sketched_widths(num_matvecs: int, **_: object) -> tuple[int, ...]:
    """Block widths of a method that begins with `sketched_range` and multiplies the rest at once."""
    return (num_matvecs // 3, num_matvecs - num_matvecs // 3)


def block_schedule(num_matvecs: int, block: int) -> Iterator[int]:
    """Widths of successive blocks: the first `block` probes one at a time, then `block` at a time.

    A run stops before the first block that does not fit, so the widths of a small budget begin those of a large one.
    A last block cut to what is left would not: the bits of a product may depend on the width of its block. Starting
    with single probes keeps the smallest budgets usable.

    Args:
        num_matvecs: Products that may be spent; at most block - 1 of them stay unspent.
        block: Width of the full blocks.

    Yields:
        Widths whose sum does not exceed `num_matvecs`.
    """
    spent = 0
    while True:
        width = 1 if spent < block else block
        spent += width
        if spent > num_matvecs:
            return
        yield width


def single_columns(num_matvecs: int, **_: object) -> tuple[int, ...]:
    """Block widths of a method that multiplies vectors."""
    del num_matvecs
    return (1,)


def schedule_widths(num_matvecs: int, *, block: int, **_: object) -> tuple[int, ...]:
    """The different widths of `block_schedule`, for warming up."""
    return (1,) if block == 1 or num_matvecs < 2 * block else (1, block)

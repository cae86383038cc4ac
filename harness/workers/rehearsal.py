"""A run of a method on a small operator: what it asks for, and what it takes beside its products.

The operator costs next to nothing, has the factor that the problem has, and a spectrum that decays so slowly that no
method is done early.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, final

import torch
from torch import Tensor

from hessbench.cells.answers import is_wanted
from hessbench.cells.cell import Cell
from hessbench.cells.counted_run import CountedRun
from hessbench.clock import Stopwatch, wait_for
from hessbench.counting import BudgetExceeded
from hessbench.flops import counting_flops
from hessbench.method import BoundMethod
from hessbench.operators import OperatorInfo, ProductKind
from hessbench.problem import PSD
from hessbench.seeding import derive_seed, make_generator
from hessbench.workers.price_messages import Rehearsal

MOST_DIM: Final = 1000
MOST_PRODUCTS: Final = 300
"""Dimension and products up to which a run is rehearsed as it is; a longer one takes in proportion."""


def rehearse(bound: BoundMethod, budget: int, dim: int, like: Tensor, factor: tuple[int, int] | None) -> Rehearsal:
    """Run a method twice, with its FLOPs counted and then against the clock.

    Args:
        bound: The method, bound to its estimand.
        budget: Products it may spend on the problem itself.
        dim: Dimension of the problem.
        like: A tensor of the problem's dtype, on its device.
        factor: Samples and outputs of the problem's factor, where the method needs it.

    Returns:
        What it took.

    Raises:
        Exception: What the method raises.
    """
    size = min(dim, MOST_DIM)
    # A budget of n stays one of n.
    allowed = size if budget >= dim else min(budget, MOST_PRODUCTS)
    allowed = max(allowed, bound.min_matvecs(size))
    cell = Cell("rehearsal", str(bound.spec), bound.estimand.spec, (allowed,), device=str(like.device))
    seconds: list[float] = []
    # A system to be solved is definite: an indefinite one ends a run at once.
    signs = PSD not in bound.method.requires and not bound.estimand.hands
    op = SlowlyDecaying(size, like, signs=signs, factor=factor)
    generator = make_generator(derive_seed("rehearsal", "handed"), like.device)
    handed = {
        name: torch.randn(size, generator=generator, device=like.device, dtype=like.dtype)
        for name in bound.estimand.hands
    }
    run = CountedRun(op, cell, bound, handed=handed)
    with counting_flops():
        seconds.append(_own_seconds(run))
    op.blocks.clear()
    run = CountedRun(op, cell, bound, handed=handed)
    seconds.append(_own_seconds(run))
    blocks = {f"{kind} {width}": number for (kind, width), number in op.blocks.items()}
    return Rehearsal(
        method=str(bound.spec),
        estimand=bound.estimand.spec,
        budget=budget,
        dim=size,
        allowed=allowed,
        spent=run.op.matvecs,
        own_s=seconds[1],
        counted_own_s=seconds[0],
        blocks=blocks,
    )


def _own_seconds(run: CountedRun) -> float:
    """Seconds of a run and of the evaluation of its last estimate, those in products not counted."""
    watch = Stopwatch()
    wait_for(run.device)
    watch.start()
    estimate = None
    try:
        for found in run.estimates():
            estimate = found
            if run.op.matvecs >= run.cell.budget:
                break
    except BudgetExceeded:
        pass  # what it had yielded stands
    if estimate is not None:
        estimate.resolve(lambda kind: is_wanted(kind, run.bound))
    wait_for(run.device)
    return max(watch.seconds - run.op.spending.operator_s, 0.0)


@final
class SlowlyDecaying:
    """A symmetric operator H diag(l) H with a reflection H, and l falling from 1 to about 1/3, every other one below 0.

    Attributes:
        blocks: Products made, by kind and width.
    """

    def __init__(self, dim: int, like: Tensor, *, signs: bool, factor: tuple[int, int] | None) -> None:
        self.dim, self.dtype, self.device = dim, like.dtype, like.device
        self.info = OperatorInfo(ProductKind.PRODUCT, 1, 1)
        self.blocks: Counter[tuple[ProductKind, int]] = Counter()
        index = torch.arange(dim, device=like.device)
        values = 1 / (1 + 2 * index / dim)
        self._values = torch.where(index % 2 == 1, -values, values).to(like.dtype) if signs else values.to(like.dtype)
        generator = make_generator(derive_seed("rehearsal"), like.device)
        normal = torch.randn(dim, 1, generator=generator, device=like.device, dtype=like.dtype)
        self._normal = normal / normal.norm()
        if factor is not None:
            self.factor = _Factor(self, *factor)

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block."""
        self.blocks[ProductKind.PRODUCT, block.shape[1]] += 1
        return self._reflected(self._values[:, None] * self._reflected(block))

    def _reflected(self, block: Tensor) -> Tensor:
        return block - 2 * self._normal @ (self._normal.T @ block)


@final
class _Factor:
    """A factor with as many columns as that of the problem, whose products are cheap."""

    def __init__(self, op: SlowlyDecaying, samples: int, outputs: int) -> None:
        self._op = op
        self.num_samples, self.num_outputs, self.num_columns = samples, outputs, samples * outputs

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """Some vectors of the right shape."""
        self._op.blocks[ProductKind.VJP, block.shape[1]] += 1
        return block[:1].expand(self._op.dim, -1).clone()

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Some vectors of the right shape."""
        self._op.blocks[ProductKind.PER_EXAMPLE_SQUARE, block.shape[1]] += 1
        return block[:1].square().expand(self._op.dim, -1).clone()

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        """Some vectors of the right shape, after the draw of a label for each sample."""
        self._op.blocks[ProductKind.PER_EXAMPLE_SQUARE, number] += 1
        drawn = torch.rand(self.num_samples, number, generator=generator, dtype=self._op.dtype, device=self._op.device)
        return drawn[:1].square().expand(self._op.dim, -1).clone()

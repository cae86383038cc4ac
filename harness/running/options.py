"""How a suite is run."""

from __future__ import annotations

from dataclasses import dataclass, field

from hessbench.ledger.record import Status
from hessbench.running.plan import Conditions
from hessbench.running.remaining import Weigh


@dataclass(frozen=True)
class Options:
    """How a suite is run.

    Attributes:
        plugins: Plugin files.
        trusted: Plugin files that a sealed run imports beside the operator, as problems must be; elsewhere, more.
        conditions: Overrides of device, dtype, threads, timeout and memory cap.
        jobs: Cells at once; more than one makes every time contended.
        retry: Statuses to run again.
        shard: Number of this shard, from 1, and of shards.
        prices: Whether the prices of products at other dimensions are measured.
        references: Whether references are made that neither the folder nor the cache holds.
        sealed: Whether methods run in processes of their own, from which nothing leads to the operator or its count.
        weigh: Work of a cell, for the time that is left; its products times the dimension by default.
    """

    plugins: tuple[str, ...] = ()
    conditions: Conditions = field(default_factory=Conditions)
    jobs: int = 1
    retry: frozenset[Status] = frozenset()
    shard: tuple[int, int] = (1, 1)
    prices: bool = True
    references: bool = True
    sealed: bool = False
    weigh: Weigh | None = None
    trusted: tuple[str, ...] = ()

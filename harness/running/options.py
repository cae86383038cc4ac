"""How a suite is run."""

from __future__ import annotations

from collections.abc import Sequence
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
        prices: Whether the prices of products are measured, beside a gradient and at other dimensions.
        ladders: Whether those at other dimensions are among them.
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
    ladders: bool = True
    references: bool = True
    sealed: bool = False
    weigh: Weigh | None = None
    trusted: tuple[str, ...] = ()


def retry_statuses(texts: Sequence[str]) -> frozenset[Status]:
    """Read the statuses of `--retry`.

    Raises:
        ValueError: If one is not a status of a cell that ran.
    """
    accepted = [status.value for status in Status if status not in (Status.OK, Status.SKIPPED)]
    for text in texts:
        if text not in accepted:
            raise ValueError(f"retry takes statuses among {', '.join(accepted)}, got {text!r}")
    return frozenset(Status(text) for text in texts)

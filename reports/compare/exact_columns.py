"""What needs no test because it is exact or nearly so: statuses, counts of products, FLOPs and peaks of memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from hessbench.ledger.record import Record, Status
from hessbench.reports.compare.differences import Difference, Verdict
from hessbench.reports.writing.units import count, ratio, size

FLOPS_THRESHOLD: Final = 1.01
"""Factor of FLOPs that counts. They are counted, not measured: what is left are shapes that a library pads."""

MEMORY_THRESHOLD: Final = 1.1
"""Factor of a peak that counts, where it is `MEMORY_STEP` as well."""

MEMORY_STEP: Final = 4 << 20
"""Bytes of a peak below which pages and allocators decide."""

COUNTED: Final = (Status.OK, Status.OVER_BUDGET)
"""Statuses of runs whose counts mean something."""

_RANKS: Final = {Status.OK: 0, Status.OVER_BUDGET: 1, Status.SKIPPED: 2, Status.DIVERGED: 3}
_FAILED: Final = 4
"""Statuses from good to bad; every other one is a failure, none worse than another."""


def where_of(row: Record) -> str:
    """A cell in words."""
    what = f"{row.problem} {row.method} {row.estimand}"
    return f"{what} budget {row.budget} repeat {row.repeat} {row.pass_} ({row.cell[:8]})"


def missing(row: Record) -> Difference:
    """A cell of the old ledger that the new one lacks."""
    verdict = Verdict.REGRESSION if row.status in COUNTED else Verdict.CHANGED
    return Difference(verdict, where_of(row), f"was {row.status.value}, is missing now", "status")


def exact_differences(old: Record, new: Record) -> list[Difference]:
    """What differs in the status and in the columns that hold exact numbers of one cell."""
    if old.status is not new.status:
        return [_status(old, new)]
    if old.status not in COUNTED:
        return []
    counts = list(_counts(old, new))
    return [*(counts or _mix(old, new)), *_flops(old, new), *_peaks(old, new)]


def _status(old: Record, new: Record) -> Difference:
    was, now = _RANKS.get(old.status, _FAILED), _RANKS.get(new.status, _FAILED)
    verdict = Verdict.CHANGED
    if now != was:
        verdict = Verdict.REGRESSION if now > was else Verdict.IMPROVEMENT
    reason = f" ({new.reason})" if new.reason else ""
    text = f"status was {old.status.value}, is {new.status.value}{reason}"
    return Difference(verdict, where_of(old), text, "status")


def _counts(old: Record, new: Record) -> Iterator[Difference]:
    for name, was, now in (
        ("matvecs", old.matvecs, new.matvecs),
        ("calls", old.calls, new.calls),
        ("gradient-equivalents", old.gradient_equivalents, new.gradient_equivalents),
    ):
        if not math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12):
            verdict = Verdict.REGRESSION if now > was else Verdict.IMPROVEMENT
            yield Difference(verdict, where_of(old), f"{name} {count(was)}, now {count(now)}", name)


def _mix(old: Record, new: Record) -> Iterator[Difference]:
    """Other kinds of products at the same price: neither mix costs more."""
    kinds = sorted({*old.counts, *new.counts})
    changed = [kind for kind in kinds if old.counts.get(kind, 0) != new.counts.get(kind, 0)]
    if changed:
        mix = ", ".join(f"{kind} {old.counts.get(kind, 0)}, now {new.counts.get(kind, 0)}" for kind in changed)
        yield Difference(Verdict.CHANGED, where_of(old), f"products by kind: {mix}", "counts")


def _flops(old: Record, new: Record) -> Iterator[Difference]:
    was, now = old.flops, new.flops
    # A run without products that the counter knows has none.
    if not was or not now or 1 / FLOPS_THRESHOLD <= now / was <= FLOPS_THRESHOLD:
        return
    verdict = Verdict.REGRESSION if now > was else Verdict.IMPROVEMENT
    yield Difference(verdict, where_of(old), f"FLOPs {was:.3g}, now {now:.3g}: {ratio(now / was)}", "flops")


def _peaks(old: Record, new: Record) -> Iterator[Difference]:
    for name, said, was, now in (
        ("host_peak_bytes", "host memory", old.host_peak_bytes, new.host_peak_bytes),
        ("device_peak_bytes", "device memory", old.device_peak_bytes, new.device_peak_bytes),
    ):
        if was is None or now is None or abs(now - was) < MEMORY_STEP:
            continue
        if max(was, now) > MEMORY_THRESHOLD * min(was, now):
            verdict = Verdict.REGRESSION if now > was else Verdict.IMPROVEMENT
            yield Difference(verdict, where_of(old), f"{said} {size(was)}, now {size(now)} at the peak", name)

"""The supervisor's side: slots with their servers, jobs handed out, outcomes collected."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, final

from hessbench.workers import processes
from hessbench.workers.allocator import MEMORY_ALLOCATOR
from hessbench.workers.messages import Cause, Job, Message, Outcome
from hessbench.workers.slot import Slot
from hessbench.workers.slot import WorkerConfig as WorkerConfig

COUNTING: Final = ("torch._dynamo",)
"""Modules that the first count of FLOPs in a process imports, for seconds."""


@final
class Pool:
    """Slots for jobs; in each, one server for the clock and one, with other allocator settings, for peaks.

    Args:
        config: What servers need to know.
        jobs: Number of slots.
    """

    def __init__(self, config: WorkerConfig, jobs: int = 1) -> None:
        self._config = config
        self._slots: list[dict[str, Slot]] = [{} for _ in range(jobs)]

    def idle(self) -> int | None:
        """Number of a slot without a job, or None."""
        for number, servers in enumerate(self._slots):
            if all(server.outcome is None for server in servers.values()):
                return number
        return None

    @property
    def running(self) -> list[Slot]:
        """Servers with a job."""
        return [server for servers in self._slots for server in servers.values() if server.outcome]

    def hand_out(self, job: Job, *, memory: bool = False) -> None:
        """Give a job to an idle slot.

        Raises:
            RuntimeError: If there is none.
            ValueError: If a server could not start, and said why.
            ChildProcessError: If it could not, and said nothing.
            OSError: If it is gone again at once.
        """
        number = self.idle()
        if number is None:
            raise RuntimeError("every slot is busy")
        kind = "memory" if memory else "time"
        servers = self._slots[number]
        if kind in servers and not servers[kind].is_alive:
            servers.pop(kind).close()
        if kind not in servers:
            servers[kind] = self._slot(memory)
        try:
            servers[kind].hand_out(job)
        except ChildProcessError:
            raise  # it could not start, and another would not either
        except OSError:
            # It was well before and has gone since.
            servers.pop(kind).close()
            servers[kind] = self._slot(memory)
            servers[kind].hand_out(job)

    def wait(self, timeout: float) -> list[Outcome]:
        """Wait for something to happen; the outcomes of the jobs that ended."""
        slots = self.running
        with selectors.DefaultSelector() as selector:
            for slot in slots:
                for descriptor in slot.files:
                    selector.register(descriptor, selectors.EVENT_READ)
            selector.select(timeout)
        found: list[Outcome] = []
        for slot in slots:
            if outcome := slot.advance():
                found.append(outcome)
                if outcome.ended.cause is Cause.SERVER or slot.is_lost:
                    processes.kill_marked(slot.mark)
        return found

    def perform(
        self, job: Job, *, memory: bool = False, watch: Callable[[Sequence[Message]], None] | None = None
    ) -> Outcome:
        """Hand out one job and wait for it, with nothing else running; `watch` sees what it has said so far."""
        self.hand_out(job, memory=memory)
        while True:
            outcomes = self.wait(0.2)
            if outcomes:
                return outcomes[0]
            for slot in self.running:
                if watch is not None and slot.outcome is not None:
                    watch(slot.outcome.messages)

    def _slot(self, memory: bool) -> Slot:
        if not memory:
            return Slot(self._config, {})
        return Slot(replace(self._config, modules=(*self._config.modules, *COUNTING)), MEMORY_ALLOCATOR)

    def close(self) -> None:
        """End every server."""
        for servers in self._slots:
            for slot in servers.values():
                slot.close()
            servers.clear()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

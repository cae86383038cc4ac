"""The operator's side of a sealed run: tells the method what it may know, serves what it asks for, keeps the clock."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, cast, final

import torch
from torch import Tensor

from hessbench.clock import Stopwatch
from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand.base import Estimate
from hessbench.kept_pages import keep_pages
from hessbench.method import Method
from hessbench.sealing import estimates, values
from hessbench.sealing.confinement import hide_memory
from hessbench.sealing.description import stand_in
from hessbench.sealing.endings import BrokenProtocol, MethodEnded, MethodRaised
from hessbench.sealing.introduction import Introduction
from hessbench.sealing.line import Gone, SealedLine
from hessbench.sealing.served import Served

_MAY_SAY: Final = ("error", "oom-host", "oom-device")
_TRIPS: Final = 15
_MOST_ECHOED: Final = 1 << 23
_UNASKED_BYTES: Final = 1 << 16


@final
class Door:
    """The way between a sealed method and its operator.

    Args:
        line: The line to the method's process.
        pid: Id of that process.
    """

    def __init__(self, line: SealedLine, pid: int) -> None:
        self._line = line
        self.pid = pid
        self._clock = Stopwatch()
        self._served: Served | None = None
        self._op: CountingOperator | None = None
        self._raised: tuple[int, Exception | None] = 0, None
        # What passed in the method or in the operator, as far as the run would have taken it unsealed too.
        self._own_ns = 0
        self._empty_ns = 0.0
        self._ns_per_byte = 0.0
        self.overhead_ns = 0
        """Time that the run would not have taken unsealed."""
        self.drew_random: bool | None = None

    def introduce(self, run: Introduction) -> Method | None:
        """Tell the method's process what it is to run, once what crossing over takes has been measured.

        Args:
            run: What it is told.

        Returns:
            A stand-in for the method of a plugin; None for one that is installed.

        Raises:
            MethodRaised: If it cannot be run.
            MethodEnded: If the process has ended.
            BrokenProtocol: If something else than a method is described.
        """
        keep_pages()  # each block that comes is a new one
        said = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(run).items()}
        self._send({"do": "introduce", **said, "id": secrets.token_hex(8)})
        if not self._answer("here").get("confined"):
            # Where the kernel keeps the method from nothing, it keeps at least this process's memory.
            hide_memory()
        self._measure(run)
        self._send({"do": "load"})
        loaded = self._answer("loaded")
        if not run.plugin:
            return None
        try:
            return stand_in(loaded.get("method"), partial(_told, loaded), [Path(run.plugin)])
        except ValueError as failure:
            raise BrokenProtocol(str(failure)) from None

    def begin(self, op: CountingOperator, clock: Stopwatch) -> None:
        """Serve a run from now on.

        Args:
            op: What the method may spend.
            clock: That of the run; what the door takes is taken out of it.
        """
        self._op, self._clock, self._served = op, clock, Served(op)
        self._raised = 0, None
        self.overhead_ns = 0
        self.drew_random = None

    def estimates(
        self, num_matvecs: int, seed: int, handed: Mapping[str, Tensor], *, count_flops: bool = False
    ) -> Iterator[Estimate]:
        """What the method yields, each evaluated in its process when that is asked for.

        Args:
            num_matvecs: Budget.
            seed: Of the generator it is handed.
            handed: Vectors that are part of the question.
            count_flops: Whether its floating-point operations are counted.

        Raises:
            BudgetExceeded: If it asks for more products than are left.
            MethodRaised: If it raises.
            MethodEnded: If its process has ended.
        """
        tensors: list[Tensor] = []
        message: dict[str, Any] = {"do": "start", "budget": num_matvecs, "seed": seed, "count_flops": count_flops}
        message["handed"] = values.written(dict(handed), tensors)
        while True:
            said, _ = self._until(("yielded", "ended"), message, tensors)
            if said["say"] == "ended":
                return
            number = said.get("number")
            yield Estimate(lambda number=number: self._evaluated(number))
            message, tensors = {"do": "next"}, []

    def settle(self) -> None:
        """Have the method's process give back what it does not need."""
        self._until(("settled",), {"do": "settle"}, [])

    def finish(self) -> int:
        """Ask what only the method's process knows of the run; where it has ended or broken off, nothing is known.

        Returns:
            The floating-point operations that it counted.
        """
        try:
            said, _ = self._until(("finished",), {"do": "finish"}, [])
        except (MethodEnded, MethodRaised, BrokenProtocol, BudgetExceeded):
            return 0
        drew, flops = said.get("drew_random"), said.get("flops")
        self.drew_random = drew if isinstance(drew, bool) else None
        return flops if type(flops) is int and 0 <= flops < 1 << 62 else 0

    def close(self) -> None:
        """Let the method's process go."""
        self._line.close()

    def _evaluated(self, number: Any) -> Estimate:
        said, tensors = self._until(("evaluated",), {"do": "evaluate", "number": number}, [])
        begin = time.perf_counter_ns()
        try:
            return estimates.read(said.get("estimate"), tensors)
        except (ValueError, TypeError) as failure:
            raise BrokenProtocol(str(failure)) from None
        finally:
            self._forgo(time.perf_counter_ns() - begin)

    def _until(
        self, wanted: Sequence[str], message: Mapping[str, Any], tensors: Sequence[Tensor]
    ) -> tuple[dict[str, Any], list[Tensor]]:
        """Send a message, and serve what the method asks for until it says what is wanted.

        Raises:
            BrokenProtocol: If something else comes.
        """
        begin, own = time.perf_counter_ns(), self._own_ns
        try:
            self._send({**message, "spent": self._spent}, tensors)
            while True:
                sent_ns, sent_bytes = self._line.sent_ns, self._line.sent_bytes
                said, found = self._receive()
                gap, came = self._line.received_ns - sent_ns, self._line.received_bytes
                if said.get("do") == "call":
                    self._serve(said, found)
                    # What is sent for nothing is no reason to take time out.
                    came = min(came, max(self._line.sent_bytes, _UNASKED_BYTES))
                carried = self._empty_ns + self._ns_per_byte * (sent_bytes + came)
                self._own_ns += max(gap - int(carried), 0)
                if said.get("do") == "call":
                    continue
                if said.get("say") == "raised":
                    self._raise(said)
                if said.get("say") in wanted:
                    return said, found
                raise BrokenProtocol("something else than a request came from the method's process")
        finally:
            self._forgo(time.perf_counter_ns() - begin - (self._own_ns - own))

    def _serve(self, said: Mapping[str, Any], found: list[Tensor]) -> None:
        served = cast("Served", self._served)
        served.drop(said.get("drop"))
        tensors: list[Tensor] = []
        begin = time.perf_counter_ns()
        try:
            arguments = values.read(said.get("with"), found)
            if not isinstance(arguments, tuple):
                raise ValueError("a call without its arguments was sent")
            begin = time.perf_counter_ns()
            result = served.call(said.get("on"), said.get("name"), cast("tuple[Any, ...]", arguments))
            self._own_ns += time.perf_counter_ns() - begin
            answer: dict[str, Any] = {"result": values.written(result, tensors)}
        except Exception as failure:  # noqa: BLE001 -- an operator may raise anything; the method is handed it
            self._own_ns += time.perf_counter_ns() - begin
            tensors.clear()
            self._raised = number, _ = self._raised[0] + 1, failure
            exceeded = isinstance(failure, BudgetExceeded)
            budget = [failure.columns, failure.spent, failure.budget] if exceeded else []
            told = {"type": type(failure).__name__, "says": str(failure)[:4000], "number": number, "budget": budget}
            answer = {"raised": told}
        self._send({**answer, "spent": self._spent}, tensors)

    def _raise(self, said: Mapping[str, Any]) -> None:
        """Raise what the method raised: the operator's own failure where it was that.

        Raises:
            BudgetExceeded: If it is that.
            MethodRaised: If it is anything else.
        """
        budget = said.get("budget")
        number, failure = self._raised
        if failure is not None and said.get("from") == number:
            raise failure
        if isinstance(budget, list) and len(cast("list[Any]", budget)) == 3 and all(type(n) is int for n in budget):  # pyright: ignore[reportUnknownVariableType]
            raise BudgetExceeded(*cast("list[int]", budget))
        status = said.get("status")
        raise MethodRaised(str(status) if status in _MAY_SAY else "error", str(said.get("reason", ""))[:4000])

    @property
    def _spent(self) -> list[int | None]:
        return [0, 0, None] if self._op is None else [self._op.matvecs, self._op.calls, self._op.remaining]

    def _forgo(self, taken_ns: int) -> None:
        self.overhead_ns += taken_ns
        if self._clock.is_running:
            self._clock.forgo(taken_ns)

    def _measure(self, run: Introduction) -> None:
        """How long a message and an answer take to cross over, and each byte: before anything of a stranger's runs."""
        block = torch.zeros(min(run.dim * 8, _MOST_ECHOED), dtype=torch.uint8)
        for tensors in ([], [block]):
            seconds: list[int] = []
            for _ in range(_TRIPS):
                self._send({"do": "echo"}, tensors)
                sent_ns = self._line.sent_ns
                self._answer("echo")
                seconds.append(self._line.received_ns - sent_ns)
            if tensors:
                beyond = statistics.median(seconds) - self._empty_ns
                self._ns_per_byte = max(beyond, 0.0) / (2 * block.numel())
            else:
                self._empty_ns = statistics.median(seconds)

    def _answer(self, wanted: str) -> dict[str, Any]:
        said, _ = self._receive()
        if said.get("say") == "raised":
            self._raise(said)
        if said.get("say") != wanted:
            raise BrokenProtocol("something else than an answer came from the method's process")
        return said

    def _send(self, message: Mapping[str, Any], tensors: Sequence[Tensor] = ()) -> None:
        try:
            self._line.send(message, tensors)
        except Gone:
            raise MethodEnded from None

    def _receive(self) -> tuple[dict[str, Any], list[Tensor]]:
        try:
            return self._line.receive()
        except Gone:
            raise MethodEnded from None
        except (ValueError, MemoryError) as failure:
            raise BrokenProtocol(str(failure)) from None


def _told(loaded: Mapping[str, Any], _method: str, what: str, *_: object) -> Any:
    """What a method has said of itself as it was loaded.

    Raises:
        ValueError: If it has not said that.
    """
    found = loaded.get(what)
    if what == "min_matvecs" and type(found) is int:
        return found
    if what == "block_widths" and isinstance(found, list):
        return tuple(int(width) for width in cast("list[Any]", found))
    raise ValueError(f"{what} is not asked for in a sealed cell")

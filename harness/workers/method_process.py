"""The process of a sealed method: what it is told, what it runs, and what it says of it."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, cast, final

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hessbench.catalog import load_plugin
from hessbench.cells.answers import is_wanted, plain_diagnostics
from hessbench.cells.counted_run import checked
from hessbench.cells.draws import Draws
from hessbench.cells.execute import classify
from hessbench.cells.meter import trim_heap
from hessbench.counting import BudgetExceeded
from hessbench.estimand import Estimate, parse_estimand
from hessbench.estimand.settled import settled
from hessbench.flops import counting_flops
from hessbench.kept_pages import keep_pages
from hessbench.method import BoundMethod, Method
from hessbench.registry import Registry
from hessbench.sealing import estimates, values
from hessbench.sealing.confinement import close_all_but, confine
from hessbench.sealing.description import answered, described
from hessbench.sealing.far import FROM_THE_OPERATOR, Far
from hessbench.sealing.introduction import Introduction
from hessbench.sealing.line import Gone, SealedLine
from hessbench.sealing.proxy import ProxyOperator

_KEPT: Final = 2
"""Estimates that may still be asked for: the last, and the one before it."""


@final
class MethodProcess:
    """Runs one method for the operator's process.

    Args:
        door: File descriptor of the socket to it.
        methods: The methods that are installed.
        readable: What may be read.
        folder: Empty folder in which the method runs.
    """

    def __init__(self, door: int, methods: Registry[Method], readable: Iterable[tuple[str, int]], folder: Path) -> None:
        close_all_but([door])
        self._line = SealedLine(socket.socket(fileno=door), gives=False)
        self._methods = methods
        self._readable = readable
        self._folder = folder
        self._far = Far(self._line)
        self._id = self._confined = ""
        self._told: Introduction | None = None
        self._bound: BoundMethod | None = None
        self._draws: Draws | None = None
        self._counter: FlopCounterMode | None = None
        self._held = ExitStack()
        self._iterator: Iterator[Estimate] = iter(())
        self._kept: dict[int, Estimate] = {}
        self._number = 0

    def serve(self) -> None:
        """Do what the operator's process asks for, until it closes its side."""
        does = {
            "introduce": self._introduce,
            "echo": self._echo,
            "describe": self._describe,
            "ask": self._ask,
            "load": self._load,
            "start": self._start,
            "next": self._advance,
            "evaluate": self._evaluate,
            "settle": self._settle,
            "finish": self._finish,
        }
        while True:
            try:
                said, tensors = self._line.receive()
            except Gone:
                return
            if "spent" in said:
                self._far.learn(said)
            try:
                does[said["do"]](said, tensors)
            except Gone:
                return
            except Exception as failure:  # noqa: BLE001 -- a method may raise anything; its row says what
                self._say_raised(failure)

    def _introduce(self, said: Mapping[str, Any], _: object) -> None:
        told: dict[str, Any] = {f.name: said[f.name] for f in fields(Introduction)}
        self._told = replace(Introduction(**told), traits=tuple(said["traits"]))
        self._id = said["id"]
        self._confined = confine(self._readable, self._folder, self._told.plugin)
        torch.set_num_threads(self._told.threads)
        keep_pages()  # as the operator's process does: each block that comes is a new one
        self._line.send({"say": "here", "confined": self._confined})

    def _echo(self, _: object, tensors: list[Tensor]) -> None:
        self._line.send({"say": "echo"}, tensors)

    def _describe(self, *_: object) -> None:
        """Say what the plugin lists.

        Raises:
            ValueError: If that is something else than methods.
        """
        module = load_plugin(cast("Introduction", self._told).plugin)
        listed = list(getattr(module, "METHODS", []))
        if not all(isinstance(method, Method) for method in listed):
            raise ValueError("METHODS holds something else than methods")
        self._methods = Registry("method", listed)
        problems = len(getattr(module, "PROBLEMS", []))
        self._line.send({"say": "described", "methods": [described(method) for method in listed], "problems": problems})

    def _ask(self, said: Mapping[str, Any], _: object) -> None:
        arguments, settings = values.read(said["with"], [])
        tensors: list[Tensor] = []
        found = answered(self._methods[said["method"]], said["what"], arguments, settings)
        self._line.send({"say": "answered", "value": values.written(found, tensors)}, tensors)

    def _load(self, *_: object) -> None:
        told = cast("Introduction", self._told)
        methods = self._methods
        if told.plugin:
            methods = Registry("method", getattr(load_plugin(told.plugin), "METHODS", []))
        _warm_up(told)
        estimand = parse_estimand(told.estimand)
        bound = replace(methods.entry_of(told.method).bind(told.method, estimand), known_low=told.known_low)
        self._bound = bound
        said = {
            "method": described(bound.method) if told.plugin else None,
            "min_matvecs": bound.min_matvecs(told.dim),
            "block_widths": list(bound.block_widths(told.budget)),
        }
        self._line.send({"say": "loaded", **said})

    def _start(self, said: Mapping[str, Any], tensors: list[Tensor]) -> None:
        bound, told = cast("BoundMethod", self._bound), cast("Introduction", self._told)
        device, dtype = torch.device(told.device), cast("torch.dtype", getattr(torch, told.dtype))
        handed = cast("dict[str, Tensor]", values.read(said["handed"], tensors))
        op = cast("Any", ProxyOperator(self._far, 0, told.dim, dtype, device, told.traits, self._id))
        self._held.close()
        self._counter = self._held.enter_context(counting_flops()) if said["count_flops"] else None
        self._kept.clear()
        self._draws = Draws(said["seed"], device)

        def run() -> Iterator[Estimate]:
            result = bound.run(op, said["budget"], cast("Draws", self._draws).generator, handed)
            if bound.method.is_anytime:
                yield from map(checked, cast("Iterator[Any]", result))
            else:
                yield checked(result)

        self._iterator = run()
        self._advance()

    def _advance(self, *_: object) -> None:
        estimate = next(self._iterator, None)
        if estimate is None:
            self._line.send({"say": "ended"})
            return
        self._number += 1
        self._kept[self._number] = settled(estimate)
        self._kept.pop(self._number - _KEPT, None)
        self._line.send({"say": "yielded", "number": self._number})

    def _evaluate(self, said: Mapping[str, Any], _: object) -> None:
        bound = cast("BoundMethod", self._bound)
        resolved = self._kept[said["number"]].resolve(lambda kind: is_wanted(kind, bound))
        tensors: list[Tensor] = []
        written = estimates.written(resolved, tensors, plain_diagnostics)
        self._line.send({"say": "evaluated", "estimate": written}, tensors)

    def _settle(self, *_: object) -> None:
        """Give back what is not needed, before peaks are taken."""
        self._iterator = iter(())
        self._kept.clear()
        gc.collect()
        trim_heap()
        self._line.send({"say": "settled"})

    def _finish(self, *_: object) -> None:
        flops = 0 if self._counter is None else int(self._counter.get_total_flops())
        self._held.close()
        drew = None if self._draws is None else self._draws.happened
        self._line.send({"say": "finished", "drew_random": drew, "flops": flops})

    def _say_raised(self, failure: Exception) -> None:
        status, reason = classify(failure)
        exceeded = isinstance(failure, BudgetExceeded)
        self._line.send(
            {
                "say": "raised",
                "status": status.value,
                "reason": reason,
                "from": getattr(failure, FROM_THE_OPERATOR, None),
                "budget": [failure.columns, failure.spent, failure.budget] if exceeded else None,
            }
        )


def _warm_up(told: Introduction) -> None:
    """Have the tensor library ready, as the warm-up of the operator has it where both are in one process."""
    dtype = cast("torch.dtype", getattr(torch, told.dtype))
    block = torch.randn(min(told.dim, 256), 8, dtype=dtype, generator=torch.Generator().manual_seed(0))
    torch.linalg.qr(block)
    torch.linalg.eigh(block.T @ block)
    (block @ block.T).sum().item()

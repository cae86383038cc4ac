"""Questions that a sealed method's process asks of the operator's, one at a time."""

from __future__ import annotations

import os
import threading
from typing import Any, Final, NoReturn, final

import torch
from torch import Tensor

from hessbench.sealing import values
from hessbench.sealing.line import SealedLine
from hessbench.spending import BudgetExceeded, Single

_RAISED: Final[dict[str, type[Exception]]] = {
    kind.__name__: kind
    for kind in (
        ValueError, TypeError, AttributeError, RuntimeError, ArithmeticError, ZeroDivisionError, OverflowError,
        NotImplementedError, MemoryError, IndexError, KeyError, LookupError, OSError, torch.OutOfMemoryError,
    )
}  # fmt: skip
FROM_THE_OPERATOR: Final = "_hessbench_number"
"""Attribute of an exception that the operator's process raised: its number there."""


@final
class Far(Single):
    """Asks the operator's process, one question at a time.

    Args:
        line: The line to it.
    """

    def __init__(self, line: SealedLine) -> None:
        self._line = line
        self._lock = threading.RLock()
        self._process = os.getpid()
        self.matvecs = 0
        self.calls = 0
        self.remaining: int | None = None
        self.forgotten: list[int] = []
        """Objects of the operator's process that nobody here holds any more."""

    def call(self, number: int, name: str, *arguments: Any) -> Any:
        """Call something of an object of the operator's process.

        Args:
            number: Of the object.
            name: What is called.
            arguments: What it is handed.

        Raises:
            RuntimeError: In another process than the one that was handed the operator.
            BudgetExceeded: If the products are more than are left.
            Exception: Whatever the operator raised.
        """
        if os.getpid() != self._process:
            raise RuntimeError("products are counted in the process that was handed the operator: multiply there")
        with self._lock:
            tensors: list[Tensor] = []
            message = {"do": "call", "on": number, "name": name, "with": values.written(arguments, tensors)}
            if self.forgotten:
                message["drop"], self.forgotten = self.forgotten, []
            self._line.send(message, tensors)
            said, found = self._line.receive()
            self.learn(said)
            if "raised" in said:
                _raise(said["raised"])
            return values.read(said["result"], found)

    def learn(self, said: dict[str, Any]) -> None:
        """Take from a message what has been spent."""
        self.matvecs, self.calls, self.remaining = said["spent"]


@final
class Held:
    """An object of the operator's process, which that may let go of when nobody here holds it any more."""

    def __init__(self, far: Far, number: int) -> None:
        self._far = far
        self.number = number

    def __del__(self) -> None:
        self._far.forgotten.append(self.number)


def _raise(raised: dict[str, Any]) -> NoReturn:
    if raised["budget"]:
        failure: Exception = BudgetExceeded(*raised["budget"])
    else:
        kind = _RAISED.get(raised["type"])
        failure = RuntimeError(f"{raised['type']}: {raised['says']}") if kind is None else kind(raised["says"])
    setattr(failure, FROM_THE_OPERATOR, raised["number"])
    raise failure

"""Cotangents under construction: sums of what the uses of a value contribute."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor


@final
class ValueAccumulator:
    """The cotangent of a value of its own; the first part is taken as it is, later ones are added in place if owned."""

    __slots__ = ("_value", "owned")

    def __init__(self) -> None:
        self._value: Tensor | None = None
        self.owned = False
        """Whether what `take` returns is used nowhere else."""

    def add(self, part: Tensor, *, owned: bool = True) -> None:
        """Add a part (k, *s)."""
        value = self._value
        if value is None:
            self._value, self.owned = part, owned
        elif self.owned:
            value += part
        else:
            self._value, self.owned = value + part, True

    def product(self, A: Tensor, B: Tensor) -> None:
        """Add A @ B for each column."""
        value = self._value
        if value is None:
            self._value, self.owned = torch.bmm(A, B), True
        elif self.owned:
            value.baddbmm_(A, B)
        else:
            self._value, self.owned = torch.baddbmm(value, A, B), True

    def add_rows(self, part: Tensor, rows: Tensor, size: int) -> None:
        """Add the transpose of a part (k, r, q) to some of the `size` rows of matrices (k, size, r)."""
        k, r, _ = part.shape
        self.add(part.new_zeros(k, r, size).index_copy_(2, rows, part).transpose(1, 2))

    def start(self, value: Tensor | None = None) -> None:
        """Begin from nothing, or from a value that may be written to."""
        self._value, self.owned = value, value is not None

    def take(self) -> Tensor | None:
        """What was summed, handed over; None where nothing was."""
        value, self._value = self._value, None
        return value


@final
class ViewAccumulator:
    """The cotangent of a part of a flat vector, summed in place in the cotangent of that vector."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value = torch.empty(0)

    def add(self, part: Tensor, *, owned: bool = True) -> None:
        """Add a part (k, *s)."""
        del owned
        self._value += part

    def product(self, A: Tensor, B: Tensor) -> None:
        """Add A @ B for each column."""
        self._value.baddbmm_(A, B)

    def add_rows(self, part: Tensor, rows: Tensor, size: int) -> None:
        """Add the transpose of a part (k, r, q) to some of the `size` rows of matrices (k, size, r)."""
        del size
        self._value.transpose(1, 2).index_add_(2, rows, part)

    def start(self, value: Tensor) -> None:
        """Sum into this view from now on."""
        self._value = value

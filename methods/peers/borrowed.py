"""A library on its own operator: a copy of the network that must come back as it was, and its charges."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hessbench.counting import CountingOperator
from hessbench.network_copy import NetworkCopy
from hessbench.operators import ProductKind


@dataclass(frozen=True)
class Borrowed:
    """A copy of the network of an operator, whose products are charged to that.

    Attributes:
        copy: The copy.
        op: The operator.
    """

    copy: NetworkCopy
    op: CountingOperator

    def charge(
        self, columns: int, kind: ProductKind | None = None, samples: int | None = None, work: float = 1.0
    ) -> None:
        """Charge products before they are made.

        Args:
            columns: How many.
            kind: What each is; a product with the matrix by default.
            samples: Samples that one touches; all by default.
            work: Share of its price that one takes, where they share work.

        Raises:
            BudgetExceeded: If they do not fit.
        """
        population = self.copy.population
        touched = population if samples is None else samples
        self.op.charge(kind or self.copy.kind, columns, touched, population, work)

    def charge_beside(self, kind: ProductKind, passes: int = 1) -> None:
        """Charge passes over the data that products need beside them, before they are made.

        Args:
            kind: What each is; it is no product, and so not of the budget.
            passes: How many.
        """
        for _ in range(passes):
            self.op.spending.charge_beside(kind, self.copy.population, self.copy.population)


@contextmanager
def borrowed(op: CountingOperator, kind: ProductKind | None = None) -> Generator[Borrowed]:
    """A copy of the network of an operator, which is compared with what it was when the library is done.

    Args:
        op: The counted operator of a network.
        kind: The matrix that the library multiplies with; any where None.

    Yields:
        The copy, with its charges.

    Raises:
        ValueError: If the operator is another matrix.
        RuntimeError: If the library left another mode, other buffers or other parameters than it found.
    """
    copy = op.network_copy()
    if kind is not None and copy.kind is not kind:
        raise ValueError(f"this method takes the {kind.value} of a network, got its {copy.kind.value}")
    before = _state(copy.model)
    yield Borrowed(copy, op)
    changed = _changes(before, _state(copy.model))
    if changed:
        raise RuntimeError(f"the library changed the network it was handed: {', '.join(changed)}")


def _state(model: nn.Module) -> tuple[dict[str, bool], dict[str, Tensor]]:
    modes = {name: module.training for name, module in model.named_modules()}
    return modes, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _changes(
    before: tuple[dict[str, bool], dict[str, Tensor]], after: tuple[dict[str, bool], dict[str, Tensor]]
) -> list[str]:
    modes = [f"mode of {name or 'the module'}" for name, training in before[0].items() if after[0][name] != training]
    return modes + [name for name, tensor in before[1].items() if not torch.equal(tensor, after[1][name])]

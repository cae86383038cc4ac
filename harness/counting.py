"""The one place a product is counted: the operator a method is handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, final

from torch import Tensor

from hessbench.counted_factor import CountingFactor
from hessbench.counted_parts import CountingRows, CountingUnits
from hessbench.network_copy import NetworkCopy
from hessbench.operator_checks import checked_numbers
from hessbench.operator_parts import GroupForms, Parts
from hessbench.operator_structure import Structure
from hessbench.operators import (
    LinearOperator,
    Multiplies,
    OperatorInfo,
    ProductKind,
    check_block,
    check_product,
    info_of,
    plain_block,
)
from hessbench.spending import PRICES as PRICES
from hessbench.spending import BudgetExceeded as BudgetExceeded
from hessbench.spending import Single
from hessbench.spending import Spending as Spending


@final
class CountingOperator(Single, Multiplies):
    """An operator that charges every product before computing it.

    What else the operator inside offers is looked for by name: from Python 3.12 on a protocol does not see what a
    wrapper hands through.

    `op.matmat(block)`, `op @ x`, `x @ op` and the products of `op.to_scipy()` are all charged by the column, and
    `shape` is that of the matrix, so that libraries take the operator as it is. A product is that of the numbers in
    the block: no derivative, transform or copy of it goes round the count.

    Args:
        inner: The operator to count.
        num_matvecs: Products it may spend; unlimited when None.
        on_charge: Told the total after every charge.
        spending: What is charged, of the operator this one is a part of; a new one by default.
    """

    def __init__(
        self,
        inner: LinearOperator,
        num_matvecs: int | None = None,
        on_charge: Callable[[int], None] | None = None,
        *,
        spending: Spending | None = None,
    ) -> None:
        self._inner = inner
        self._matmat = inner.matmat
        self._info: OperatorInfo = info_of(inner)
        self.spending = Spending(num_matvecs, on_charge) if spending is None else spending
        self.dim = inner.dim
        self.dtype = inner.dtype
        self.device = inner.device

    def matmat(self, block: Tensor, /) -> Tensor:
        """Charge and multiply a block of shape (dim, k); the product carries no derivative.

        Raises:
            TypeError: If the block is no tensor.
            ValueError: If the block has another shape, dtype or device, or is no plain dense tensor: sparse, batched by
                a function transform, or with a tangent.
            BudgetExceeded: If k products are more than are left.
        """
        block = plain_block(block)
        shape, spending, info = block.shape, self.spending, self._info
        # Asked here at once, since a call more is felt in a product of a millisecond; the checks say which it was.
        if len(shape) != 2 or shape[0] != self.dim or block.dtype is not self.dtype or block.device != self.device:
            check_block(block, self.dim, self.dtype, self.device)
        spending.charge(info.kind, shape[1], info.samples, info.population)
        product = spending.timed(self._matmat, block)
        # A subclass of Tensor, or no tensor at all, takes the long way too.
        if (
            product.__class__ is not Tensor
            or product.shape != shape
            or product.dtype is not self.dtype
            or product.device != block.device
        ):
            check_product(self, block, product)
        spending.watch(block, product)
        return product.detach()

    def charge(self, kind: ProductKind, columns: int, samples: int = 0, population: int = 0, work: float = 1.0) -> None:
        """Charge products computed outside of `matmat`, for adapters of other libraries; call it before them.

        Args:
            kind: What each column is.
            columns: Number of columns.
            samples: Data samples one column touches.
            population: Samples in the whole data set.
            work: Share of its price that a column takes, where columns share work.

        Raises:
            BudgetExceeded: If they do not fit.
        """
        self.spending.charge(kind, columns, samples, population, work)
        self.spending.outside += columns

    def network_copy(self) -> NetworkCopy:
        """A copy of the network it is made of, for adapters of libraries that make products of their own.

        Nothing made with it is counted by itself: an adapter calls `charge` before each product.

        Raises:
            AttributeError: If it is made of none; a method that needs it requires the trait `network`.
            ValueError: If it is none that libraries take.
        """
        return self._offering("network_copy", "hands out no network", "network").network_copy()

    @property
    def factor(self) -> CountingFactor:
        """The counted factor of a GGN.

        Raises:
            AttributeError: If the operator has none; a method that needs it requires the trait `factor`.
        """
        inner = self._offering("factor", "has no factor", "factor")
        return CountingFactor(inner.factor, self.spending, self._info, self.dtype, self.device)

    @cached_property
    def rows(self) -> CountingRows:
        """The counted rows of a GGN.

        Raises:
            AttributeError: If the operator has none; a method that needs them requires the trait `rows`.
        """
        inner = self._offering("rows", "has no rows", "rows")
        return CountingRows(inner.rows, self.spending, self.dim, self.dtype, self.device)

    def subset(self, samples: Tensor, weights: Tensor | None = None, /) -> CountingOperator:
        """The same matrix over some samples, its products charged by the share of the data that they touch.

        Args:
            samples: Numbers of the samples, (m,), each at most once, m at least 1.
            weights: Weights (m,), not negative; all 1 by default.

        Raises:
            AttributeError: If the operator is no sum over samples; a method that needs it requires the trait `subset`.
            ValueError: If an argument is out of range.
        """
        inner = self._offering("subset", "is no sum over samples", "subset")
        samples = checked_numbers(samples, self._info.population, "a subset")
        return CountingOperator(inner.subset(samples, weights), spending=self.spending)

    @property
    def forms(self) -> Callable[[Tensor, Sequence[tuple[int, int]]], GroupForms]:
        """v_g^T A v_g of parts of a vector: of every two, charged as one product before they are made.

        A form takes tangents and no sweep backwards: two cost no more than a product.

        Raises:
            AttributeError: If the operator has none; products then tell the same.
        """
        forms = self._offering("forms", "has no forms", "parts").forms

        def counted(v: Tensor, groups: Sequence[tuple[int, int]]) -> GroupForms:
            v = plain_block(v, "forms")
            check_block(v[:, None], self.dim, self.dtype, self.device, "forms")
            self.spending.charge(self._info.kind, (len(groups) + 1) // 2, self._info.samples, self._info.population)
            found: list[GroupForms] = []

            def make(vector: Tensor) -> Tensor:
                found.append(forms(vector, groups))
                return found[0].values

            self.spending.timed(make, v)
            return found[0]

        return counted

    @cached_property
    def units(self) -> CountingUnits:
        """The counted units in which the network of a residual is curved.

        Raises:
            AttributeError: If the operator has none: that of a residual does, see `parts`.
            ValueError: If they do not give its diagonal.
        """
        inner = self._offering("units", "has no units", "parts")
        return CountingUnits(lambda: inner.units, self.spending, self._info, self.dim, self.dtype, self.device)

    @cached_property
    def parts(self) -> Parts:
        """The GGN and the residual of a Hessian, both counted.

        Raises:
            AttributeError: If the operator has none; a method that needs them requires the trait `parts`.
        """
        inner = self._offering("parts", "has no parts", "parts")
        found = inner.parts
        ggn, residual = (CountingOperator(part, spending=self.spending) for part in (found.ggn, found.residual))
        return Parts(ggn, residual, found.shift)

    @cached_property
    def structure(self) -> Structure:
        """Where the diagonal of the residual of a Hessian vanishes; charged as one forward pass.

        Raises:
            AttributeError: If the operator does not say.
        """
        inner = self._offering("structure", "has no structure", "parts")
        self.spending.charge_forward(self._info.population, self._info.population)
        return inner.structure

    @property
    def matvecs(self) -> int:
        """Products spent so far."""
        return self.spending.matvecs

    @property
    def calls(self) -> int:
        """Block products made so far."""
        return self.spending.calls

    @property
    def remaining(self) -> int | None:
        """Products left, or None without a budget."""
        budget = self.spending.num_matvecs
        return None if budget is None else budget - self.spending.matvecs

    def _offering(self, name: str, lack: str, trait: str) -> Any:
        """The operator inside, where it offers something of that name; its wrappers make what it is at each look.

        Raises:
            AttributeError: If it does not.
        """
        if not hasattr(self._inner, name):
            raise AttributeError(f"this operator {lack}: require the trait {trait!r}")
        return self._inner

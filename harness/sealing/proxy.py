"""The operator as a sealed method holds it: each product is asked for in the process that counts it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, Literal, NoReturn, cast, final

import torch
from torch import Tensor

from hessbench.operator_parts import GroupForms, Parts
from hessbench.operator_structure import Structure
from hessbench.operators import Multiplies, ProductKind, check_block, plain_block
from hessbench.sealing.far import Far, Held
from hessbench.spending import Single

NO_NETWORK: Final = (
    "a sealed run hands out no network, since nothing made with a copy of it would be counted by itself: run unsealed"
)


@final
class ProxyOperator(Single, Multiplies):
    """What a sealed method knows of an operator, and may ask of it.

    It takes what a `CountingOperator` takes, and refuses the same.

    Args:
        far: Asks the operator's process.
        number: Of the operator there.
        dim: Dimension n.
        dtype: Floating type.
        device: Where blocks live.
        traits: What the problem declares of itself.
        id: Tells one run from another, and nothing else.
    """

    def __init__(
        self,
        far: Far,
        number: int,
        dim: int,
        dtype: torch.dtype,
        device: torch.device,
        traits: Sequence[str] = (),
        id: str = "",
    ) -> None:
        self._far = far
        self._held = Held(far, number)
        self.dim = dim
        self.dtype = dtype
        self.device = device
        self.traits = tuple(traits)
        self.id = id

    def matmat(self, block: Tensor, /) -> Tensor:
        """Have a block of shape (dim, k) charged and multiplied.

        Raises:
            TypeError: If the block is no tensor.
            ValueError: If the block has another shape, dtype or device, or is no plain dense tensor.
            BudgetExceeded: If k products are more than are left.
        """
        block = plain_block(block)
        # Zero columns are for the counter to refuse, in its words.
        check_block(block, self.dim, self.dtype, self.device, least=0)
        return self._ask("matmat", block)

    def charge(self, kind: ProductKind, columns: int, samples: int = 0, population: int = 0) -> None:
        """Charge products computed outside of `matmat`; see `CountingOperator.charge`.

        Args:
            kind: What each column is.
            columns: Number of columns.
            samples: Data samples one column touches.
            population: Samples in the whole data set.

        Raises:
            BudgetExceeded: If they do not fit.
        """
        self._ask("charge", ProductKind(kind).value, int(columns), int(samples), int(population))

    def network_copy(self) -> NoReturn:
        """Nothing: a copy of the network would be the problem itself.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(NO_NETWORK)

    @property
    def factor(self) -> ProxyFactor:
        """The factor of a GGN; see `CountingOperator.factor`."""
        number, *sizes = self._ask("factor")
        return ProxyFactor(self._far, number, sizes, self.dtype, self.device)

    @cached_property
    def rows(self) -> ProxyRows:
        """The rows of a GGN; see `CountingOperator.rows`."""
        return ProxyRows(self._far, *self._ask("rows"))

    def subset(self, samples: Tensor, weights: Tensor | None = None, /) -> ProxyOperator:
        """The same matrix over some samples; see `CountingOperator.subset`."""
        return self._part(self._ask("subset", samples, weights))

    @property
    def forms(self) -> Callable[[Tensor, Sequence[tuple[int, int]]], GroupForms]:
        """v_g^T A v_g of parts of a vector; see `CountingOperator.forms`."""
        held = Held(self._far, self._ask("forms"))

        def asked(v: Tensor, groups: Sequence[tuple[int, int]]) -> GroupForms:
            v = plain_block(v, "forms")
            check_block(v[:, None], self.dim, self.dtype, self.device, "forms")
            return GroupForms(*self._far.call(held.number, "forms", v, [tuple(map(int, group)) for group in groups]))

        return asked

    @cached_property
    def units(self) -> ProxyUnits:
        """The units in which the network of a residual is curved; see `CountingOperator.units`."""
        return ProxyUnits(self._far, *self._ask("units"))

    @cached_property
    def parts(self) -> Parts:
        """The GGN and the residual of a Hessian; see `CountingOperator.parts`."""
        ggn, residual, shift = self._ask("parts")
        return Parts(self._part(ggn), self._part(residual), shift)

    @cached_property
    def structure(self) -> Structure:
        """Where the diagonal of the residual vanishes; see `CountingOperator.structure`."""
        flat, groups = self._ask("structure")
        return Structure(flat, tuple((int(start), int(stop)) for start, stop in groups))

    @property
    def matvecs(self) -> int:
        """Products spent so far."""
        return self._far.matvecs

    @property
    def calls(self) -> int:
        """Block products made so far."""
        return self._far.calls

    @property
    def remaining(self) -> int | None:
        """Products left, or None without a budget."""
        return self._far.remaining

    def _ask(self, name: str, *arguments: Any) -> Any:
        return self._far.call(self._held.number, name, *arguments)

    def _part(self, number: int) -> ProxyOperator:
        return ProxyOperator(self._far, number, self.dim, self.dtype, self.device, self.traits, self.id)


@final
class ProxyFactor(Single):
    """The factor of a GGN, multiplied in the process that counts it."""

    def __init__(
        self,
        far: Far,
        number: int,
        sizes: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._far = far
        self._held = Held(far, number)
        self._dtype = dtype
        self._device = device
        self.num_samples, self.num_outputs, self.num_columns = sizes

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """Have F @ block charged and computed: (num_columns, k) -> (dim, k)."""
        return self._products("rmatmat", block)

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Have the per-sample squares charged and computed: (num_columns, k) -> (dim, k)."""
        return self._products("squared_sum", block)

    def summed_squares(self, block: Tensor, /) -> Tensor:
        """Have the sum of the squares charged and computed: (num_columns, k) -> (dim,)."""
        return self._products("summed_squares", block)

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        """Have squares at drawn targets charged and computed, (dim, number); the generator moves on as if here."""
        found, state = self._far.call(self._held.number, "drawn_squares", number, generator.get_state())
        generator.set_state(state)
        return found

    def _products(self, name: Literal["rmatmat", "squared_sum", "summed_squares"], block: Tensor) -> Tensor:
        block = plain_block(block, "factor")
        check_block(block, self.num_columns, self._dtype, self._device, "factor")
        return self._far.call(self._held.number, name, block)


@final
class ProxyRows(Single):
    """The rows of a GGN, made in the process that counts them."""

    def __init__(self, far: Far, number: int, num_samples: int) -> None:
        self._far = far
        self._held = Held(far, number)
        self.num_samples = num_samples

    @property
    def per_sample(self) -> int:
        """Rows of each sample; found in the same forward pass as their norms."""
        return cast("int", self._far.call(self._held.number, "per_sample"))

    @property
    def num_rows(self) -> int:
        """Number of rows; likewise."""
        return cast("int", self._far.call(self._held.number, "num_rows"))

    def root_norms(self) -> Tensor:
        """Norms of the columns of the root, (num_rows,)."""
        return self._far.call(self._held.number, "root_norms")

    def sample_norms(self) -> Tensor:
        """Norms of the roots of the samples, (num_samples,)."""
        return self._far.call(self._held.number, "sample_norms")

    def slope_norms(self) -> Tensor:
        """Norms of the slopes of the losses, (num_samples,)."""
        return self._far.call(self._held.number, "slope_norms")

    def input_norms(self) -> Tensor:
        """Norms of the inputs of the samples, (num_samples,)."""
        return self._far.call(self._held.number, "input_norms")

    def __call__(self, indices: Tensor, /) -> Tensor:
        """Have rows charged and made: numbers (r,) to a block (dim, r)."""
        return self._far.call(self._held.number, "rows", indices)


@final
class ProxyUnits(Single):
    """The units in which a network is curved, whose squares are made in the process that counts them."""

    def __init__(self, far: Far, number: int, num_units: int) -> None:
        self._far = far
        self._held = Held(far, number)
        self.num_units = num_units

    def diagonal(self) -> Tensor:
        """Have the diagonal of the residual charged and computed, (n,)."""
        return self._far.call(self._held.number, "diagonal")

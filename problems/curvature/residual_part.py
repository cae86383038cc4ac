"""The residual over some samples: its products, and what it is inside groups of parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final, final

import torch
from torch import Tensor

from hessbench.exceptions import is_out_of_memory
from hessbench.operator_parts import GroupForms
from hessbench.operators import LinearOperator, Multiplies, OperatorInfo, ProductKind, info_of
from hessbench.problems.curvature.curved_units import CurvedUnits
from hessbench.problems.curvature.rules.forms import FormsProgram
from hessbench.problems.curvature.subset import part_operator
from hessbench.problems.networks.network import Network

_TANGENTS: Final = "rules: tangents of single groups of parameters"
"""Stands for an engine where no product was made."""


@final
class ResidualPart(Multiplies):
    """R over some samples; an engine is made by its first product, and what forms need by the first of them.

    Args:
        part: The network on these samples, whose Hessian is R; see `residual_network`.
        population: Number of samples in all.
    """

    def __init__(self, part: Network, population: int) -> None:
        self.network = part
        self._population = population
        self.dim = part.parameters.numel()
        self.dtype = part.parameters.dtype
        self.device = part.parameters.device

    @cached_property
    def products(self) -> LinearOperator:
        """The operator of products."""
        return part_operator(self.network, "hessian", self._population)

    @property
    def info(self) -> OperatorInfo:
        """What one product is."""
        if "products" in self.__dict__:
            return info_of(self.products)
        return OperatorInfo(ProductKind.HESSIAN, self.network.num_samples, self._population, _TANGENTS)

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        return self.products.matmat(block)

    @cached_property
    def units(self) -> CurvedUnits:
        """The units in which the network is curved; see `hessbench.operator_parts.Curved`."""
        return CurvedUnits(self.network)

    @property
    def forms(self) -> Callable[[Tensor, Sequence[tuple[int, int]]], GroupForms]:
        """v_g^T R v_g of parts of a vector, see `hessbench.operator_parts.Formed`.

        A form is NaN where the tangents that it comes of are not those of autograd: where their product with the slopes
        is not that of v_g with the gradient.

        Cost: the first time what `FormsProgram` does; then of each group the tangents of the samples.

        Raises:
            AttributeError: If an operation has no rule, or the samples are in several batches.
        """
        program = self._program
        if program is None:
            raise AttributeError("there are no forms of this network: take products")

        def forms(v: Tensor, groups: Sequence[tuple[int, int]]) -> GroupForms:
            found = program(v, groups)
            factor = self.network.scale
            values, slack = found.second * factor, torch.finfo(v.dtype).eps ** 0.5
            for g, (start, stop) in enumerate(groups):
                inside, gradient = v[start:stop].double(), program.gradient[start:stop].double()
                gap = abs(float(found.first[g]) - float(inside @ gradient))
                if not gap <= slack * (float(found.first_sizes[g]) + float(inside.norm() * gradient.norm())):
                    values[g] = torch.nan
            return GroupForms(values, found.second_sizes * factor)

        return forms

    @cached_property
    def _program(self) -> FormsProgram | None:
        if len(self.network.batches) != 1:
            return None
        try:
            return FormsProgram(self.network, self.network.batches[0])
        except Exception as failure:  # a model under the recorder may raise anything; products take it then
            if is_out_of_memory(failure):
                raise
            return None

"""The GGN and the Hessian of a network with what a network is: rows, subsets of the samples, parts, structure.

The engine of whole products is made when the first of them is asked for, so that who takes rows alone builds none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final, Self, final

from torch import Tensor
from typing_extensions import override

from hessbench.network_copy import NetworkCopy
from hessbench.operator_parts import Parts
from hessbench.operator_structure import Structure
from hessbench.operators import Factor, Factored, LinearOperator, Multiplies, OperatorInfo, ProductKind, info_of
from hessbench.problems.curvature.curved_units import CurvedUnits
from hessbench.problems.curvature.engines.output_rounding import rounding_size
from hessbench.problems.curvature.matrices import factor_of, ggn_operator
from hessbench.problems.curvature.network_rows import NetworkRows
from hessbench.problems.curvature.residual import residual_network
from hessbench.problems.curvature.residual_part import ResidualPart
from hessbench.problems.curvature.rules.structure import structure_of
from hessbench.problems.curvature.subset import part_operator, subset_network, subset_operator
from hessbench.problems.networks.network import Network
from hessbench.problems.networks.user_copy import user_copy

ROWS_ALONE: Final = "rows: a forward and a backward pass of single samples"
"""Stands for an engine where no whole product was made."""

FACTOR_ALONE: Final = "factor: a forward and a backward pass of all samples"
"""Likewise, where products with the factor were made."""


class _Deferred(Multiplies):
    """A curvature matrix whose engine is made by its first product.

    Args:
        network: The network, where the operator shall live and in its dtype.
        matrix: hessian or ggn.
        make: Makes the operator of whole products, by an engine.
    """

    def __init__(self, network: Network, matrix: str, make: Callable[[], LinearOperator]) -> None:
        self.network = network
        self._matrix = matrix
        self._make = make
        self._compared: Final = set[str]()
        self._by_parts: Final = dict[str, str]()
        self.dim = network.parameters.numel()
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device

    @cached_property
    def products(self) -> LinearOperator:
        """The operator of whole products."""
        return self._make()

    @property
    def info(self) -> OperatorInfo:
        """What one whole product is; the engine once there is one."""
        if "products" in self.__dict__:
            return info_of(self.products)
        samples = self.network.num_samples
        parts = "".join(f"; {part} by {engine}" for part, engine in self._engines_of_parts().items())
        alone = FACTOR_ALONE if self._has_made_factor() else ROWS_ALONE
        return OperatorInfo(ProductKind(self._matrix), samples, samples, alone + parts)

    def _has_made_factor(self) -> bool:
        """Whether products with the factor of a GGN were asked for."""
        return "factor" in self.__dict__

    def _engines_of_parts(self) -> dict[str, str]:
        """Engines of what was multiplied with in place of the whole, by its name."""
        return self._by_parts

    def settle(self) -> Self:
        """The operator itself, with the engine of its products made."""
        _ = self.products
        return self

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        return self.products.matmat(block)

    def _subset_of(self, samples: Tensor, weights: Tensor | None) -> LinearOperator:
        """The matrix over some samples, whose engine is compared with the kept graph the first time."""
        op = subset_operator(self.network, self._matrix, samples, weights, compared=self._compared)
        self._by_parts["subsets"] = info_of(op).engine
        return op

    def rounding_size(self) -> float:
        """What the products round by where terms cancel in them; see `curvature.engines.output_rounding`."""
        return rounding_size(self.network, self._matrix)


@final
class StructuredGGN(_Deferred):
    """G = sum_r b_r b_r^T of a network whose loss has a root: with factor, rows, and subsets of its samples.

    Args:
        network: The network.
        make: Makes the operator of whole products, which has the factor.
    """

    def __init__(self, network: Network, make: Callable[[], LinearOperator]) -> None:
        super().__init__(network, "ggn", make)

    @cached_property
    def factor(self) -> Factor:
        """F with G = F F^T: that of the engine where there is one, and else made without."""
        if "products" not in self.__dict__:
            return factor_of(self.network)
        found = self.products
        assert isinstance(found, Factored)
        return found.factor

    @property
    def rows(self) -> NetworkRows:
        """The rows of G, their norms still to be found."""
        return NetworkRows(self.network)

    def network_copy(self) -> NetworkCopy:
        """The network as its user has it; see `networks.user_copy`."""
        return user_copy(self.network, ProductKind.GGN)

    def subset(self, samples: Tensor, weights: Tensor | None = None, /) -> LinearOperator:
        """G over some samples; see `hessbench.operator_parts.Sampled`."""
        return self._subset_of(samples, weights)


@final
class StructuredHessian(_Deferred):
    """H = G + R + c I of a network whose loss has a root: with subsets of its samples, G and R, and where diag(R) = 0.

    Args:
        network: The network.
        make: Makes the operator of whole products.
        shift: c of the weight decay.
    """

    def __init__(self, network: Network, make: Callable[[], LinearOperator], shift: float = 0.0) -> None:
        super().__init__(network, "hessian", make)
        self._shift = shift

    def network_copy(self) -> NetworkCopy:
        """The network as its user has it; see `networks.user_copy`.

        Raises:
            ValueError: If weight decay is part of the matrix, which is no part of the loss.
        """
        if self._shift:
            raise ValueError("weight decay is part of this matrix and not of the loss: take one with weight_decay=0")
        return user_copy(self.network, ProductKind.HESSIAN)

    def subset(self, samples: Tensor, weights: Tensor | None = None, /) -> LinearOperator:
        """H - c I over some samples; see `hessbench.operator_parts.Sampled`."""
        return self._subset_of(samples, weights)

    @property
    def parts(self) -> Parts:
        """G, R and c."""
        return Parts(self._ggn, self._residual, self._shift)

    @cached_property
    def _ggn(self) -> StructuredGGN:
        network = self.network
        return StructuredGGN(network, lambda: ggn_operator(network))

    @override
    def _has_made_factor(self) -> bool:
        return "_ggn" in self.__dict__ and "factor" in self._ggn.__dict__

    @cached_property
    def _residual(self) -> _Residual:
        return _Residual(self.network)

    @override
    def _engines_of_parts(self) -> dict[str, str]:
        residual = self.__dict__.get("_residual")
        if residual is None or "products" not in residual.__dict__:
            return self._by_parts
        return {**self._by_parts, "residual": info_of(residual.products).engine}

    @cached_property
    def structure(self) -> Structure:
        """Where the diagonal of R vanishes, shown from what the network computes."""
        return structure_of(self.network)


@final
class _Residual(_Deferred):
    """R = H - G, with subsets of its samples."""

    def __init__(self, network: Network) -> None:
        # Few products are made of it, beside rows: no engine is looked for.
        super().__init__(
            network, "hessian", lambda: part_operator(residual_network(network), "hessian", network.num_samples)
        )

    @cached_property
    def units(self) -> CurvedUnits:
        """The units in which the network is curved; see `hessbench.operator_parts.Curved`."""
        return CurvedUnits(residual_network(self.network))

    def subset(self, samples: Tensor, weights: Tensor | None = None, /) -> LinearOperator:
        """R over some samples. Cost: a forward pass of these."""
        part = residual_network(subset_network(self.network, samples, weights))
        return ResidualPart(part, self.network.num_samples)

"""Which curvature matrix a family of network problems asks for, with what its name leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hessbench.demand import demanded
from hessbench.operators import LinearOperator
from hessbench.problem import FACTOR, NETWORK, PARTS, PSD, ROWS, SUBSET
from hessbench.problems.curvature.engines.engine import MATRICES
from hessbench.problems.curvature.engines.limits import Limits, limits_of
from hessbench.problems.curvature.engines.table import AUTO, engine_names
from hessbench.problems.curvature.matrices import (
    BY_EXAMPLE,
    BY_OUTPUT,
    OPERATORS,
    curvature_operator,
    ggn_operator,
    has_factor,
    is_psd,
)
from hessbench.problems.curvature.monte_carlo_fisher import MAX_SAMPLES, fisher_network
from hessbench.problems.curvature.structured import StructuredGGN, StructuredHessian
from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Network
from hessbench.problems.parameters import in_range, one_of
from hessbench.transforms import shifted

DECAYED: Final = ("hessian", "ggn")
"""Matrices that weight decay adds to: the Hessian of weight_decay / 2 times the squared norm is weight_decay * I."""

MAX_SEED: Final = 2**31 - 1
MAX_DECAY: Final = 1e6
MAX_MICRO_BATCH: Final = 10_000_000


@dataclass(frozen=True)
class MatrixChoice:
    """A curvature matrix of a network that is still to be chosen.

    Attributes:
        operator: One of `hessbench.problems.curvature.matrices.OPERATORS`.
        weight_decay: Added to every diagonal entry of the Hessian or the GGN.
        mc_samples: Targets drawn for each sample, for monte-carlo-fisher.
        seed: Of those draws.
        group: Whether the batch is one group: batch norm in training mode.
        engine: How products with the Hessian, the GGN and what is made of them are made.
        micro_batch: Samples that are multiplied at a time, nothing being kept between them; 0 for whole batches.
    """

    operator: str
    weight_decay: float = 0.0
    mc_samples: int = 1
    seed: int = 0
    group: bool = False
    engine: str = AUTO
    micro_batch: int = 0

    def check(self, family: str) -> None:
        """Refuse what is out of range, or does not belong to the operator.

        Raises:
            ValueError: Naming the family, the parameter and what is accepted.
        """
        one_of(family, "operator", self.operator, OPERATORS)
        one_of(family, "engine", self.engine, engine_names(self.operator))
        in_range(family, "weight_decay", self.weight_decay, 0, MAX_DECAY)
        in_range(family, "mc_samples", self.mc_samples, 1, MAX_SAMPLES)
        in_range(family, "seed", self.seed, 0, MAX_SEED)
        in_range(family, "micro_batch", self.micro_batch, 0, MAX_MICRO_BATCH)
        if self.micro_batch and (self.operator not in MATRICES or self.group):
            reason = "norm=train makes the batch one group" if self.group else f"operator={self.operator} takes batches"
            raise ValueError(f"{family}: micro_batch belongs to operators that engines multiply with, and {reason}")
        if self.weight_decay and self.operator not in DECAYED:
            raise ValueError(
                f"{family}: weight_decay belongs to operator={' or '.join(DECAYED)}, got operator={self.operator}"
            )
        if (self.mc_samples, self.seed) != (1, 0) and self.operator != "monte-carlo-fisher":
            raise ValueError(
                f"{family}: mc_samples and seed belong to operator=monte-carlo-fisher, got operator={self.operator}"
            )
        if self.group and self.operator in BY_EXAMPLE:
            raise ValueError(
                f"{family}: norm=train makes the batch one group, and operator={self.operator} needs every sample by "
                "itself: use norm=eval"
            )

    def of(self, network: Network, *, by_rows: bool = False) -> LinearOperator:
        """The operator.

        Args:
            network: The network.
            by_rows: Whether the engine of whole products waits for the first of them, where the operator offers rows or
                parts.
        """
        limits = limits_of(demanded(), network.parameters.device, self.micro_batch or None)
        if not (self._has_rows(network.loss) or self._has_parts(network.loss)):
            return self._products(network, limits)
        if self.operator == "hessian":
            op = StructuredHessian(network, lambda: self._products(network, limits), self.weight_decay)
        else:
            own = network if self.operator == "ggn" else fisher_network(network, self.mc_samples, self.seed)
            op = StructuredGGN(own, lambda: ggn_operator(own, self.engine, limits))
        return op if by_rows else op.settle()

    def _products(self, network: Network, limits: Limits) -> LinearOperator:
        op = curvature_operator(network, self.operator, self.engine, limits, mc_samples=self.mc_samples, seed=self.seed)
        return shifted(op, self.weight_decay)

    def _has_rows(self, loss: Loss) -> bool:
        """Whether it is the sum of outer products of its rows."""
        return has_factor(loss, self.operator) and not self.group and not self.weight_decay

    def _has_parts(self, loss: Loss) -> bool:
        """Whether it is a Hessian whose GGN is such a sum."""
        return self.operator == "hessian" and loss.root is not None and not self.group

    @property
    def is_by_output(self) -> bool:
        """Whether its rows are samples, or samples and outputs, rather than parameters."""
        return self.operator in BY_OUTPUT

    def dim(self, parameters: int, samples: int, outputs: int) -> int:
        """Number of its rows, for a network of so many parameters on so many samples with so many outputs each."""
        return {"ntk": samples, "gram": samples * outputs}.get(self.operator, parameters)

    @property
    def extras(self) -> list[str]:
        """What it has beside its operator, for a hash; nothing where all is as by default, whatever the engine."""
        plain = MatrixChoice(self.operator, engine=self.engine, micro_batch=self.micro_batch)
        return [] if self == plain else [f"{self.weight_decay!r} {self.mc_samples} {self.seed} {self.group}"]

    def traits(self, loss: Loss) -> tuple[str, ...]:
        """What is declared of it."""
        psd = (PSD,) if is_psd(loss, self.operator) else ()
        if self._has_rows(loss):
            return (NETWORK, *psd, FACTOR, ROWS, SUBSET)
        return (NETWORK, *psd, PARTS, SUBSET) if self._has_parts(loss) else (NETWORK, *psd)

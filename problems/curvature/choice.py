"""Which curvature matrix a family of network problems asks for, with what its name leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hessbench.demand import demanded
from hessbench.operators import LinearOperator
from hessbench.problem import FACTOR, NETWORK, PSD
from hessbench.problems.curvature.engines.engine import MATRICES
from hessbench.problems.curvature.engines.limits import limits_of
from hessbench.problems.curvature.engines.table import AUTO, engine_names
from hessbench.problems.curvature.matrices import (
    BY_EXAMPLE,
    BY_OUTPUT,
    OPERATORS,
    curvature_operator,
    has_factor,
    is_psd,
)
from hessbench.problems.curvature.monte_carlo_fisher import MAX_SAMPLES
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

    def of(self, network: Network) -> LinearOperator:
        """The operator."""
        limits = limits_of(demanded(), network.parameters.device, self.micro_batch or None)
        op = curvature_operator(network, self.operator, self.engine, limits, mc_samples=self.mc_samples, seed=self.seed)
        return shifted(op, self.weight_decay)

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
        factored = has_factor(loss, self.operator) and not self.group and not self.weight_decay
        return (NETWORK, *psd, FACTOR) if factored else (NETWORK, *psd)

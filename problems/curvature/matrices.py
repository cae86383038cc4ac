"""Exact products with the curvature matrices of any network: what they are, and the Hessian and the GGN.

A network is a function from one flat vector of parameters and a batch of inputs to outputs, with a loss that is a sum
over samples. How products with the Hessian and the Gauss-Newton matrix (GGN) are made is the business of an engine
(`curvature.engines`), chosen when the operator is built. Several batches are multiplied one after the other
and summed: they save nothing of what is kept, but each is a workspace of its own.

With N samples, C outputs, J_i (C, n) the Jacobian of the outputs of sample i, l_i its loss, g_i = grad l_i (n,), and
c = 1/N for a mean over the samples, 1 for a sum:

| operator | definition | product made of | price in gradients |
| --- | --- | --- | --- |
| hessian | H = c sum_i hess l_i | a gradient and its derivative | 2 |
| ggn | G = c sum_i J_i^T (hess of l_i in the outputs) J_i | a JVP, a VJP | 4/3 |
| residual | R = H - G = c sum_i sum_o (dl_i/do) hess of output o | as the Hessian, slopes fixed | 2 |
| gradient-second-moment | M = c sum_i g_i g_i^T, the empirical Fisher matrix | a JVP, a VJP | 4/3 |
| gradient-covariance | c sum_i (g_i - g)(g_i - g)^T, g their mean | a JVP, a VJP | 4/3 |
| monte-carlo-fisher | M with targets drawn from the model; on average G | a JVP, a VJP | 4/3 |
| ntk | K_ij = sum_o <grad output o of i, of j>, (N, N) | C VJPs, C JVPs | C 4/3 |
| gram | F^T F, (N C, N C), where G = F F^T | a VJP, a JVP | 4/3 |

A sample with more axes than one, such as a sequence, has all its outputs in one row: C counts positions and classes.
Its loss is the sum over its positions, each a share of the mean; the targets of a Monte-Carlo draw are one for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from hessbench.operators import LinearOperator
from hessbench.problems.curvature.engines.engine import MATRICES, Jacobian
from hessbench.problems.curvature.engines.limits import LIMITS, Limits
from hessbench.problems.curvature.engines.operator import EngineOperator, check_engine
from hessbench.problems.curvature.engines.table import AUTO
from hessbench.problems.curvature.factor import GGNFactor
from hessbench.problems.curvature.factor import example_gradients as example_gradients
from hessbench.problems.curvature.gram_operator import GramOperator, gram_dim
from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.curvature.ntk import NTKOperator
from hessbench.problems.curvature.residual import residual_network
from hessbench.problems.curvature.second_moment import SecondMomentOperator
from hessbench.problems.networks.linearisation import KeptVjp
from hessbench.problems.networks.linearisation import quiet_transforms as quiet_transforms
from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Network, refuse_group

OPERATORS: Final = (
    "hessian",
    "ggn",
    "residual",
    "gradient-second-moment",
    "gradient-covariance",
    "monte-carlo-fisher",
    "ntk",
    "gram",
)
"""Names of the matrices, as specs write them."""

BY_EXAMPLE: Final = ("gradient-second-moment", "gradient-covariance", "monte-carlo-fisher", "ntk")
"""Those made of single samples, which a network whose batch is one group does not have."""

BY_OUTPUT: Final = ("ntk", "gram")
"""Those whose rows are samples, or samples and outputs, rather than parameters."""


def curvature_operator(
    network: Network,
    operator: str,
    engine: str = AUTO,
    limits: Limits = LIMITS,
    *,
    mc_samples: int = 1,
    seed: int = 0,
) -> LinearOperator:
    """A curvature matrix of a network.

    Args:
        network: The network, where the operator shall live and in its dtype.
        operator: One of `OPERATORS`.
        engine: How products with the Hessian, the GGN and what is made of them are made: a name of
            `curvature.engines.table`, or auto for the fastest one here. The other matrices have one way, and
            take auto only.
        limits: How many products are going to be made, for `auto`, and what they may take at a time.
        mc_samples: Targets drawn for each sample, for monte-carlo-fisher alone.
        seed: Of those draws.

    Raises:
        ValueError: If there is no operator or engine of that name, the loss is not finite or lacks what the operator
            needs, or the operator is made of single samples and the batch is one group.
    """
    if operator not in OPERATORS:
        raise ValueError(f"operator must be one of {', '.join(OPERATORS)}, got {operator!r}")
    check_engine(operator, engine)
    if operator in BY_EXAMPLE:
        refuse_group(network, operator)
    if operator == "hessian":
        return hessian_operator(network, engine, limits)
    if operator == "residual":
        return hessian_operator(residual_network(network), engine, limits)
    if operator == "ggn":
        return ggn_operator(network, engine, limits)
    if operator == "monte-carlo-fisher":
        return ggn_operator(fisher_network(network, mc_samples, seed), engine, limits)
    if limits.micro_batch is not None:
        raise ValueError(f"micro_batch is not for the {operator}: its products take whole batches")
    if operator == "gradient-second-moment":
        return SecondMomentOperator(network)
    if operator == "gradient-covariance":
        return SecondMomentOperator(network, centred=True)
    return NTKOperator(network) if operator == "ntk" else GramOperator(network)


def exact_operator(network: Network, operator: str) -> LinearOperator:
    """A curvature matrix by the engine that references are computed with, whatever is fastest."""
    traced = MATRICES.get(operator) == "ggn" and network.traces
    engine = AUTO if operator not in MATRICES else "linearised" if traced else "kept-graph"
    return curvature_operator(network, operator, engine)


def operator_dim(network: Network, operator: str) -> int:
    """Dimension of a curvature matrix: that of the parameters; of the NTK N, of the Gram matrix N C."""
    if operator == "gram":
        return gram_dim(network)
    return network.num_samples if operator == "ntk" else network.parameters.numel()


def is_psd(loss: Loss, operator: str) -> bool:
    """Whether a curvature matrix is known to be positive semi-definite; a GGN is where its loss has a root."""
    return operator in (*BY_EXAMPLE, "gram") or has_factor(loss, operator)


def has_factor(loss: Loss, operator: str) -> bool:
    """Whether a curvature matrix of a network that treats every sample by itself offers its factor."""
    return operator == "monte-carlo-fisher" or (operator == "ggn" and loss.root is not None)


def hessian_operator(network: Network, engine: str = AUTO, limits: Limits = LIMITS) -> EngineOperator:
    """Hessian of the objective. Args: as of `curvature_operator`."""
    return EngineOperator(network, "hessian", engine, limits)


def ggn_operator(network: Network, engine: str = AUTO, limits: Limits = LIMITS) -> EngineOperator:
    """The GGN, with its factor where its loss has a root and every sample stands by itself.

    Args: as of `curvature_operator`.
    """
    kind = EngineOperator if network.loss.root is None or network.group else FactoredGGNOperator
    return kind(network, "ggn", engine, limits)


class FactoredGGNOperator(EngineOperator):
    """G = J^T Lambda J of the objective, of a loss with a root: positive semi-definite, with its factor.

    J (N C, n) is the Jacobian of all outputs; Lambda is block diagonal, its blocks the Hessians of the losses of the
    samples in their outputs, over N for a mean: (diag(p) - p p^T) / N for cross-entropy, p the softmax of a sample's
    outputs. Where the loss has no closed form, Lambda is multiplied by autograd through the outputs.

    Args: as of `EngineOperator`.
    """

    @cached_property
    def factor(self) -> GGNFactor:
        """F = J^T S with G = F F^T, made when it is first asked for."""
        return factor_of(self.network, self.jacobians)


def factor_of(network: Network, kept: Sequence[Jacobian] = ()) -> GGNFactor:
    """F = J^T S with G = F F^T, by Jacobians that an engine keeps or by outputs recorded here.

    Raises:
        ValueError: If the loss has no root, or samples do not stand by themselves.
    """
    root = network.loss.root
    if root is None or network.group:
        raise ValueError("a factor needs a loss with a root, and samples that stand by themselves")
    return GGNFactor(network, kept or [KeptVjp(network, network.on(batch)) for batch in network.batches], root)

"""K-FAC and EKFAC of a network, through curvlinops: block-diagonal Kronecker factors to hold beside the GGN."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, TypeAlias, final, get_args
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor, nn

from hessbench.distributions import PEERS_REMEDY, library
from hessbench.operators import Multiplies, OperatorInfo, ProductKind, check_block
from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.losses import CROSS_ENTROPY
from hessbench.problems.networks.network import Network, refuse_group
from hessbench.problems.networks.own_module import OwnModule
from hessbench.spending import Spending

Approximation: TypeAlias = Literal["kfac", "ekfac"]
Targets: TypeAlias = Literal["exact", "drawn", "empirical"]

_CLASSES: Final[dict[Approximation, str]] = {"kfac": "KFACLinearOperator", "ekfac": "EKFACLinearOperator"}
_TYPES: Final[dict[Targets, str]] = {"exact": "type-2", "drawn": "mc", "empirical": "empirical"}
_DRAWS: Final = 1000


@final
class KroneckerOperator(Multiplies):
    """A block for each layer: A (x) B of K-FAC, or Q diag(s) Q^T in the eigenbasis of A (x) B of EKFAC.

    A is the second moment of a layer's inputs, B that of the gradients in its outputs. For a layer that is used once on
    one sample A (x) B is the block of the GGN itself; over many samples it takes A and B for independent.

    Cost: a product multiplies with the factors alone and touches no sample, so that its price in gradients is 0.
    """

    def __init__(self, product: Any, network: Network, engine: str) -> None:
        self._product = product
        self.dim = network.parameters.numel()
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        self.info = OperatorInfo(ProductKind.PRODUCT, 0, network.num_samples, engine)

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        check_block(block, self.dim, self.dtype, self.device, least=0)
        if block.shape[1] == 0:
            return torch.empty_like(block)
        with catch_warnings():
            simplefilter("ignore")
            found: Tensor = self._product @ block
        return found.detach().reshape(block.shape)


def kronecker_operator(
    network: Network,
    approximation: Approximation = "kfac",
    *,
    targets: Targets = "exact",
    draws: int = 1,
    seed: int = 0,
    separate_bias: bool = False,
    spending: Spending | None = None,
) -> KroneckerOperator:
    """The K-FAC or EKFAC approximation of the GGN of a network, made of its data now.

    Args:
        network: A network of dense layers and convolutions alone, with cross-entropy, as a function of all of their
            parameters (`block=all`); such as `network_of(problem)`.
        approximation: kfac or ekfac.
        targets: What gradients the factors are made of: `exact` columns of the root of the Hessian in the outputs, so
            that it approximates the GGN; `drawn` from the model's prediction, which does so on average; `empirical`,
            the labels there are, which approximates the empirical Fisher matrix.
        draws: Targets of a sample with `drawn`, 1 to 1000.
        seed: Of the draws.
        separate_bias: Whether weight and bias of a layer have a block each, rather than one together.
        spending: What making it is charged to, such as `op.spending` of a counted operator.

    Returns:
        The operator, in the order of the network's flat vector.

    Cost: a gradient for each column: C for `exact`, `draws`, or one; twice that for ekfac, whose second pass finds s.

    Raises:
        ImportError: With the remedy, if the library is not installed.
        ValueError: If an argument is out of range, or the network is not of that kind.

    Source:
        Martens and Grosse 2015, https://arxiv.org/abs/1503.05671; Grosse and Martens 2016,
        https://arxiv.org/abs/1602.01407; George et al. 2018, https://arxiv.org/abs/1806.03884; the library: Dangel,
        Mucsanyi et al. 2025, https://arxiv.org/abs/2501.19183.
    """
    own = _checked(network, approximation, targets, draws)
    curvlinops = _curvlinops()
    model, parameters = own.placed(network.parameters)
    if sum(parameter.numel() for parameter in parameters) != network.parameters.numel():
        raise ValueError("K-FAC takes whole layers: a network of all its parameters (block=all) is accepted")
    columns = _columns(network, targets, draws)
    if spending is not None:
        samples = network.num_samples
        spending.charge(ProductKind.GRADIENT, columns * (2 if approximation == "ekfac" else 1), samples, samples)
    data = [(batch.inputs, batch.targets) for batch in network.batches]
    criterion = nn.CrossEntropyLoss(reduction="mean" if network.loss.mean else "sum")
    try:
        with catch_warnings():
            simplefilter("ignore")
            made = getattr(curvlinops, _CLASSES[approximation])(
                _Called(model, own), criterion, parameters, data, check_deterministic=False, seed=seed,
                fisher_type=_TYPES[targets], mc_samples=draws, separate_weight_and_bias=separate_bias,
            )  # fmt: skip
            op = KroneckerOperator(made, network, f"{approximation} of curvlinops, {targets} targets")
            op.matmat(network.parameters.new_zeros(op.dim, 1))  # the factors are made by the first product
    except NotImplementedError as failure:
        raise ValueError(f"K-FAC takes dense layers and convolutions alone, and curvlinops says: {failure}") from None
    return op


class _Called(nn.Module):
    """A module called as its network calls it."""

    def __init__(self, model: nn.Module, own: OwnModule) -> None:
        super().__init__()
        self.model = model
        self._call = own.call

    def forward(self, inputs: Inputs) -> Tensor:
        """Outputs (m, C)."""
        return self._call(self.model, inputs)


def _checked(network: Network, approximation: str, targets: str, draws: int) -> OwnModule:
    """The module of a network that K-FAC takes.

    Raises:
        ValueError: Saying what is accepted.
    """
    refuse_group(network, "K-FAC")
    if approximation not in get_args(Approximation):
        raise ValueError(f"approximation must be kfac or ekfac, got {approximation!r}")
    if targets not in get_args(Targets):
        raise ValueError(f"targets must be exact, drawn or empirical, got {targets!r}")
    if not 1 <= draws <= _DRAWS or (draws > 1 and targets != "drawn"):
        raise ValueError(f"draws must be between 1 and {_DRAWS}, and 1 unless targets is drawn, got {draws}")
    if network.loss.name != CROSS_ENTROPY.name:
        raise ValueError(f"K-FAC is compared with cross-entropy only, got {network.loss.name}")
    if network.own is None:
        raise ValueError("K-FAC needs the module a network is made of, and this one is a function alone")
    return network.own


def _columns(network: Network, targets: str, draws: int) -> int:
    """Backward passes over the data that the factors are made of."""
    if targets != "exact":
        return draws
    with torch.no_grad():
        outputs = network.on(network.batches[0].part(slice(1)))(network.parameters)
    return math.prod(outputs.shape[1:])


def _curvlinops() -> Any:
    """The library.

    Raises:
        ImportError: With the remedy, if it is not installed.
    """
    try:
        return library("curvlinops")
    except ImportError as failure:
        raise ImportError(f"K-FAC needs curvlinops, which cannot be imported ({failure}): {PEERS_REMEDY}") from failure

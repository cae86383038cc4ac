"""Curvature of the losses of single samples, many at once: each column meets the matrix of its own sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from hessbench.operators import OperatorInfo, ProductKind, check_block
from hessbench.problems.networks.inputs import Inputs, mapped
from hessbench.problems.networks.network import Batch, Network, refuse_group
from hessbench.spending import Spending

ExampleMatrix: TypeAlias = Literal["hessian", "ggn"]

_Vjp: TypeAlias = tuple[Tensor, Callable[[Tensor], tuple[Tensor]]]

_KINDS: Final[dict[ExampleMatrix, ProductKind]] = {"hessian": ProductKind.HESSIAN, "ggn": ProductKind.GGN}


class ExampleCurvature:
    """Hessians or GGNs A_i (n, n) of the losses of single samples, which no mean divides.

    The mean of all A_i is the matrix of a network whose loss is a mean.

    Args:
        network: The network, each of whose samples stands by itself.
        matrix: hessian, or ggn: J_i^T (hess of l_i in the outputs) J_i.
        spending: What is charged, such as `op.spending` of a counted operator of the same network.

    Raises:
        ValueError: If the batch is one group, or there is no such matrix.
    """

    def __init__(self, network: Network, matrix: ExampleMatrix = "hessian", spending: Spending | None = None) -> None:
        refuse_group(network, "curvature of one sample")
        if matrix not in get_args(ExampleMatrix):
            raise ValueError(f"matrix must be hessian or ggn, got {matrix!r}")
        self._network = network
        self._matrix: ExampleMatrix = matrix
        self._spending = Spending() if spending is None else spending
        self.dim = network.parameters.numel()
        self.num_samples = network.num_samples
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device

    def parts(self, samples: Tensor | None = None, most: int = 512) -> Iterator[tuple[Tensor, ExampleProducts]]:
        """What multiplies one column for each of some samples, a group of samples at a time.

        Args:
            samples: Numbers of the samples (m,), from 0, through all batches, each once; all of them by default.
            most: Most samples of a group, at least 1; a group never spans two batches.

        Yields:
            Numbers of a group, ascending, and its products.

        Raises:
            ValueError: If a number is out of range or comes twice, or there is none.
        """
        if most < 1:
            raise ValueError(f"most must be at least 1, got {most}")
        numbers = _checked(samples, self.num_samples)
        first = 0
        for batch in self._network.batches:
            inside = numbers[(numbers >= first) & (numbers < first + batch.size)]
            for group in inside.split(most) if inside.numel() else ():
                part = batch.part((group - first).to(self.device))
                yield group, ExampleProducts(self._network, self._matrix, part, self._spending)
            first += batch.size


class ExampleProducts:
    """Products of m columns, each with the matrix of its own sample; to a lock-step method what an operator is.

    Cost: m products that touch one sample each, in one vectorised pass, by reverse mode twice.
    """

    def __init__(self, network: Network, matrix: ExampleMatrix, batch: Batch, spending: Spending) -> None:
        self._parameters = network.parameters.detach()
        self._batch = batch
        self._spending = spending
        self._population = network.num_samples
        self._kind = _KINDS[matrix]
        self._product = torch.func.vmap(_hessian(network) if matrix == "hessian" else _ggn(network))
        self.count = batch.size
        self.dim = network.parameters.numel()
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        self.info = OperatorInfo(self._kind, 1, self._population, "vectorised over the samples")

    def matmat(self, block: Tensor, /) -> Tensor:
        """Column j with matrix j: (n, m) -> (n, m), m the number of samples.

        Raises:
            ValueError: If the block is no (n, m).
        """
        check_block(block, self.dim, self.dtype, self.device)
        if block.shape[1] != self.count:
            raise ValueError(f"one column for each of {self.count} samples is accepted, got {block.shape[1]}")
        self._spending.charge(self._kind, self.count, 1, self._population)
        with torch.no_grad():
            found = self._product(block.T.contiguous(), self._batch.inputs, self._batch.targets)
        return found.T.detach()


def _hessian(network: Network) -> Callable[[Tensor, Inputs, Tensor], Tensor]:
    """The product of one vector with the Hessian of the loss of one sample."""

    def loss(parameters: Tensor, one: Inputs, target: Tensor) -> Tensor:
        return network.loss.total(network.forward(parameters, mapped(_alone, one)), target[None])

    def product(vector: Tensor, one: Inputs, target: Tensor) -> Tensor:
        def along(parameters: Tensor) -> Tensor:
            return (torch.func.grad(loss)(parameters, one, target) * vector).sum()

        return torch.func.grad(along)(network.parameters.detach())

    return product


def _ggn(network: Network) -> Callable[[Tensor, Inputs, Tensor], Tensor]:
    """The product of one vector with the GGN of one sample."""

    def product(vector: Tensor, one: Inputs, target: Tensor) -> Tensor:
        def outputs(parameters: Tensor) -> Tensor:
            return network.forward(parameters, mapped(_alone, one))

        def loss(values: Tensor) -> Tensor:
            return network.loss.total(values, target[None])

        values, pull = cast("_Vjp", torch.func.vjp(outputs, network.parameters.detach()))

        def along(weights: Tensor) -> Tensor:
            """<J^T w, v>, whose gradient in w is J v."""
            return (pull(weights)[0] * vector).sum()

        change = torch.func.grad(along)(torch.zeros_like(values))

        def bending(changed: Tensor) -> Tensor:
            return (torch.func.grad(loss)(changed) * change).sum()

        return pull(torch.func.grad(bending)(values))[0]

    return product


def _alone(tensor: Tensor) -> Tensor:
    return tensor[None]


def _checked(samples: Tensor | None, population: int) -> Tensor:
    """Numbers of samples, ascending.

    Raises:
        ValueError: If one is out of range or comes twice, or there is none.
    """
    if samples is None:
        return torch.arange(population)
    if samples.ndim != 1 or not samples.numel() or samples.is_floating_point():
        raise ValueError(f"samples takes numbers (m,), at least one, got {tuple(samples.shape)} of {samples.dtype}")
    numbers = samples.detach().cpu().to(torch.int64).sort().values
    if bool((numbers[1:] == numbers[:-1]).any()) or int(numbers[0]) < 0 or int(numbers[-1]) >= population:
        raise ValueError(f"samples takes numbers from 0 to {population - 1}, each once, got {samples.tolist()[:10]}")
    return numbers

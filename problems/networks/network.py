"""A network at fixed weights on fixed data, as a function of one flat vector of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from hessbench.problems.networks.inputs import Inputs, Places, mapped, taken
from hessbench.problems.networks.losses import CROSS_ENTROPY, Loss, LossTotal
from hessbench.problems.networks.own_module import OwnModule

Forward: TypeAlias = Callable[[Tensor, Inputs], Tensor]


@dataclass(frozen=True)
class Batch:
    """Inputs (m, ...) and their targets, one for each: class numbers (m,) or values (m, C)."""

    inputs: Inputs
    targets: Tensor

    @property
    def size(self) -> int:
        """Number m of samples."""
        return self.targets.shape[0]

    def part(self, places: Places) -> Batch:
        """Some of its samples."""
        return Batch(taken(self.inputs, places), self.targets[places])

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """The same batch elsewhere; class numbers and other integers keep their dtype."""

        def moved(part: Tensor) -> Tensor:
            return part.to(device=device, dtype=dtype if part.is_floating_point() else part.dtype)

        return Batch(mapped(moved, self.inputs), moved(self.targets))


@dataclass(frozen=True)
class Network:
    """A network at fixed weights on fixed data.

    Attributes:
        forward: Outputs (m, C) from parameters (n,) and inputs (m, ...); each row depends on its own input only, but
            for a group. What a sample has along more axes is one row of all of it.
        parameters: The parameters that are differentiated, flat (n,).
        batches: The data, in one batch or several.
        loss: What is summed over the samples.
        batched: Whether a block is faster in one vectorised pass (small dense layers) than in a loop (convolutions).
        traced: Whether Jacobian-vector products are traced, which needs forward-mode derivatives of every operation;
            by default where blocks are loops.
        group: Whether the batch is one group (batch norm in training mode): the outputs of a sample depend on the
            others, and no sample has a loss of its own.
        as_written: The same function as the author of the network would write it, where `forward` was rewritten for
            speed (batch norm folded into the layer before it).
        own: The module it is a function of, whose gradient products are timed beside; None where there is none, and
            the gradient in the flat vector stands for it.
    """

    forward: Forward
    parameters: Tensor
    batches: tuple[Batch, ...]
    loss: Loss = CROSS_ENTROPY
    batched: bool = True
    traced: bool | None = None
    group: bool = False
    as_written: Forward | None = None
    own: OwnModule | None = None

    @property
    def traces(self) -> bool:
        """Whether Jacobian-vector products are traced."""
        return not self.batched if self.traced is None else self.traced

    @property
    def way(self) -> str:
        """How Jacobian-vector products and blocks are made, for the ledger."""
        return f"{'linearised JVP' if self.traces else 'kept JVP graph'}, {self.blocks}"

    @property
    def blocks(self) -> str:
        """How blocks are multiplied, for the ledger."""
        return "vectorised blocks" if self.batched else "looped blocks"

    @property
    def num_samples(self) -> int:
        """Number N of samples in all batches."""
        return sum(batch.size for batch in self.batches)

    @property
    def scale(self) -> float:
        """Factor of the sum over samples: 1 / N for a mean, else 1."""
        return 1 / self.num_samples if self.loss.mean else 1.0

    def to(self, device: torch.device, dtype: torch.dtype) -> Network:
        """The same network elsewhere; weights and inputs that fit float32 are unchanged by every cast."""
        return replace(
            self,
            parameters=self.parameters.to(device=device, dtype=dtype),
            batches=tuple(batch.to(device, dtype) for batch in self.batches),
        )

    def on(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Outputs (m, C) for one batch as a function of the parameters (n,)."""
        return lambda parameters: self.forward(parameters, batch.inputs)

    def part_of(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        """The part of the objective that a batch, or a piece of one, adds: a scalar function of the parameters (n,)."""
        return lambda parameters: self.loss.total(self.forward(parameters, batch.inputs), batch.targets) * self.scale

    def objective(self, parameters: Tensor) -> Tensor:
        """The loss over all batches, a scalar."""
        losses = [self.loss.total(self.forward(parameters, batch.inputs), batch.targets) for batch in self.batches]
        return torch.stack(losses).sum() * self.scale

    def gradient(self) -> Tensor:
        """Gradient (n,) of the objective by autograd, of the network as its author would write it."""
        written = self if self.as_written is None else replace(self, forward=self.as_written)
        parameters = self.parameters.detach().clone().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(written.objective(parameters), parameters)[0]

    def own_gradient(self) -> Callable[[], tuple[Tensor, ...]]:
        """What takes one gradient of the objective as a user of the module does: the unit that seconds are told in.

        It is `torch.autograd.grad(loss(model(X), y), parameters)` of the module itself, with torch's own loss where it
        has it, and nothing is put into one vector. A network without a module of its own is taken as it is written.

        Cost: the module is made once, here.
        """
        if self.own is None:
            forward = self.forward if self.as_written is None else self.as_written
            leaf = self.parameters.detach().clone().requires_grad_()
            parameters, outputs_of = [leaf], partial(forward, leaf)
        else:
            model, parameters = self.own.placed(self.parameters)
            outputs_of = partial(self.own.call, model)
        whole_mean = self.loss.mean and len(self.batches) == 1 and self.loss.written is not None

        def objective() -> Tensor:
            if whole_mean and self.loss.written is not None:
                (batch,) = self.batches
                return self.loss.written(outputs_of(batch.inputs), batch.targets, "mean")
            losses = [self.loss.as_its_user(outputs_of(batch.inputs), batch.targets) for batch in self.batches]
            total = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
            return total * self.scale if self.loss.mean else total

        def gradient() -> tuple[Tensor, ...]:
            with torch.enable_grad():
                return torch.autograd.grad(objective(), parameters)

        return gradient

    def example_gradient(self, place: int) -> Tensor:
        """Gradient (n,) of the loss of one sample by itself, which no mean divides.

        Args:
            place: Number of the sample, from 0, through all batches.

        Raises:
            ValueError: If there is no such sample, or the batch is one group.
        """
        refuse_group(self, "the gradient of one sample")
        if not 0 <= place < self.num_samples:
            raise ValueError(f"a sample from 0 to {self.num_samples - 1} is accepted, got {place}")
        batches, left = iter(self.batches), place
        batch = next(batches)
        while left >= batch.size:
            left -= batch.size
            batch = next(batches)
        one = batch.part(slice(left, left + 1))
        parameters = self.parameters.detach().clone().requires_grad_()
        with torch.enable_grad():
            total = self.loss.total(self.forward(parameters, one.inputs), one.targets)
            return torch.autograd.grad(total, parameters)[0]


def refuse_group(network: Network, operator: str) -> None:
    """Refuse an operator made of single samples for a network whose batch is one group.

    Raises:
        ValueError: If it is.
    """
    if network.group:
        raise ValueError(
            f"batch norm in training mode makes the batch one group, and {operator} needs every sample by itself: use "
            "evaluation mode"
        )


def root_of(network: Network) -> LossTotal:
    """The root of the loss.

    Raises:
        ValueError: If it has none.
    """
    if network.loss.root is None:
        raise ValueError(
            f"the loss {network.loss.name} has no root, which the Gram matrix needs: cross-entropy, binary "
            "cross-entropy or squared is accepted"
        )
    return network.loss.root


def refuse_infinite(total: Tensor, batch: int) -> None:
    """Refuse a loss that is not finite.

    Args:
        total: The loss of one batch, a scalar.
        batch: Its number, from 1.

    Raises:
        ValueError: If it is infinite or not a number.
    """
    value = float(total.detach())
    if not math.isfinite(value):
        raise ValueError(
            f"the loss of batch {batch} is {value} in {total.dtype} at these weights: check its inputs and "
            "targets, and that the weights are those of a network that has not diverged"
        )

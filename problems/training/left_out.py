"""Training again without one sample: many small networks at once, from one initial state and in one order."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import scipy.stats
import torch
from torch import Tensor, nn

from hessbench.problems.networks.losses import TRAINING_LOSSES
from hessbench.problems.training.descent import check_samples, one_thread, optimizer_of, order_of_epoch
from hessbench.problems.training.recipe import Recipe

Told: TypeAlias = Callable[[int, int], None]

TOGETHER: Final = 64
"""Networks trained at once."""


@dataclass(frozen=True)
class LeaveOneOut:
    """What the absence of single samples did to a loss.

    Attributes:
        samples: Numbers of the samples that were left out, (m,).
        whole: The loss of the network that was trained on all samples.
        changes: Loss of the network trained without each, less that: (m,), in float64.
    """

    samples: tuple[int, ...]
    whole: float
    changes: Tensor

    def rank_correlation(self, predicted: Tensor) -> float:
        """Spearman's rank correlation of the changes with those predicted for all samples (N,), such as `influences`.

        NaN where one of them is constant.
        """
        chosen = predicted.detach().cpu().double()[list(self.samples)]
        found: Any = scipy.stats.spearmanr(chosen.numpy(), self.changes.numpy())
        return float(found.statistic)


def leave_one_out(
    model: nn.Module,
    initial: Mapping[str, Tensor],
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    samples: Sequence[int],
    test: tuple[Tensor, Tensor],
    *,
    step: int | None = None,
    together: int = TOGETHER,
    progress: Told | None = None,
) -> LeaveOneOut:
    """Change of the mean loss on other data when a sample is left out of the training, by training again.

    Every network starts at the same weights and takes the same minibatches, from which the sample is missing; a
    minibatch loss is divided by the same number, so that its weight is 0 and all others keep theirs. This is what an
    influence function predicts, and nothing else is different. In float64 on one thread, as every training here.

    Args:
        model: The network, without buffers; only read, and may live on the meta device.
        initial: Its weights at step 0, by name; or trained ones, to go on from.
        inputs: Samples (N, ...), floating.
        labels: Class numbers (N,).
        recipe: How it is trained.
        samples: Numbers of those that are left out, one in each training.
        test: Inputs and labels that the loss is taken on, as many as there are.
        step: Updates made; by default those of the recipe.
        together: Networks trained at once, at least 1.
        progress: Told the updates made, summed over the networks, and their number.

    Cost: len(samples) + 1 trainings: `step` forward and backward passes over a minibatch each.

    Raises:
        ValueError: If an argument is not accepted, the network has buffers, or a loss is not finite.

    Source:
        Koh and Liang 2017, https://arxiv.org/abs/1703.04730, section 4; Basu, Pope and Feizi 2021,
        https://arxiv.org/abs/2006.14651, for the same initial state and order.
    """
    steps = recipe.steps if step is None else step
    recipe.check_step(steps)
    check_samples(inputs, labels, recipe)
    own = _own_model(model)
    outside = [sample for sample in samples if not 0 <= sample < labels.numel()]
    if outside or not samples or together < 1:
        raise ValueError(
            f"samples takes numbers from 0 to {labels.numel() - 1}, at least one, and together at least 1, got "
            f"{list(samples)[:10]} and {together}"
        )
    places = [-1, *samples]  # the first network has them all
    groups = [places[start : start + together] for start in range(0, len(places), together)]
    losses: list[Tensor] = []
    with one_thread():
        for number, left_out in enumerate(groups):
            before = number * together * steps

            def told(done: int, networks: int = len(left_out), start: int = before) -> None:
                if progress is not None:
                    progress(start + networks * done, len(places) * steps)

            stacked = _Stacked(own, initial, left_out, recipe)
            for done in range(steps):
                stacked.advance(inputs, labels.long(), done)
                told(done + 1)
            losses.append(stacked.losses(*test))
    found = torch.cat(losses)
    if not bool(found.isfinite().all()):
        raise ValueError("a loss is not finite: a training without a sample diverged, lower the learning rate")
    return LeaveOneOut(tuple(samples), float(found[0]), found[1:] - found[0])


class _Stacked:
    """Networks of one shape, their weights along a first axis, each without a sample of its own (-1: with all)."""

    def __init__(
        self, model: nn.Module, initial: Mapping[str, Tensor], left_out: Sequence[int], recipe: Recipe
    ) -> None:
        self._recipe = recipe
        self._loss = TRAINING_LOSSES[recipe.loss]
        self._left_out = torch.tensor(left_out)
        self._parameters = {
            name: initial[name].detach().double().expand(len(left_out), *value.shape).clone().requires_grad_()
            for name, value in model.named_parameters()
        }
        self._optimizer = optimizer_of(self._parameters.values(), recipe)

        def outputs(parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
            return torch.func.functional_call(model, parameters, (inputs,))

        self._outputs = torch.func.vmap(outputs, in_dims=(0, None))
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def advance(self, inputs: Tensor, labels: Tensor, step: int) -> None:
        """Update all networks by the minibatch of a step.

        Raises:
            ValueError: If a loss is not finite.
        """
        recipe = self._recipe
        epoch, place = divmod(step, labels.numel() // recipe.batch_size)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, order_of_epoch(recipe, labels.numel(), epoch)
        batch = self._order[place * recipe.batch_size : (place + 1) * recipe.batch_size]
        kept = (batch[None, :] != self._left_out[:, None]).flatten()
        outputs = self._outputs(self._parameters, inputs[batch].double()).flatten(0, 1)
        targets = labels[batch].repeat(self._left_out.numel())
        loss = self._loss.total(outputs[kept], targets[kept]) / recipe.batch_size
        if not math.isfinite(float(loss.detach())):
            raise ValueError(f"training diverged at step {step}: lower learning_rate ({recipe.learning_rate} now)")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        self._optimizer.step()

    def losses(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of each network on other data, (m,)."""
        with torch.no_grad():
            outputs = self._outputs(self._parameters, inputs.double())
        return torch.stack([self._loss.total(found, labels.long()) for found in outputs]) / labels.numel()


def _own_model(model: nn.Module) -> nn.Module:
    """A copy without memory, in training mode.

    Raises:
        ValueError: If it has buffers, whose values would be shared by networks that differ.
    """
    if next(model.buffers(), None) is not None:
        raise ValueError("the network must have no buffers, such as those of batch norm, to be trained many at once")
    return copy.deepcopy(model).to("meta").train()

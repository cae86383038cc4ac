"""Descent on minibatches as a state that moves on by one step: in float64, from a seed, without side effects."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
from collections.abc import Generator, Iterable, Mapping
from typing import Final, final

import numpy as np
import torch
from torch import Tensor, nn

from hessbench.problems.networks.losses import TRAINING_LOSSES
from hessbench.problems.training.recipe import ADAM, SGD, Recipe
from hessbench.problems.training.store import Point, Snapshot, WeightCheckpoint
from hessbench.seeding import derive_seed

COUNTER: Final = "num_batches_tracked"
"""How the counters of batch norm end: they decide nothing, and an initial state may lack them."""

_CHUNK: Final = 250
_MODEL: Final = "model:"
_ENTRIES: Final = {SGD: ("momentum_buffer",), ADAM: ("step", "exp_avg", "exp_avg_sq")}
_SECOND_MOMENT: Final = 0.999


@final
class Descent:
    """A training between two steps.

    The network is copied to float64 on the CPU and held in training mode; minibatches are the whole batches of a
    fresh permutation each epoch, a pure function of the recipe's seed, the number of samples and the epoch. So a short
    run is the beginning of a long one, and one that went on from a snapshot ends in the same bits.

    Args:
        model: The network; it is only read, and may live on the meta device.
        initial: Its weights and buffers at step 0.
        inputs: Samples (N, ...), floating.
        labels: Class numbers (N,).
        recipe: How it is trained.

    Raises:
        ValueError: In one sentence, if the samples, the state or the network do not fit each other or the recipe.
    """

    def __init__(
        self, model: nn.Module, initial: Mapping[str, Tensor], inputs: Tensor, labels: Tensor, recipe: Recipe
    ) -> None:
        check_samples(inputs, labels, recipe)
        self.step = 0
        self._recipe = recipe
        self._loss = TRAINING_LOSSES[recipe.loss]
        self._inputs, self._labels = inputs.detach().cpu(), labels.detach().cpu().long()
        self._kept = tuple(initial)
        self._model = _own_copy(model, initial)
        _check_outputs(self._model, self._inputs, self._labels)
        self._named = {name: p for name, p in self._model.named_parameters() if p.requires_grad}
        if not self._named:
            raise ValueError("the network has no parameter that may be trained: every one has requires_grad=False")
        self._optimizer = optimizer_of(self._named.values(), recipe)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)
        self._quiet = False

    def advance(self) -> float:
        """Make one update.

        Returns:
            Loss of the minibatch before the update.

        Cost: one forward and one backward pass over a minibatch.

        Raises:
            ValueError: If the loss is not finite, or the network draws random numbers, as dropout does.
        """
        batch = self._batch()
        outputs = self._forward(self._inputs[batch].double())
        loss = self._loss.total(outputs, self._labels[batch]) / batch.numel()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(self._diverged(value))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.rate(self.step)
        self._optimizer.step()
        self.step += 1
        return value

    def checkpoint(self) -> WeightCheckpoint:
        """The weights rounded to float32, and how good these rounded weights are on the data in evaluation mode.

        Cost: one forward pass over the data.

        Raises:
            ValueError: If the loss is not finite.
        """
        state = self._model.state_dict()
        rounded = {name: _rounded(state[name]) for name in self._kept}
        judge = copy.deepcopy(self._model).eval()
        judge.load_state_dict({**state, **rounded})
        total, right = 0.0, 0
        with torch.no_grad():
            for inputs, labels in zip(self._inputs.split(_CHUNK), self._labels.split(_CHUNK), strict=True):
                outputs = judge(inputs.double())
                total += float(self._loss.total(outputs, labels))
                right += int((outputs.argmax(dim=1) == labels).sum())
        samples = self._labels.numel()
        if not math.isfinite(total):
            raise ValueError(self._diverged(total))
        return WeightCheckpoint(Point(self.step, total / samples, right / samples), rounded)

    def snapshot(self) -> Snapshot:
        """All that is needed to go on from here; the order of the samples follows from the step."""
        tensors = {_MODEL + name: value for name, value in self._model.state_dict().items()}
        for name, parameter in self._named.items():
            for entry, value in self._optimizer.state[parameter].items():
                if isinstance(value, Tensor):
                    tensors[_entry_prefix(entry) + name] = value
        return Snapshot(self.step, tensors)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from where a snapshot was taken."""
        model = {
            name.removeprefix(_MODEL): value for name, value in snapshot.tensors.items() if name.startswith(_MODEL)
        }
        self._model.load_state_dict(model)
        for name, parameter in self._named.items():
            for entry in _ENTRIES[self._recipe.optimiser]:
                key = _entry_prefix(entry) + name
                if key in snapshot.tensors:
                    self._optimizer.state[parameter][entry] = snapshot.tensors[key]
        self.step = snapshot.step

    def _batch(self) -> Tensor:
        """Numbers of the samples of the next minibatch."""
        size = self._recipe.batch_size
        epoch, place = divmod(self.step, self._labels.numel() // size)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, order_of_epoch(self._recipe, self._labels.numel(), epoch)
        return self._order[place * size : (place + 1) * size]

    def _forward(self, inputs: Tensor) -> Tensor:
        """Outputs; the first time it is seen that the network leaves the global generator alone.

        Raises:
            ValueError: If it does not.
        """
        if self._quiet:
            return self._model(inputs)
        before = torch.random.get_rng_state()
        outputs = self._model(inputs)
        if not torch.equal(before, torch.random.get_rng_state()):
            torch.random.set_rng_state(before)
            raise ValueError(
                "the network draws random numbers while it is trained, as dropout does, which no recipe can repeat: "
                "set dropout to 0"
            )
        self._quiet = True
        return outputs

    def _diverged(self, loss: float) -> str:
        recipe = self._recipe
        return (
            f"training diverged: the loss is {loss} at step {self.step}; "
            f"lower learning_rate ({recipe.learning_rate} now) or momentum ({recipe.momentum} now)"
        )


def order_of_epoch(recipe: Recipe, samples: int, epoch: int) -> Tensor:
    """The order (samples,) in which an epoch takes the samples, a whole batch after the other."""
    generator = np.random.default_rng(derive_seed("training-order", *recipe.seed, str(epoch)))
    return torch.as_tensor(generator.permutation(samples))


def optimizer_of(parameters: Iterable[Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    """What updates parameters by a recipe; the rate is set at every step."""
    if recipe.optimiser == ADAM:
        betas = (recipe.momentum, _SECOND_MOMENT)
        return torch.optim.Adam(
            parameters, lr=recipe.learning_rate, betas=betas, weight_decay=recipe.weight_decay, foreach=False
        )
    return torch.optim.SGD(
        parameters,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        foreach=False,
    )


def _entry_prefix(entry: str) -> str:
    return "momentum:" if entry == "momentum_buffer" else f"{entry}:"


@contextlib.contextmanager
def one_thread() -> Generator[None]:
    """Compute on one thread, which fixes the order of every sum, and with gradients; both as before at the end."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)


def check_samples(inputs: Tensor, labels: Tensor, recipe: Recipe) -> None:
    """Refuse samples that do not fit each other or the recipe.

    Raises:
        ValueError: Saying what is accepted.
    """
    samples = inputs.shape[0] if inputs.ndim else 0
    if samples == 0:
        raise ValueError("inputs must hold at least one sample, got none")
    if not inputs.is_floating_point() or not bool(torch.isfinite(inputs).all()):
        raise ValueError(f"inputs must be finite floating numbers, got {inputs.dtype} or values that are not finite")
    if labels.shape != (samples,) or labels.dtype == torch.bool or labels.is_floating_point():
        raise ValueError(
            f"labels must be one class number for each of {samples} samples, "
            f"got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    if recipe.batch_size > samples:
        raise ValueError(f"batch_size must be at most the number of samples, {samples}, got {recipe.batch_size}")


def _check_outputs(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Hold one sample's outputs against the labels, in evaluation mode, where batch norm takes a single sample.

    Raises:
        ValueError: If they are not of shape (1, C), or a label is outside of 0 to C - 1.
    """
    model.eval()
    with torch.no_grad():
        outputs = model(inputs[:1].double())
    model.train()
    if outputs.ndim != 2 or outputs.shape[0] != 1:
        raise ValueError(f"the network must give outputs (m, C), got {tuple(outputs.shape)} for one sample")
    classes, low, high = outputs.shape[1], int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must be between 0 and {classes - 1}, one less than the outputs, got {low} to {high}")


def _own_copy(model: nn.Module, initial: Mapping[str, Tensor]) -> nn.Module:
    """The network in float64 on the CPU at its initial state; the given one is left alone.

    Raises:
        ValueError: If the initial state is not finite, or its names or shapes are not the network's own.
    """
    own = copy.deepcopy(model)
    if any(tensor.is_meta for tensor in itertools.chain(own.parameters(), own.buffers())):
        own = own.to_empty(device="cpu")
    own = own.to(device="cpu", dtype=torch.float64)
    expected = own.state_dict()
    counters = {name: torch.zeros_like(value) for name, value in expected.items() if name.endswith(COUNTER)}
    wrong = sorted((expected.keys() - counters.keys() - initial.keys()) | (initial.keys() - expected.keys()))
    if wrong:
        raise ValueError(f"the initial state must name the network's own tensors, which {wrong[0]!r} is not, or lacks")
    for name, value in initial.items():
        if value.shape != expected[name].shape:
            shapes = f"{tuple(expected[name].shape)}, got {tuple(value.shape)}"
            raise ValueError(f"the initial state must have {name!r} of shape {shapes}")
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"the initial state must be finite, which {name!r} is not")
    own.load_state_dict({**counters, **initial})
    own.zero_grad(set_to_none=True)
    return own


def _rounded(value: Tensor) -> Tensor:
    return value.detach().to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)

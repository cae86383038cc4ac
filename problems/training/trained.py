"""Trained weights by what decides them: from the cache, or trained now and kept there."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from hessbench.problems.training.recipe import Recipe
from hessbench.problems.training.store import Point, Say, WeightStore, training_key
from hessbench.problems.training.trainer import Progress, train


def trained(
    model: nn.Module,
    initial: Mapping[str, Tensor],
    architecture: str,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    step: int,
    *,
    say: Say | None = None,
    progress: Progress | None = None,
) -> dict[str, Tensor]:
    """Weights and buffers of a step of a training, in float32.

    They come from the cache; where they are not there, the training is made up to its last named step, or to a step
    without a name, and kept. Two
    processes that ask for the same at once train it once. A damaged file is made again, with a warning.

    Args:
        model: The network; it is only read, and may live on the meta device.
        initial: Its weights and buffers at step 0, by name; counters of batch norm may be missing, here and in what
            is returned.
        architecture: Text that names the network and its every option: with state, data and recipe, the key.
        inputs: Samples (N, ...), floating.
        labels: Class numbers (N,).
        recipe: How it is trained.
        step: 0 to `recipe.steps`; those of `recipe.checkpoints` are kept by the way.
        say: Told in words how a training goes on.
        progress: Told the updates made, their number, and the loss of the last minibatch.

    Returns:
        Tensor by name, for the names of `initial`.

    Raises:
        ValueError: In one sentence, if the step is out of range, if data, state, network and recipe do not fit, or if
            the loss is not finite.
        OSError: In one sentence, if the disk is full or the cache cannot be written; what is there stays valid.
    """
    recipe.check_step(step)
    store = _store(initial, architecture, inputs, labels, recipe)
    found = store.read(step)
    if found is not None:
        return found.state
    with store.locked(say):
        # Another process may have trained it meanwhile.
        found = store.read(step)
        if found is None:
            until = recipe.steps if step in recipe.checkpoints else step
            if say:
                say(f"training {architecture}: {until} steps on {inputs.shape[0]} samples")
            train(model, initial, inputs, labels, recipe, store=store, say=say, progress=progress, until=until)
            found = store.read(step)
    if found is None:
        raise OSError(f"the weights of step {step} were kept and cannot be read back: {store.path(step).name}")
    return found.state


def is_cached(
    initial: Mapping[str, Tensor], architecture: str, inputs: Tensor, labels: Tensor, recipe: Recipe, step: int
) -> bool:
    """Whether `trained` would find these weights, whole, without any training.

    Reads the file and hashes it and the data: worth keeping where it is asked often.

    Args:
        initial: Weights and buffers at step 0, by name.
        architecture: Text that names the network and its every option.
        inputs: Samples (N, ...), floating.
        labels: Class numbers (N,).
        recipe: How it is trained.
        step: 0 to `recipe.steps`.

    Raises:
        ValueError: If the step is out of range.
    """
    recipe.check_step(step)
    return _store(initial, architecture, inputs, labels, recipe).read(step) is not None


def history(
    initial: Mapping[str, Tensor],
    architecture: str,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    until: int | None = None,
) -> list[Point]:
    """Step, loss and accuracy of every named step before one, and of that one, as far as they are in the cache.

    Args:
        initial: Weights and buffers at step 0, by name.
        architecture: Text that names the network and its every option.
        inputs: Samples (N, ...), floating.
        labels: Class numbers (N,).
        recipe: How it is trained.
        until: The last step; by default that of the recipe.
    """
    store = _store(initial, architecture, inputs, labels, recipe)
    last = recipe.steps if until is None else until
    steps = (*(step for step in recipe.checkpoints if step < last), last)
    found = (store.read(step) for step in steps)
    return [checkpoint.point for checkpoint in found if checkpoint is not None]


def _store(
    initial: Mapping[str, Tensor], architecture: str, inputs: Tensor, labels: Tensor, recipe: Recipe
) -> WeightStore:
    return WeightStore(training_key(architecture, initial, inputs, labels, recipe), recipe)

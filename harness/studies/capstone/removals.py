"""Networks trained again without one example each, on the same minibatches: all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hessbench.problems.networks.network import Network
from hessbench.problems.training.recipe import Recipe
from hessbench.seeding import derive_seed


def retrained(start: Network, recipe: Recipe, steps: int, left_out: Sequence[int]) -> Tensor:
    """Parameters after a training in which one example weighs nothing, for each of some examples.

    The minibatches are those of the training with all examples, and so is what their sums are divided by: what is
    trained on is (1/N) sum of the losses of the others. So a net differs from the whole one by the example alone.

    Args:
        start: The network at step 0, on its training images in one batch, whose samples stand by themselves.
        recipe: How it is trained: plain descent.
        steps: Updates made.
        left_out: Numbers of the examples, m of them; -1 for none.

    Returns:
        Parameters (m, n), in the dtype of the network.

    Cost: `steps` gradients of m networks on a minibatch.

    Raises:
        ValueError: If the recipe has momentum or weight decay, which this does not repeat.
    """
    if recipe.momentum or recipe.weight_decay:
        raise ValueError("recipe must be plain descent, without momentum and weight decay")
    (batch,) = start.batches
    samples, size = batch.size, recipe.batch_size
    many = torch.func.vmap(start.forward, in_dims=(0, None))
    parameters = start.parameters.detach().expand(len(left_out), -1).clone()
    weights = torch.ones(len(left_out), samples, dtype=parameters.dtype)
    for place, example in enumerate(left_out):
        if example >= 0:
            weights[place, example] = 0
    order = np.empty(0, dtype=np.int64)
    for number in range(steps):
        epoch, place = divmod(number, samples // size)
        if place == 0:
            seed = derive_seed("training-order", *recipe.seed, str(epoch))
            order = np.random.default_rng(seed).permutation(samples)
        chosen = torch.as_tensor(order[place * size : (place + 1) * size])
        part = batch.part(chosen)
        leaf = parameters.requires_grad_()
        with torch.enable_grad():
            outputs = many(leaf, part.inputs)
            losses = torch.nn.functional.cross_entropy(
                outputs.flatten(0, 1), part.targets.repeat(len(left_out)), reduction="none"
            ).reshape(len(left_out), size)
            (gradient,) = torch.autograd.grad((losses * weights[:, chosen]).sum() / size, leaf)
        parameters = (leaf - recipe.rate(number) * gradient).detach()
    return parameters

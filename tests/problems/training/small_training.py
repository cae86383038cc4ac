"""A small training that tests share, with a pause in every step where they end it or race it."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hessbench.problems.training.recipe import Recipe
from hessbench.problems.training.store import Say, WeightStore, training_key
from hessbench.problems.training.trainer import train

ARCHITECTURE = "small-conv"
RECIPE = Recipe(
    steps=40,
    batch_size=16,
    learning_rate=0.05,
    nesterov=True,
    weight_decay=1e-3,
    schedule="piecewise-linear",
    knots=((0, 0.5), (10, 1.0), (40, 0.1)),
    checkpoints=(0, 5, 10, 40),
    seed=("small",),
)


class Paused(nn.Module):
    """Hands its inputs on, after a pause where it is trained."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            time.sleep(self.seconds)
        return inputs


@dataclass(frozen=True)
class Task:
    model: nn.Module
    initial: dict[str, Tensor]
    inputs: Tensor
    labels: Tensor

    def key(self, recipe: Recipe) -> str:
        return training_key(ARCHITECTURE, self.initial, self.inputs, self.labels, recipe)


def small_task(pause: float = 0.0) -> Task:
    """A convolution with batch norm on 60 images of 4 x 4 pixels in 3 classes, from a seed."""
    model = nn.Sequential(
        Paused(pause), nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.Tanh(),
        nn.Flatten(), nn.Linear(48, 3),
    )  # fmt: skip
    generator = np.random.default_rng(7)
    labels = torch.as_tensor(generator.permutation(np.arange(60) % 3))
    inputs = torch.as_tensor(generator.standard_normal((60, 1, 4, 4)) + labels.numpy()[:, None, None, None]).float()
    drawn = {
        name: torch.as_tensor(0.2 * generator.standard_normal(tuple(value.shape)), dtype=torch.float32)
        for name, value in model.named_parameters()
    }
    statistics = {"2.running_mean": torch.zeros(3), "2.running_var": torch.ones(3)}
    return Task(model, {**drawn, **statistics}, inputs, labels)


def train_slowly(pause: float, save_every: float, say: Say) -> None:
    """Train it in the cache of this process, and keep where it is every so many seconds."""
    task = small_task(pause)
    store = WeightStore(task.key(RECIPE), RECIPE)
    with store.locked(say):
        train(task.model, task.initial, task.inputs, task.labels, RECIPE, store=store, say=say, save_every=save_every)
    say("finished")

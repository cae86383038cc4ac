"""Weights of the network families: untrained, trained by the built-in recipes, or from a file of the user's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn

from hessbench.problem import Problem
from hessbench.problems import data
from hessbench.problems.networks import (
    flat_forward,
    flat_parameters,
    initial_state,
    load_state,
    parameter_shapes,
    read_weights,
)
from hessbench.problems.networks.losses import LOSSES
from hessbench.problems.parameters import in_range
from hessbench.problems.training import Recipe, history, is_cached, recipe_for, trained
from hessbench.problems.training.recipe_text import BUILT_IN, read_recipe

TRAINED: Final = "trained"
RANDOM: Final = "random"
LAST: Final = -1
"""The step that stands for a recipe's last checkpoint."""

TRAIN_PER_CLASS: Final = 1000
"""Most training images of a class that a recipe uses, where a spec does not say."""

MAX_TRAIN_PER_CLASS: Final = 10_000
MAX_RUN: Final = 1_000_000

_TEST_BATCH: Final = 250


@dataclass(frozen=True)
class Weights:
    """Where a network's weights come from.

    Attributes:
        architecture: Text that says what the module is, beside the data's shape and classes.
        recipes: Name under which its recipes are kept.
        make: Makes the module from the shape of an input and the number of classes.
        shape: Shape of an input.
        dataset: Data it is trained on.
        loss: Name of the loss it is trained with.
        choice: trained, random, or the name of a file in the folder of HESSBENCH_DATA.
        step: Training steps made, 0 to the recipe's number; -1 for all.
        widths: Hidden units of a perceptron.
        run: Number of the run: draws the initial state and the order of the samples.
        train_per_class: Most training images of a class.
        recipe_text: What is changed of the built-in recipe; see `hessbench.problems.training.recipe_text`.
    """

    architecture: str
    recipes: str
    make: Callable[..., nn.Module]
    shape: tuple[int, int, int]
    dataset: str
    loss: str
    choice: str = TRAINED
    step: int = LAST
    widths: tuple[int, ...] = ()
    run: int = 0
    train_per_class: int = TRAIN_PER_CLASS
    recipe_text: str = BUILT_IN

    def check(self, family: str) -> None:
        """Refuse a choice or a step that does not exist.

        Raises:
            ValueError: Naming what is accepted.
        """
        if self.choice not in (TRAINED, RANDOM) and not self.choice.endswith((".npz", ".safetensors")):
            raise ValueError(
                f"{family}: weights must be trained, random, or a file NAME.npz or NAME.safetensors in the folder "
                f"named by {data.DATA_VARIABLE}, got {self.choice!r}"
            )
        in_range(family, "run", self.run, 0, MAX_RUN)
        in_range(family, "train_per_class", self.train_per_class, 1, MAX_TRAIN_PER_CLASS)
        belongs = {"step": self.step != LAST, "train_per_class": self.train_per_class != TRAIN_PER_CLASS}
        belongs |= {"recipe": self.recipe_text != BUILT_IN, "run": self.run != 0 and self.choice != RANDOM}
        for name, given in belongs.items():
            if given and self.choice != TRAINED:
                raise ValueError(f"{family}: {name} belongs to weights=trained, got weights={self.choice}")
        try:
            recipe = self.recipe
        except ValueError as failure:
            raise ValueError(f"{family}: {failure}") from failure
        if self.step != LAST:
            in_range(family, "step", self.step, 0, recipe.steps)

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        samples = self.train_per_class * data.DATASETS[self.dataset].classes
        return recipe_for(
            self.recipes, self.dataset, self.loss,
            widths=self.widths, text=self.recipe_text, run=self.run, samples=samples,
        )  # fmt: skip

    @property
    def shell(self) -> nn.Module:
        """The module without memory: its shapes and its computation."""
        with torch.device("meta"):
            return self.make(self.shape, data.DATASETS[self.dataset].classes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of its parameters."""
        return parameter_shapes(self.shell)

    def state(
        self,
        say: Callable[[str], None] | None = None,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> Mapping[str, Tensor]:
        """Weights and statistics by name, float32; trains where they are not kept yet.

        Raises:
            ValueError: If a file does not hold this network.
            OSError: If a file cannot be read or the cache cannot be written.
        """
        if self.choice not in (TRAINED, RANDOM):
            weights = read_weights(data.data_file(self.choice))
            return load_state(self.shell, weights, f"{self.choice} for {self.architecture}")
        initial = self.initial
        step = self.recipe.steps if self.step == LAST else self.step
        if self.choice == RANDOM or step == 0:
            return initial
        samples = self.samples
        return trained(
            self.shell, initial, self.architecture, samples.inputs, samples.labels, self.recipe, step,
            say=say, progress=progress,
        )  # fmt: skip

    @property
    def samples(self) -> data.Samples:
        """What it is trained on.

        Raises:
            ValueError: If the recipe counts in epochs of more images than there are.
            OSError: If the data are not there.
        """
        most = data.num_per_class(self.dataset, "train")
        if self.train_per_class > most and read_recipe(self.recipe_text).epochs is not None:
            raise ValueError(
                f"{self.dataset} has {most} training images of a class: with epochs, train_per_class must be at most "
                f"that, got {self.train_per_class}"
            )
        per_class = min(self.train_per_class, most)
        return data.adapted(data.load(self.dataset, per_class=per_class), self.shape)

    def unavailable(self, problem: str) -> str | None:
        """Why the weights cannot be had here, and the remedy; None when they can, the data being there.

        Args:
            problem: Canonical name of a problem with these weights, which the remedy trains.
        """
        if self.choice not in (TRAINED, RANDOM):
            if not os.environ.get(data.DATA_VARIABLE) or not data.data_file(self.choice).is_file():
                return (
                    f"{self.choice} is not in the folder named by {data.DATA_VARIABLE}: put it there, "
                    "or use weights=random"
                )
            return None
        if self.choice == RANDOM or self.step == 0 or self.recipe.short or self._is_cached():
            return None
        return f"its weights are not trained yet: run `hessbench train '{problem}'`, or use weights=random"

    def train(
        self, say: Callable[[str], None], progress: Callable[[int, int, float], None]
    ) -> Sequence[Mapping[str, float]]:
        """Train to the step asked for, going on where a training stopped; nothing to do where it is kept.

        Args:
            say: Told in words how it goes on.
            progress: Told the updates made, their number and the last loss.

        Returns:
            For each named step the loss and the accuracy on what it is trained on and on the test split.

        Raises:
            ValueError: If the loss is not finite.
            OSError: If data are missing or the cache cannot be written.
        """
        missing = data.unavailable(self.dataset)
        if missing:
            data.fetch(self.dataset, say)
        replace(self, choice=TRAINED).state(say, progress)
        samples, test = self.samples, data.adapted(data.load(self.dataset, split="test"), self.shape)
        last = self.recipe.steps if self.step == LAST else self.step
        known = history(self.initial, self.architecture, samples.inputs, samples.labels, self.recipe, last)
        return [
            {
                "step": point.step,
                "train loss": point.loss,
                "train accuracy": point.accuracy,
                **self._quality(replace(self, choice=TRAINED, step=point.step).state(), test),
            }
            for point in known
        ]

    def _quality(self, state: Mapping[str, Tensor], test: data.Samples) -> dict[str, float]:
        """Loss and accuracy on the test split, in float32."""
        forward = flat_forward(self.shell, state, tuple(self.shapes))
        parameters = flat_parameters(state, tuple(self.shapes))
        with torch.no_grad():
            outputs = torch.cat([forward(parameters, part) for part in test.inputs.split(_TEST_BATCH)])
        hits = (outputs.argmax(dim=1) == test.labels).sum()
        loss = LOSSES[self.loss].total(outputs, test.labels)
        return {
            "test loss": float(loss) / test.labels.numel(),
            "test accuracy": float(hits) / test.labels.numel(),
        }

    @property
    def initial(self) -> dict[str, Tensor]:
        """Weights and statistics at step 0, by name."""
        drawn = (f"run {self.run}",) if self.run else ()
        return initial_state(self.shell, self.architecture, self.dataset, *drawn)

    def _is_cached(self) -> bool:
        samples = self.samples
        step = self.recipe.steps if self.step == LAST else self.step
        return is_cached(self.initial, self.architecture, samples.inputs, samples.labels, self.recipe, step)


def weights_of(problem: Problem) -> Weights:
    """Where the trained weights of a registered problem come from: its module, initial state, data and recipe.

    Raises:
        ValueError: If it is not one of a network that is trained here.
    """
    owner = getattr(problem.train, "__self__", None)
    if not isinstance(owner, Weights):
        raise ValueError(f"problem {problem.name} is not at weights that are trained here: weights=trained is accepted")
    return owner

"""Networks really trained on real images: a family for each architecture, all with the same parameters."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

from hessbench.problem import Problem, ProblemFamily
from hessbench.problems import data
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.curvature.engines.table import AUTO
from hessbench.problems.network_families.built_in import built_in_problem
from hessbench.problems.network_families.weights_source import LAST, RANDOM, TRAIN_PER_CLASS, TRAINED, Weights
from hessbench.problems.networks import ARCHITECTURES
from hessbench.problems.networks.architectures.batch_norm import EVAL, NORMS, TRAIN, has_batch_norm
from hessbench.problems.networks.architectures.mlp import ACTIVATIONS, mlp
from hessbench.problems.networks.architectures.table import CIFAR
from hessbench.problems.networks.losses import LOSSES, MEAN
from hessbench.problems.parameters import nearest, one_of, spec_of
from hessbench.problems.training.recipe_text import BUILT_IN

MAX_WIDTH: Final = 200_000


def mlp_problem(
    *,
    data: str = "digits",
    widths: str = "32",
    activation: str = "tanh",
    per_class: int = 50,
    split: str = "train",
    weights: str = TRAINED,
    step: int = LAST,
    run: int = 0,
    train_per_class: int = TRAIN_PER_CLASS,
    recipe: str = BUILT_IN,
    loss: str = "cross-entropy",
    operator: str = "hessian",
    block: str = "all",
    reduction: str = MEAN,
    weight_decay: float = 0.0,
    mc_samples: int = 1,
    seed: int = 0,
    engine: str = AUTO,
    micro_batch: int = 0,
) -> Problem:
    """A curvature matrix of a multilayer perceptron, trained in seconds when it is first needed.

    Args:
        data: digits, digits-7x7, mnist, mnist-7x7, fashion-mnist, cifar10 or cifar100.
        widths: Units of the hidden layers, joined by hyphens, as in 128-128; each 1 to 200000.
        activation: tanh or relu.
        per_class: Images of each class that the matrix is a mean over.
        split: train or test.
        weights: trained, random, or a file NAME.npz or NAME.safetensors in the folder of HESSBENCH_DATA.
        step: Training steps made, 0 to the number of the recipe; -1 for all.
        run: Number of the run: draws the initial state and the order of the samples.
        train_per_class: Most images of each class that it is trained on.
        recipe: built-in, or what is changed of it, joined by `+`, as in optimiser:adam+rate:0.001+epochs:5; see
            `hessbench.problems.training.recipe_text`.
        loss: cross-entropy or squared, of the training and of the matrix.
        operator: hessian, ggn, residual, gradient-second-moment, gradient-covariance, monte-carlo-fisher, ntk or gram;
            see `hessbench.problems.curvature.matrices`.
        block: all, or the parameters it is restricted to; see `hessbench.problems.networks.restriction`.
        reduction: mean or sum of the losses of the samples.
        weight_decay: Added to every diagonal entry, for hessian and ggn; 0 to 1e6.
        mc_samples: Targets drawn for each sample, for monte-carlo-fisher; 1 to 1000.
        seed: Of those draws.
        engine: How products with the Hessian and the GGN are made: auto for the fastest way here, or a name of
            `hessbench.problems.curvature.engines.table`.
        micro_batch: Samples that engines multiply at a time, nothing being kept between them; 0 for whole batches.

    Raises:
        ValueError: If a parameter is out of range.
    """
    family = "mlp"
    hidden = _widths(widths)
    shape = _known_data(family, data, loss).shape
    one_of(family, "activation", activation, ACTIVATIONS)
    spec = spec_of(
        family, mlp_problem, data=data, widths=widths, activation=activation, per_class=per_class, split=split,
        weights=weights, step=step, run=run, train_per_class=train_per_class, recipe=recipe, loss=loss,
        operator=operator, block=block, reduction=reduction, weight_decay=weight_decay, mc_samples=mc_samples,
        seed=seed,
    )  # fmt: skip
    source = Weights(
        architecture=f"mlp {widths} {activation}",
        recipes="mlp",
        make=partial(mlp, widths=hidden, activation=activation),
        shape=shape,
        dataset=data,
        loss=loss,
        choice=weights,
        step=step,
        widths=hidden,
        run=run,
        train_per_class=train_per_class,
        recipe_text=recipe,
    )
    choice = MatrixChoice(operator, weight_decay, mc_samples, seed, engine=engine, micro_batch=micro_batch)
    depth = len(hidden)

    def ladder(dim: int) -> Problem:
        """As many layers of one width, untrained: a price depends on the shapes alone."""
        width = nearest(_width_for(dim, depth, source), 1, MAX_WIDTH)
        return mlp_problem(
            data=data, widths="-".join([str(width)] * depth), activation=activation, per_class=per_class, split=split,
            weights=RANDOM, loss=loss, operator=operator, mc_samples=mc_samples, seed=seed, engine=engine,
            micro_batch=micro_batch,
        )  # fmt: skip

    return built_in_problem(
        spec, source, choice, family=family, batched=True, per_class=per_class, split=split, block=block,
        reduction=reduction, ladder=ladder if block == "all" and not choice.is_by_output else None,
    )  # fmt: skip


def convolutional(architecture: str) -> ProblemFamily:
    """The family of one convolutional architecture, on images of 3 x 32 x 32."""
    chosen = ARCHITECTURES[architecture]

    def make(
        *,
        data: str = "digits",
        per_class: int = 10,
        split: str = "train",
        weights: str = TRAINED,
        step: int = LAST,
        run: int = 0,
        train_per_class: int = TRAIN_PER_CLASS,
        recipe: str = BUILT_IN,
        loss: str = "cross-entropy",
        operator: str = "hessian",
        block: str = "all",
        reduction: str = MEAN,
        weight_decay: float = 0.0,
        norm: str = EVAL,
        mc_samples: int = 1,
        seed: int = 0,
        engine: str = AUTO,
        micro_batch: int = 0,
    ) -> Problem:
        """A curvature matrix of a convolutional network; other images than 3 x 32 x 32 are enlarged or padded.

        Args: as of `mlp_problem`, and
            norm: eval, batch norm on its stored statistics; or train, on those of the batch, where there is batch norm.

        Raises:
            ValueError: If a parameter is out of range.
        """
        _known_data(architecture, data, loss)
        one_of(architecture, "norm", norm, NORMS)
        spec = spec_of(
            architecture, make, data=data, per_class=per_class, split=split, weights=weights, step=step, run=run,
            train_per_class=train_per_class, recipe=recipe, loss=loss, operator=operator, block=block,
            reduction=reduction, weight_decay=weight_decay, norm=norm, mc_samples=mc_samples, seed=seed,
        )  # fmt: skip
        source = Weights(
            architecture, architecture, chosen.make, CIFAR, data, loss, weights, step,
            run=run, train_per_class=train_per_class, recipe_text=recipe,
        )  # fmt: skip
        if norm == TRAIN and not has_batch_norm(source.shell):
            raise ValueError(f"{architecture}: norm=train belongs to networks with batch norm, which this one has not")
        group = norm == TRAIN
        choice = MatrixChoice(operator, weight_decay, mc_samples, seed, group, engine=engine, micro_batch=micro_batch)
        return built_in_problem(
            spec, source, choice, family=architecture, batched=chosen.batched, per_class=per_class, split=split,
            block=block, reduction=reduction,
        )  # fmt: skip

    return ProblemFamily(
        architecture,
        make,
        presets=(f"{architecture}[weights=random]", f"{architecture}[operator=ggn,weights=random]"),
        summary=f"curvature of {chosen.summary}; trained or not, on any of the image data sets",
    )


def _known_data(family: str, name: str, loss: str) -> data.DataSet:
    one_of(family, "data", name, data.DATASETS)
    one_of(family, "loss", loss, LOSSES)
    return data.DATASETS[name]


def _widths(text: str) -> tuple[int, ...]:
    parts = text.split("-")
    if not all(part.isdecimal() and 1 <= int(part) <= MAX_WIDTH for part in parts):
        raise ValueError(
            f"mlp: widths must be integers between 1 and {MAX_WIDTH} joined by hyphens, as in 128-128, got {text!r}"
        )
    return tuple(map(int, parts))


def _width_for(dim: int, depth: int, source: Weights) -> int:
    """Width w of `depth` equal hidden layers for which the number of parameters is nearest to `dim`.

    The number is (depth - 1) w^2 + (inputs + depth + classes) w + classes.
    """
    inputs, classes = math.prod(source.shape), data.DATASETS[source.dataset].classes
    a, b = depth - 1, inputs + depth + classes
    rest = max(dim - classes, 0)
    return round(rest / b if a == 0 else ((b * b + 4 * a * rest) ** 0.5 - b) / (2 * a))


MLP: Final = ProblemFamily(
    "mlp",
    mlp_problem,
    presets=(
        "mlp",
        "mlp[operator=ggn]",
        "mlp[operator=gradient-second-moment]",
        "mlp[operator=ntk]",
        "mlp[loss=squared]",
        "mlp[data=mnist-7x7]",
        "mlp[data=mnist-7x7,recipe=momentum:0,step=500]",
        "mlp[data=mnist,per_class=100,widths=128-128,activation=relu]",
        "mlp[data=fashion-mnist,per_class=100,widths=128-128,activation=relu]",
    ),
    summary="curvature of a perceptron of any widths, trained on digits, MNIST, Fashion-MNIST or CIFAR",
)

CONVOLUTIONAL: Final = tuple(
    convolutional(name) for name in ("cnn-3c3d", "all-cnn-c", "resnet18", "vgg11-bn", "vgg16", "vgg16-bn")
)

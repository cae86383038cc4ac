"""The family `resnet20-cifar10`: a trained ResNet20 on real images, from files the user names."""

from __future__ import annotations

import math
import os
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hessbench.files import DAMAGE, read_archive
from hessbench.problem import Problem, ProblemFamily, array_hash
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.curvature.engines.table import AUTO
from hessbench.problems.data import DATA_VARIABLE, data_file
from hessbench.problems.network_problem import network_problem
from hessbench.problems.networks import (
    ARCHITECTURES,
    flat_forward,
    flat_parameters,
    initial_state,
    load_state,
    parameter_shapes,
    read_weights,
)
from hessbench.problems.networks.architectures.batch_norm import EVAL, NORMS, TRAIN, unfolded
from hessbench.problems.networks.losses import CROSS_ENTROPY, LOSSES, MEAN, REDUCTIONS, Loss
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.own_module import OwnModule, filled
from hessbench.problems.parameters import in_range, one_of, spec_of

FAMILY: Final = "resnet20-cifar10"
IMAGES_FILE: Final = "cifar10.npz"
IMAGE: Final = (3, 32, 32)
CLASSES: Final = 10
MAX_SAMPLES: Final = {"train": 7500, "test": 2000}
"""Images in the file, by split."""
ROUNDING: Final = 1000.0
"""Float32 logits of size 20 after 20 layers are off by some 1e-5, and so, relatively, are the softmax's small entries:
measured 600 eps in the largest GGN eigenvalue at 4 samples, 6 eps at 64."""

SHORTCUTS: Final = {"projection": "resnet20", "padded": "resnet20-padded"}
"""Architecture by the form of its shortcuts."""

OWN: Final = "own"
"""The shortcuts that the weights were trained with; projection for untrained weights."""

RANDOM: Final = "random"


@dataclass(frozen=True)
class Stored:
    """A file of trained weights, the shortcuts they were trained with, and the pixel statistics they expect."""

    file: str
    shortcuts: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


STORED: Final = {
    "pyhessian": Stored(
        "resnet20_cifar10_pyhessian.npz", "projection", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    ),
    "akamaster": Stored("resnet20_cifar10_akamaster.npz", "padded", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
WEIGHTS: Final = ("pyhessian", RANDOM, "akamaster")


def resnet20_problem(
    *,
    samples: int = 64,
    operator: str = "hessian",
    weights: str = "pyhessian",
    shortcuts: str = OWN,
    split: str = "train",
    loss: str = "cross-entropy",
    reduction: str = MEAN,
    weight_decay: float = 0.0,
    norm: str = EVAL,
    mc_samples: int = 1,
    seed: int = 0,
    engine: str = AUTO,
    micro_batch: int = 0,
) -> Problem:
    """A curvature matrix of ResNet20 over the first images of CIFAR-10.

    All 272,474 parameters with projected shortcuts, all 269,722 with padded ones; batch norm on stored statistics
    unless asked otherwise. Images, and the trained weights, come from the folder named by the environment variable
    HESSBENCH_DATA. References are those of `hessbench.problems.references.choose`; the costly ones of 64 samples ship.

    Args:
        samples: Images, 1 to 7500 of the training split, to 2000 of the test split.
        operator: One of `hessbench.problems.curvature.matrices.OPERATORS`.
        weights: pyhessian, trained to 92 % test accuracy, shortcuts projected; akamaster, trained to the same,
            shortcuts padded; or random, untrained from a seed.
        shortcuts: projection or padded; own stands for what the trained weights need, and for projection with random.
        split: train or test.
        loss: cross-entropy or squared.
        reduction: mean or sum of the losses of the samples.
        weight_decay: Added to every diagonal entry, for hessian and ggn; 0 to 1e6.
        norm: eval, batch norm on its stored statistics; or train, on those of the batch.
        mc_samples: Targets drawn for each sample, for monte-carlo-fisher; 1 to 1000.
        seed: Of those draws.
        engine: How products with the Hessian and the GGN are made: auto for the fastest way here, or a name of
            `hessbench.problems.curvature.engines.table`.
        micro_batch: Samples that engines multiply at a time, nothing being kept between them; 0 for whole batches.

    Raises:
        ValueError: If a parameter is out of range, or the weights need the other shortcuts.
    """
    one_of(FAMILY, "split", split, MAX_SAMPLES)
    in_range(FAMILY, "samples", samples, 1, MAX_SAMPLES[split])
    one_of(FAMILY, "weights", weights, WEIGHTS)
    one_of(FAMILY, "shortcuts", shortcuts, (OWN, *SHORTCUTS))
    one_of(FAMILY, "loss", loss, LOSSES)
    one_of(FAMILY, "reduction", reduction, REDUCTIONS)
    one_of(FAMILY, "norm", norm, NORMS)
    group = norm == TRAIN
    choice = MatrixChoice(operator, weight_decay, mc_samples, seed, group, engine=engine, micro_batch=micro_batch)
    choice.check(FAMILY)
    shapes = parameter_shapes(resnet20_module(weights, shortcuts))
    total = replace(LOSSES[loss], mean=reduction == MEAN)

    def network() -> Network:
        return resnet20_network(samples, weights, split, shortcuts=shortcuts, loss=total, norm=norm)

    def fingerprint() -> str:
        """Raw bytes of the files: what the network is made of."""
        state = resnet20_state(weights, shortcuts)
        return array_hash(*load_images(split, samples), *(value.numpy() for value in state.values()))

    spec = spec_of(
        FAMILY, resnet20_problem, samples=samples, operator=operator, weights=weights, shortcuts=shortcuts, split=split,
        loss=loss, reduction=reduction, weight_decay=weight_decay, norm=norm, mc_samples=mc_samples, seed=seed,
    )  # fmt: skip
    problem = network_problem(
        spec,
        choice,
        network,
        dim=choice.dim(sum(map(math.prod, shapes.values())), samples, CLASSES),
        loss=total,
        fingerprint=fingerprint,
        shapes=shapes,
        rounding=ROUNDING,
    )
    return replace(problem, unavailable=lambda: unavailable(weights))


def resnet20_network(
    samples: int,
    weights: str,
    split: str = "train",
    *,
    shortcuts: str = OWN,
    loss: Loss = CROSS_ENTROPY,
    norm: str = EVAL,
) -> Network:
    """The network on the first images of a split, in float32.

    Args:
        samples: Number of images; a split that has fewer gives all of its own.
        weights: `pyhessian`, `akamaster` or `random`.
        split: `train` or `test`.
        shortcuts: `projection` or `padded`; `own` stands for what trained weights need, for projection with `random`.
        loss: Loss of its outputs (N, 10).
        norm: `eval` for batch norm by its running statistics, `train` for that of the batch.
    """
    images, labels = load_images(split, samples)
    model, state = resnet20_module(weights, shortcuts).train(norm == TRAIN), resnet20_state(weights, shortcuts)
    stored = STORED.get(weights, STORED["pyhessian"])
    pixels = torch.as_tensor(images).permute(0, 3, 1, 2).to(torch.float32) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (stored.mean, stored.std))
    inputs = ((pixels - mean) / std).contiguous()
    shapes = parameter_shapes(model)
    names, written = tuple(shapes), unfolded(model)
    # A vectorised block of convolutions is slower on a CPU than a loop over its columns.
    data = (Batch(inputs, torch.as_tensor(labels, dtype=torch.int64)),)
    return Network(
        flat_forward(model, state, names),
        flat_parameters(state, names),
        data,
        loss,
        batched=False,
        group=norm == TRAIN,
        as_written=flat_forward(written, state, names),
        own=OwnModule(lambda: filled(deepcopy(written), state), shapes),
    )


def resnet20_module(weights: str, shortcuts: str = OWN) -> nn.Module:
    """The module on the meta device, with the shortcuts that the weights need.

    Raises:
        ValueError: If other shortcuts are asked for.
    """
    stored = STORED.get(weights)
    needed = stored.shortcuts if stored else "projection" if shortcuts == OWN else shortcuts
    if shortcuts not in (OWN, needed):
        raise ValueError(f"{FAMILY}: weights={weights} needs shortcuts={needed}, got {shortcuts}")
    with torch.device("meta"):
        return ARCHITECTURES[SHORTCUTS[needed]].make(IMAGE, CLASSES)


def resnet20_state(weights: str, shortcuts: str = OWN) -> dict[str, Tensor]:
    """Weights and batch-norm statistics, trained or random.

    Raises:
        ValueError: If the weight file is damaged, or holds another network.
    """
    model = resnet20_module(weights, shortcuts)
    if weights in STORED:
        return load_state(model, read_weights(data_file(STORED[weights].file)), "ResNet20")
    return initial_state(model, "resnet20-init")


def load_images(split: str, samples: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first images (m, 32, 32, 3) of "train" or "test", and their labels.

    Raises:
        ValueError: If the file cannot be read.
    """
    try:
        with data_file(IMAGES_FILE).open("rb") as stream:
            stored = read_archive(stream, f"x_{split}", f"y_{split}")
    except DAMAGE as failure:
        raise ValueError(f"{IMAGES_FILE} is not there or damaged ({type(failure).__name__})") from failure
    return stored[f"x_{split}"][:samples], stored[f"y_{split}"][:samples]


def unavailable(weights: str) -> str | None:
    """Why the problem cannot be built here, and what to do about it; None when it can."""
    remedy = f"set {DATA_VARIABLE} to the folder that holds it"
    if not os.environ.get(DATA_VARIABLE):
        return f"{IMAGES_FILE} is needed and {DATA_VARIABLE} is not set: {remedy}"
    missing = _trouble(IMAGES_FILE)
    if missing:
        return f"{IMAGES_FILE} {missing}: {remedy}"
    broken = _trouble(STORED[weights].file, weights) if weights in STORED else None
    if broken:
        return f"{STORED[weights].file} {broken}: {remedy}, or use weights=random"
    return None


def _trouble(file: str, weights: str | None = None) -> str | None:
    """What is wrong with a file of the data folder, images or these weights; None when its arrays can be read."""
    if not data_file(file).is_file():
        return f"is not in the folder named by {DATA_VARIABLE}"
    try:
        if weights is None:
            load_images("train", 1)
        else:
            resnet20_state(weights)
    except (OSError, ValueError):
        return f"in the folder named by {DATA_VARIABLE} is damaged"
    return None


RESNET20_CIFAR10: Final = ProblemFamily(
    FAMILY,
    resnet20_problem,
    presets=tuple(f"{FAMILY}[operator={operator}]" for operator in ("hessian", "ggn")),
    summary="curvature of a trained ResNet20 over CIFAR-10 images from HESSBENCH_DATA",
)

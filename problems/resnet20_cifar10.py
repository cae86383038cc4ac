"""The family `resnet20-cifar10`: a trained ResNet20 on real images, from files the user names."""

from __future__ import annotations

import os
import zipfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessbench.dense_references import References
from hessbench.problem import FACTOR, NETWORK, PSD, Problem, ProblemFamily, array_hash
from hessbench.problems.curvature import OPERATORS, curvature_operator
from hessbench.problems.network import Batch, Network
from hessbench.problems.parameters import in_range, one_of, spec_text
from hessbench.problems.references.dense import gram_references
from hessbench.problems.resnet20 import CLASSES, flat_parameters, random_state, resnet20_logits, state_from

FAMILY: Final = "resnet20-cifar10"
DATA_VARIABLE: Final = "HESSBENCH_DATA"
IMAGES_FILE: Final = "cifar10.npz"
WEIGHTS_FILE: Final = "resnet20_cifar10_pyhessian.npz"
WEIGHTS: Final = ("pyhessian", "random")
PARAMETERS: Final = 272_474
MAX_SAMPLES: Final = 7500
GRAM_LIMIT: Final = 2000
ROUNDING: Final = 1000.0
"""Float32 logits of size 20 after 20 layers are off by some 1e-5, and so, relatively, are the softmax's small entries:
measured 600 eps in the largest GGN eigenvalue at 4 samples, 6 eps at 64."""

_MEAN: Final = (0.4914, 0.4822, 0.4465)
_STD: Final = (0.2023, 0.1994, 0.2010)


def resnet20_problem(*, samples: int = 64, operator: str = "hessian", weights: str = "pyhessian") -> Problem:
    """Hessian or GGN of the mean cross-entropy of ResNet20 over the first training images of CIFAR-10.

    All 272,474 parameters, batch norm on stored statistics. Images, and the trained weights, come from the folder
    named by the environment variable HESSBENCH_DATA. References: for `ggn` the exact nonzero spectrum by the Gram
    matrix while 10 samples <= 2000; for `hessian` none, since nothing exact is affordable at this size.

    Args:
        samples: Images, 1 to 7500.
        operator: hessian or ggn.
        weights: pyhessian, trained to 92 % test accuracy, or random, untrained from a seed.

    Raises:
        ValueError: If a parameter is out of range.
    """
    in_range(FAMILY, "samples", samples, 1, MAX_SAMPLES)
    one_of(FAMILY, "operator", operator, OPERATORS)
    one_of(FAMILY, "weights", weights, WEIGHTS)

    def network() -> Network:
        return resnet20_network(samples, weights)

    def fingerprint() -> str:
        """Raw bytes of the files: what the network is made of."""
        state = load_state(weights)
        return array_hash(*load_images("train", samples), *(value.numpy() for value in state.values()))

    exact: References = {}
    if operator == "ggn" and samples * CLASSES <= GRAM_LIMIT:
        exact = gram_references(network, ROUNDING)
    return Problem(
        name=spec_text(FAMILY, resnet20_problem, samples=samples, operator=operator, weights=weights),
        dim=PARAMETERS,
        build=lambda device, dtype: curvature_operator(network().to(device, dtype), operator),
        references=exact,
        traits=(NETWORK, PSD, FACTOR) if operator == "ggn" else (NETWORK,),
        fingerprint=cache(fingerprint),
        unavailable=lambda: unavailable(weights),
        modules=("torch._dynamo",),
    )


def resnet20_network(samples: int, weights: str, split: str = "train") -> Network:
    """The network on the first images of a split, in float32."""
    images, labels = load_images(split, samples)
    state = load_state(weights)
    pixels = torch.as_tensor(images).permute(0, 3, 1, 2).to(torch.float32) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (_MEAN, _STD))
    inputs = ((pixels - mean) / std).contiguous()
    forward = resnet20_logits(state)
    # A vectorised block of convolutions is slower on a CPU than a loop over its columns.
    data = (Batch(inputs, torch.as_tensor(labels, dtype=torch.int64)),)
    return Network(forward, flat_parameters(state), data, batched=False)


def load_images(split: str, samples: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first images (m, 32, 32, 3) of "train" or "test", and their labels."""
    arrays = _read(IMAGES_FILE, (f"x_{split}", f"y_{split}"))
    return arrays[f"x_{split}"][:samples], arrays[f"y_{split}"][:samples]


def load_state(weights: str) -> dict[str, Tensor]:
    """Weights and batch-norm statistics, trained or random."""
    return random_state() if weights == "random" else state_from(_read(WEIGHTS_FILE))


def unavailable(weights: str) -> str | None:
    """Why the problem cannot be built here, and what to do about it; None when it can."""
    remedy = f"set {DATA_VARIABLE} to the folder that holds it"
    if not os.environ.get(DATA_VARIABLE):
        return f"{IMAGES_FILE} is needed and {DATA_VARIABLE} is not set: {remedy}"
    missing = _trouble(IMAGES_FILE)
    if missing:
        return f"{IMAGES_FILE} {missing}: {remedy}"
    broken = _trouble(WEIGHTS_FILE) if weights == "pyhessian" else None
    if broken:
        return f"{WEIGHTS_FILE} {broken}: {remedy}, or use weights=random"
    return None


def _trouble(file: str) -> str | None:
    """What is wrong with a file of the data folder; None when its arrays can be read."""
    if not _path(file).is_file():
        return f"is not in the folder named by {DATA_VARIABLE}"
    try:
        if file == IMAGES_FILE:
            load_images("train", 1)
        else:
            load_state("pyhessian")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return f"in the folder named by {DATA_VARIABLE} is damaged"
    return None


def _read(file: str, names: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """Arrays of a file of the data folder, all of them by default."""
    with _path(file).open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        return {name: stored[name] for name in names or stored.files}


def _path(file: str) -> Path:
    return Path(os.environ.get(DATA_VARIABLE, "")) / file


RESNET20_CIFAR10: Final = ProblemFamily(
    FAMILY,
    resnet20_problem,
    presets=tuple(f"{FAMILY}[operator={operator}]" for operator in OPERATORS),
    summary="Hessian or GGN of a trained ResNet20 over CIFAR-10 images from HESSBENCH_DATA",
)

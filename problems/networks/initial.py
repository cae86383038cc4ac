"""Untrained weights from a seed: what `weights=random` means, and where a training starts."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hessbench.problems.networks.architectures.residual_block import ResidualBlock
from hessbench.seeding import derive_seed

ENDS: float = 3.0
"""How many times smaller the convolution that ends a residual block is drawn: on unit statistics each block then adds a
ninth to the variance rather than doubling it."""


def initial_state(model: nn.Module, *seed_parts: str) -> dict[str, Tensor]:
    """Weights and statistics by name, float32, that keep activations of order 1 on unit batch-norm statistics.

    Convolutions and hidden dense layers are normal of variance 2 / fan-in (1 / fan-in in a module with tanh), their
    biases 0; a convolution that ends a residual block is a third of that in size. A last dense layer is uniform in
    +-1 / sqrt(fan-in), its bias too. Batch norm has scale 1, shift 0, mean 0 and variance 1. The order of the
    draws is that of the state dict. Source of the variance: He et al. 2015, https://doi.org/10.1109/ICCV.2015.123.

    Args:
        model: Gives names and shapes only, and may live on the meta device.
        seed_parts: Texts the seed is derived from; torch's global generator is not used.

    Returns:
        New tensors on the CPU in the order of the state dict, without the counters of batch norm.

    Raises:
        ValueError: If a parameter belongs to a layer of another kind.
    """
    generator = np.random.default_rng(derive_seed(*seed_parts))
    modules = dict(model.named_modules())
    gain = 1 if any(isinstance(module, nn.Tanh) for module in modules.values()) else 2
    last = next((name for name, module in reversed(modules.items()) if isinstance(module, nn.Linear)), None)
    ends = {f"{name}.conv2" for name, module in modules.items() if isinstance(module, ResidualBlock)}
    state: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        owner, _, own = name.rpartition(".")
        if own == "num_batches_tracked":
            continue
        shape = tuple(value.shape)
        values = _drawn(generator, modules[owner], own, shape, gain, owner == last, ENDS if owner in ends else 1.0)
        if values is None:
            raise ValueError(f"no rule says how to draw {name}, which belongs to a {type(modules[owner]).__name__}")
        state[name] = torch.as_tensor(values, dtype=torch.float32)
    return state


def _drawn(
    generator: np.random.Generator,
    module: nn.Module,
    own: str,
    shape: tuple[int, ...],
    gain: int,
    last: bool,
    divisor: float,
) -> NDArray[np.float64] | None:
    """Values of one tensor of a layer; None where there is no rule."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return np.ones(shape) if own in ("weight", "running_var") else np.zeros(shape)
    if isinstance(module, nn.Linear) and last:
        return generator.uniform(-1, 1, shape) * module.in_features**-0.5
    if isinstance(module, nn.Linear | nn.Conv2d):
        if own == "bias":
            return np.zeros(shape)
        return (gain / math.prod(shape[1:])) ** 0.5 / divisor * generator.standard_normal(shape)
    return None

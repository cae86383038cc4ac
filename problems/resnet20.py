"""ResNet20 for 32 x 32 images, with 1 x 1 convolutions in the shortcuts and batch norm at fixed statistics.

The architecture is that of He et al. 2016, section 4.2, https://doi.org/10.1109/CVPR.2016.90, with projection
shortcuts: 272,474 parameters. Batch norm runs on stored statistics, so each sample has a loss of its own; it is then an
affine map per channel and is folded into the convolution before it, which is exact and makes curvature products a
quarter cheaper, the derivatives flowing through the folding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hessbench.problems.network import Forward
from hessbench.seeding import derive_seed

CHANNELS: Final = (16, 32, 64)
BLOCKS: Final = 3
CLASSES: Final = 10


class ResNet20(nn.Module):
    """Images (N, 3, 32, 32) to logits (N, 10), names of weights as in the usual state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _convolution(3, CHANNELS[0], 3, 1)
        self.bn1 = nn.BatchNorm2d(CHANNELS[0])
        self.layer1 = _stage(CHANNELS[0], CHANNELS[0], 1)
        self.layer2 = _stage(CHANNELS[0], CHANNELS[1], 2)
        self.layer3 = _stage(CHANNELS[1], CHANNELS[2], 2)
        self.fc = nn.Linear(CHANNELS[2], CLASSES)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch; every image by itself."""
        x = torch.relu(normalised_convolution(images, self.conv1, self.bn1))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean(dim=(2, 3)))


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, projected where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(before, after, 3, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after, 3, 1)
        self.bn2 = nn.BatchNorm2d(after)
        self.projected = stride != 1
        if self.projected:
            self.downsample = nn.Sequential(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(normalised_convolution(x, self.conv1, self.bn1))
        y = normalised_convolution(y, self.conv2, self.bn2)
        if self.projected:
            convolution, norm = self.downsample
            x = normalised_convolution(x, cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm))
        return torch.relu(y + x)


def normalised_convolution(x: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Convolution, then batch norm on stored statistics, as one convolution with scaled weights and a bias."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("batch norm must keep running statistics")
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    weight = convolution.weight * scale[:, None, None, None]
    bias = norm.bias - mean * scale
    return nn.functional.conv2d(x, weight, bias, convolution.stride, convolution.padding)


def _convolution(before: int, after: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    first = _Block(before, after, stride)
    return nn.Sequential(first, *(_Block(after, after, 1) for _ in range(BLOCKS - 1)))


def random_state() -> dict[str, Tensor]:
    """Untrained weights from a seed, float32; batch norm with scale 1, shift 0 and unit statistics.

    Convolutions are normal with variance 2 / fan-in, those that end a block a third of that in size, so that nine
    blocks with unit batch-norm statistics keep activations of order 1. The last layer is uniform in +-1 / 8.
    """
    generator = np.random.default_rng(derive_seed("resnet20-init"))
    state: dict[str, Tensor] = {}
    for name, shape in state_shapes().items():
        if len(shape) == 4:
            size = (2 / int(np.prod(shape[1:]))) ** 0.5 / (3 if name.endswith("conv2.weight") else 1)
            values = size * generator.standard_normal(shape)
        elif name.startswith("fc."):
            values = generator.uniform(-1, 1, shape) * CHANNELS[-1] ** -0.5
        else:
            values = np.ones(shape) if name.endswith(("weight", "running_var")) else np.zeros(shape)
        state[name] = torch.as_tensor(values, dtype=torch.float32)
    return state


def state_from(arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """Weights and statistics from arrays by name.

    Raises:
        ValueError: If a name is missing or a shape differs.
    """
    state: dict[str, Tensor] = {}
    for name, shape in state_shapes().items():
        if name not in arrays:
            raise ValueError(f"weights of ResNet20 lack the array {name}")
        if arrays[name].shape != shape:
            raise ValueError(f"the array {name} of ResNet20 must have shape {shape}, got {arrays[name].shape}")
        state[name] = torch.as_tensor(arrays[name])
    return state


def state_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of weights and statistics, counters left out."""
    with torch.device("meta"):
        model = ResNet20()
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if value.ndim}


def flat_parameters(state: Mapping[str, Tensor]) -> Tensor:
    """The 272,474 parameters in one vector, in state-dict order, statistics left out."""
    return torch.cat([value.flatten() for name, value in state.items() if "running" not in name])


def resnet20_logits(state: Mapping[str, Tensor]) -> Forward:
    """Logits as a function of flat parameters and images, at the batch-norm statistics of `state`."""
    with torch.device("meta"):
        model = ResNet20()
    trained = {name: value.shape for name, value in state.items() if "running" not in name}
    sizes = [shape.numel() for shape in trained.values()]
    statistics = {name: value for name, value in state.items() if "running" in name}

    def forward(parameters: Tensor, images: Tensor) -> Tensor:
        pieces = parameters.split(sizes)
        weights = {name: piece.view(shape) for (name, shape), piece in zip(trained.items(), pieces, strict=True)}
        buffers = {
            name: value.to(device=parameters.device, dtype=parameters.dtype) for name, value in statistics.items()
        }
        return torch.func.functional_call(model, {**weights, **buffers}, (images,))

    return forward

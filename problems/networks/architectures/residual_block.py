"""Residual networks of basic blocks for small images, with batch norm.

The form is that of He et al. 2016, section 4.2, https://doi.org/10.1109/CVPR.2016.90: a 3 x 3 stem, stages of blocks of
two 3 x 3 convolutions, the side halved and the channels doubled at each stage but the first, a mean over the image and
one dense layer. Where the shape changes, the shortcut is a 1 x 1 convolution with batch norm (projection), or every
second pixel between channels of zeros (padded), which has no parameters.
"""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import Tensor, nn

from hessbench.problems.networks.architectures.batch_norm import normalised_convolution

SHORTCUTS: Final = ("projection", "padded")


class ResNet(nn.Module):
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        channels: Channels of the images.
        widths: Channels of the stages.
        blocks: Blocks of each stage.
        classes: Number of logits.
        shortcuts: projection or padded.
        head: Name of the dense layer, under which weight files keep it.
    """

    def __init__(
        self, channels: int, widths: tuple[int, ...], blocks: int, classes: int, *, shortcuts: str, head: str = "fc"
    ) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, widths[0], 3, 1)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages: Final = tuple(f"layer{number}" for number in range(1, len(widths) + 1))
        for name, before, after in zip(self.stages, (widths[0], *widths), widths, strict=False):
            first = ResidualBlock(before, after, 1 if name == "layer1" else 2, shortcuts)
            rest = (ResidualBlock(after, after, 1, shortcuts) for _ in range(blocks - 1))
            self.add_module(name, nn.Sequential(first, *rest))
        self.head: Final = head
        self.add_module(head, nn.Linear(widths[-1], classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch; on stored statistics every image by itself."""
        x = torch.relu(normalised_convolution(images, self.conv1, self.bn1))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return self.get_submodule(self.head)(x.mean(dim=(2, 3)))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, before: int, after: int, stride: int, shortcuts: str) -> None:
        super().__init__()
        self.conv1 = _convolution(before, after, 3, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after, 3, 1)
        self.bn2 = nn.BatchNorm2d(after)
        changed = stride != 1 or before != after
        self.projected: Final = changed and shortcuts == "projection"
        self.padded: Final = changed and shortcuts == "padded"
        self.stride: Final = stride
        if self.projected:
            self.downsample = nn.Sequential(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """The block's image, (N, after, H / stride, W / stride), sides rounded up."""
        y = torch.relu(normalised_convolution(x, self.conv1, self.bn1))
        y = normalised_convolution(y, self.conv2, self.bn2)
        if self.projected:
            convolution, norm = self.downsample
            x = normalised_convolution(x, cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm))
        elif self.padded:
            x = padded_shortcut(x, y.shape[1], self.stride)
        return torch.relu(y + x)


def padded_shortcut(x: Tensor, channels: int, stride: int) -> Tensor:
    """Every `stride`-th pixel of (N, C, H, W) along both sides, and zero channels, half before and half after."""
    extra = channels - x.shape[1]
    return nn.functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, extra // 2, extra - extra // 2))


def _convolution(before: int, after: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)

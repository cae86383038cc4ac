"""The table of architectures: what a problem names, and how the module is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from torch import nn

from hessbench.problems.networks.architectures.all_cnn_c import all_cnn_c
from hessbench.problems.networks.architectures.cnn_3c3d import cnn_3c3d
from hessbench.problems.networks.architectures.mlp import mlp
from hessbench.problems.networks.architectures.resnet18 import resnet18
from hessbench.problems.networks.architectures.resnet20 import resnet20, resnet20_padded
from hessbench.problems.networks.architectures.vgg import vgg11_bn, vgg16, vgg16_bn

CIFAR: Final = (3, 32, 32)


@dataclass(frozen=True)
class Architecture:
    """A network by name.

    Attributes:
        name: How specs and reports call it.
        make: Module in evaluation mode from the shape (C, H, W) of one input and the number of classes. It refuses what
            it cannot take in one sentence, and leaves torch's global generator as it was; on the meta device it
            allocates nothing.
        input_shape: The one shape its published form takes; None where any, or any that is large enough, serves.
        batched: Whether a block of products is faster in one vectorised pass than in a loop over its columns.
        summary: One line for lists.
    """

    name: str
    make: Callable[..., nn.Module]
    input_shape: tuple[int, ...] | None
    batched: bool
    summary: str


_ALL: Final = (
    Architecture("mlp", mlp, None, True, "dense layers of any widths, tanh or ReLU"),
    Architecture("cnn-3c3d", cnn_3c3d, None, False, "three convolutions, three dense layers; 895,210 for CIFAR-10"),
    Architecture("all-cnn-c", all_cnn_c, None, False, "nine convolutions; 1,387,108 for CIFAR-100"),
    Architecture("resnet20", resnet20, None, False, "ResNet20, projected shortcuts; 272,474 for CIFAR-10"),
    Architecture("resnet20-padded", resnet20_padded, None, False, "ResNet20, padded shortcuts; 269,722 for CIFAR-10"),
    Architecture("resnet18", resnet18, None, False, "ResNet18 for small images; 11,173,962 for CIFAR-10"),
    Architecture("vgg11-bn", vgg11_bn, CIFAR, False, "VGG11 with batch norm; 28,157,706 for CIFAR-10"),
    Architecture("vgg16", vgg16, CIFAR, False, "VGG16 without batch norm; 15,291,300 for CIFAR-100"),
    Architecture("vgg16-bn", vgg16_bn, CIFAR, False, "VGG16 with batch norm; 15,299,748 for CIFAR-100"),
)

ARCHITECTURES: Final[Mapping[str, Architecture]] = MappingProxyType({one.name: one for one in _ALL})
"""Architectures by name."""

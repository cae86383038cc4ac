"""Three convolutions and three dense layers with ReLU: 895,210 parameters for 3 x 32 x 32 images and 10 classes.

Layers and sizes are those of the CIFAR-10 test problem of Schneider, Balles and Hennig 2019, DeepOBS,
https://arxiv.org/abs/1903.05499. A pooling window that begins inside the image and ends beyond it counts, which is
what "same" padding does there to an even side: 32 pixels give 28, 14, 12, 6, 6 and 3.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from torch import nn

from hessbench.problems.networks.architectures.making import check_images, evaluating

LEAST: Final = 16
"""Below it a single pixel is left for the last pooling, which torch refuses."""


def cnn_3c3d(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """Images (C, H, W) to logits: convolutions of 64, 96 and 128 channels, dense layers of 512 and 256 units.

    Args:
        shape: Shape of one image; at least 16 x 16 pixels.
        classes: Number of logits.

    Returns:
        Module in evaluation mode.

    Raises:
        ValueError: If the images are smaller, or the number of classes is below 1.
    """
    check_images("cnn-3c3d", shape, classes, LEAST)
    rows, columns = (_pooled(_pooled(_pooled(side - 4) - 2)) for side in shape[1:])

    def build() -> nn.Sequential:
        return nn.Sequential(
            OrderedDict[str, nn.Module](
                conv1=nn.Conv2d(shape[0], 64, 5),
                relu1=nn.ReLU(),
                pool1=_pool(),
                conv2=nn.Conv2d(64, 96, 3),
                relu2=nn.ReLU(),
                pool2=_pool(),
                conv3=nn.Conv2d(96, 128, 3, padding=1),
                relu3=nn.ReLU(),
                pool3=_pool(),
                flatten=nn.Flatten(),
                fc1=nn.Linear(128 * rows * columns, 512),
                relu4=nn.ReLU(),
                fc2=nn.Linear(512, 256),
                relu5=nn.ReLU(),
                fc3=nn.Linear(256, classes),
            )
        )

    return evaluating(build)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _pooled(side: int) -> int:
    """Outputs along a side: windows of 3 at every second pixel, the last of which may overhang by one."""
    return (side - 2) // 2 + 1

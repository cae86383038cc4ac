"""ResNet18 for small images: four stages of two blocks, 64 to 512 channels, and a 3 x 3 stem without pooling.

With 3 channels it has 11,173,962 parameters for 10 classes and 11,220,132 for 100.
"""

from __future__ import annotations

from typing import Final

from hessbench.problems.networks.architectures.making import check_images, evaluating
from hessbench.problems.networks.architectures.residual_block import ResNet

WIDTHS: Final = (64, 128, 256, 512)
BLOCKS: Final = 2


def resnet18(shape: tuple[int, ...], classes: int) -> ResNet:
    """Images (C, H, W) of any size to logits, with projected shortcuts.

    Args:
        shape: Shape of one image.
        classes: Number of logits.

    Returns:
        Module in evaluation mode; the last layer is `fc`.

    Raises:
        ValueError: If the shape is not that of an image, or the number of classes is below 1.
    """
    check_images("resnet18", shape, classes)
    return evaluating(lambda: ResNet(shape[0], WIDTHS, BLOCKS, classes, shortcuts="projection"))

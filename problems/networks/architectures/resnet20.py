"""ResNet20: three stages of three blocks, 16, 32 and 64 channels.

With 3 channels and 10 classes it has 272,474 parameters when its shortcuts are projected (the form of the weights that
PyHessian ships) and 269,722 when they are padded (the form of the paper, and of akamaster's trained weights, which call
the last layer `linear`).
"""

from __future__ import annotations

from typing import Final

from hessbench.problems.networks.architectures.making import check_images, evaluating
from hessbench.problems.networks.architectures.residual_block import ResNet

WIDTHS: Final = (16, 32, 64)
BLOCKS: Final = 3


def resnet20(shape: tuple[int, ...], classes: int) -> ResNet:
    """Images (C, H, W) of any size to logits, with projected shortcuts.

    Args:
        shape: Shape of one image.
        classes: Number of logits.

    Returns:
        Module in evaluation mode; the last layer is `fc`.

    Raises:
        ValueError: If the shape is not that of an image, or the number of classes is below 1.
    """
    check_images("resnet20", shape, classes)
    return evaluating(lambda: ResNet(shape[0], WIDTHS, BLOCKS, classes, shortcuts="projection"))


def resnet20_padded(shape: tuple[int, ...], classes: int) -> ResNet:
    """Images (C, H, W) of any size to logits, with padded shortcuts, which have no parameters.

    Args:
        shape: Shape of one image.
        classes: Number of logits.

    Returns:
        Module in evaluation mode; the last layer is `linear`.

    Raises:
        ValueError: If the shape is not that of an image, or the number of classes is below 1.
    """
    check_images("resnet20-padded", shape, classes)
    return evaluating(lambda: ResNet(shape[0], WIDTHS, BLOCKS, classes, shortcuts="padded", head="linear"))

"""All-CNN-C: nine convolutions and nothing dense; 1,387,108 parameters for 3 channels and 100 classes.

The architecture is that of Springenberg et al. 2015, table 1, https://arxiv.org/abs/1412.6806, with the ReLU after the
last convolution and the mean over what is left of the image. Convolutions of stride 2 stand where others pool. There is
no dropout: it would make the loss a random function. "Same" padding is one pixel on every side, at stride 2 too.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from hessbench.problems.networks.architectures.making import check_images, evaluating

LEAST: Final = 9
"""Below it nothing is left for the one unpadded convolution, after two halvings."""


class AllCNNC(nn.Module):
    """Images (N, C, H, W) to logits (N, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 96, 3, padding=1)
        self.conv2 = nn.Conv2d(96, 96, 3, padding=1)
        self.conv3 = nn.Conv2d(96, 96, 3, stride=2, padding=1)
        self.conv4 = nn.Conv2d(96, 192, 3, padding=1)
        self.conv5 = nn.Conv2d(192, 192, 3, padding=1)
        self.conv6 = nn.Conv2d(192, 192, 3, stride=2, padding=1)
        self.conv7 = nn.Conv2d(192, 192, 3)
        self.conv8 = nn.Conv2d(192, 192, 1)
        self.conv9 = nn.Conv2d(192, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch; every image by itself."""
        x = images
        for convolution in self.children():
            x = convolution(x).relu()
        return x.mean(dim=(2, 3))


def all_cnn_c(shape: tuple[int, ...], classes: int) -> AllCNNC:
    """Images (C, H, W) to logits.

    Args:
        shape: Shape of one image; at least 9 x 9 pixels.
        classes: Number of logits.

    Returns:
        Module in evaluation mode.

    Raises:
        ValueError: If the images are smaller, or the number of classes is below 1.
    """
    check_images("all-cnn-c", shape, classes, LEAST)
    return evaluating(lambda: AllCNNC(shape[0], classes))

"""VGG11 and VGG16 for images of 32 x 32 pixels, as curvature papers use them.

Columns A and D of Simonyan and Zisserman 2015, table 1, https://arxiv.org/abs/1409.1556: 3 x 3 convolutions with bias
and padding 1, each with ReLU, in five groups, each closed by pooling. What follows differs from paper to paper.

- `vgg11-bn` has 28,157,706 parameters for 10 classes: batch norm after every convolution, and two dense layers of 4096
  units without bias, each with batch norm. It is the network of Papyan, https://arxiv.org/abs/1811.07062.
- `vgg16` has 15,291,300 for 100 classes: two dense layers of 512 units with bias. It is the network of Granziol et al.,
  https://arxiv.org/abs/1912.09656, without their dropout, which would make the loss a random function.
- `vgg16-bn` is the same with batch norm after every convolution: 15,299,748 for 100 classes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from torch import Tensor, nn

from hessbench.problems.networks.architectures.batch_norm import normalised_convolution, normalised_linear
from hessbench.problems.networks.architectures.making import check_images, evaluating

VGG11: Final = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG16: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
LEAST: Final = 32
"""Below it the last group has no pixel left to pool."""


class VGG(nn.Module):
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        shape: Shape (C, H, W) of one image.
        groups: Channels of the convolutions between poolings.
        hidden: Units of the dense layers before the last.
        classes: Number of logits.
        norm: Whether batch norm follows every convolution.
        dense_norm: Whether the hidden dense layers have batch norm in place of a bias.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        groups: tuple[tuple[int, ...], ...],
        hidden: tuple[int, ...],
        classes: int,
        *,
        norm: bool,
        dense_norm: bool = False,
    ) -> None:
        super().__init__()
        starts = (shape[0], *(widths[-1] for widths in groups))
        self.features = nn.Sequential(
            *(
                layer
                for before, widths in zip(starts, groups, strict=False)
                for layer in (*_convolutions((before, *widths), norm=norm), nn.MaxPool2d(2))
            )
        )
        rows, columns = (side // 2 ** len(groups) for side in shape[1:])
        sizes = (starts[-1] * rows * columns, *hidden)
        self.hidden = nn.Sequential(*(_Dense(before, after, norm=dense_norm) for before, after in pairwise(sizes)))
        self.fc = nn.Linear(sizes[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch; on stored statistics every image by itself."""
        return self.fc(self.hidden(self.features(images).flatten(1)))


class _Convolution(nn.Module):
    """A 3 x 3 convolution with bias, batch norm where asked for, and ReLU."""

    def __init__(self, before: int, after: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1)
        self.bn = nn.BatchNorm2d(after) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x) if self.bn is None else normalised_convolution(x, self.conv, self.bn)
        return y.relu()


class _Dense(nn.Module):
    """A dense layer with bias, or with batch norm in its place, and ReLU."""

    def __init__(self, before: int, after: int, *, norm: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(before, after, bias=not norm)
        self.bn = nn.BatchNorm1d(after) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x) if self.bn is None else normalised_linear(x, self.fc, self.bn)
        return y.relu()


def vgg11_bn(shape: tuple[int, ...], classes: int) -> VGG:
    """Images (C, H, W) to logits: eight convolutions and two dense layers of 4096 units, all with batch norm.

    Args:
        shape: Shape of one image; at least 32 x 32 pixels.
        classes: Number of logits.

    Returns:
        Module in evaluation mode.

    Raises:
        ValueError: If the images are smaller, or the number of classes is below 1.
    """
    check_images("vgg11-bn", shape, classes, LEAST)
    return evaluating(lambda: VGG(shape, VGG11, (4096, 4096), classes, norm=True, dense_norm=True))


def vgg16(shape: tuple[int, ...], classes: int) -> VGG:
    """Images (C, H, W) to logits: thirteen convolutions and two dense layers of 512 units, without batch norm.

    Args:
        shape: Shape of one image; at least 32 x 32 pixels.
        classes: Number of logits.

    Returns:
        Module in evaluation mode.

    Raises:
        ValueError: If the images are smaller, or the number of classes is below 1.
    """
    check_images("vgg16", shape, classes, LEAST)
    return evaluating(lambda: VGG(shape, VGG16, (512, 512), classes, norm=False))


def vgg16_bn(shape: tuple[int, ...], classes: int) -> VGG:
    """`vgg16` with batch norm after every convolution; its dense layers have none.

    Args:
        shape: Shape of one image; at least 32 x 32 pixels.
        classes: Number of logits.

    Returns:
        Module in evaluation mode.

    Raises:
        ValueError: If the images are smaller, or the number of classes is below 1.
    """
    check_images("vgg16-bn", shape, classes, LEAST)
    return evaluating(lambda: VGG(shape, VGG16, (512, 512), classes, norm=True))


def _convolutions(widths: tuple[int, ...], *, norm: bool) -> list[_Convolution]:
    return [_Convolution(before, after, norm=norm) for before, after in pairwise(widths)]

"""Images in the shape a network takes: channels repeated, small images enlarged, a margin of zeros."""

from __future__ import annotations

from dataclasses import replace

import torch

from hessbench.problems.data.samples import Samples


def adapted(samples: Samples, shape: tuple[int, int, int]) -> Samples:
    """Fit images to a shape without losing a pixel.

    A grey image is repeated in every channel. Each pixel becomes a square of the largest whole side that fits (8 x 8
    digits in 32 x 32: 4, MNIST in 32 x 32: 1), and zeros are put around the image, the odd one below and to the right.

    Args:
        samples: Images (N, c, h, w).
        shape: Wanted shape (C, H, W), H >= h, W >= w, and C = c or c = 1.

    Raises:
        ValueError: If the images would have to shrink or the channels do not fit.
    """
    channels, height, width = samples.inputs.shape[1:]
    wanted, rows, columns = shape
    if height > rows or width > columns:
        raise ValueError(
            f"images of {height} x {width} do not fit in {rows} x {columns}, and none is shrunk: take a pooled data "
            f"set, such as mnist-7x7, or a network for images of {height} x {width} or more"
        )
    if wanted != channels and (channels != 1 or wanted < 1):
        raise ValueError(f"images with {channels} channels do not fit a network that takes {wanted}")
    side = min(rows // height, columns // width)
    inputs = samples.inputs.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)
    if wanted != channels:
        inputs = inputs.expand(-1, wanted, -1, -1)
    above, left = (rows - side * height) // 2, (columns - side * width) // 2
    margins = (left, columns - side * width - left, above, rows - side * height - above)
    return replace(samples, inputs=torch.nn.functional.pad(inputs, margins))

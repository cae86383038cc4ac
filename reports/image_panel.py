"""Small images in rows and columns, such as eigenfunctions by step: red above zero, blue below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hessbench.estimand.base import Array
from hessbench.reports.writing.drawing import RC, Picture, to_svg, writable
from hessbench.reports.writing.palette import GREY

COLOURS: Final = "RdBu_r"
MOST: Final = 400
"""Images of one panel."""


def draw_image_panel(rows: Mapping[str, Array], *, columns: str = "eigenfunction", title: str = "") -> Picture:
    """A panel of images: a row for each name, a column for each place.

    Each image has a scale of its own, white at zero and the same on both sides; its largest magnitude stands below it.
    So an image and its negative, which stand for the same eigenvector, are negatives of each other.

    Args:
        rows: Images (k, height, width) of each row, as many in all rows; colour images (k, 3, height, width) are shown
            by the mean over their channels.
        columns: What a column is called, with its number after it.
        title: Above all.

    Raises:
        ValueError: If there are none, of different shapes, not finite, or above 400.
    """
    shown = {name: _grey(np.asarray(images, dtype=np.float64)) for name, images in rows.items()}
    shapes = {images.shape for images in shown.values()}
    if len(shapes) != 1:
        raise ValueError(f"rows of as many images of one size are accepted, at least one, got shapes {sorted(shapes)}")
    (count, height, width) = shapes.pop()
    if not 1 <= count * len(shown) <= MOST or not all(np.isfinite(images).all() for images in shown.values()):
        raise ValueError(f"from 1 to {MOST} finite images are accepted, got {count * len(shown)}")
    with style.context(["default", RC]):
        figure = Figure(figsize=(1.35 * count + 0.8, (1.35 * height / width + 0.3) * len(shown) + 0.4))
        figure.set_layout_engine("constrained")
        grid = figure.subplots(len(shown), count, squeeze=False)
        for row, (line, (name, images)) in enumerate(zip(grid, shown.items(), strict=True)):
            for place, (axes, image) in enumerate(zip(line, images, strict=True), 1):
                _draw(axes, image)
                if row == 0:
                    axes.set_title(f"{writable(columns)} {place}", fontsize=8.5)
            line[0].set_ylabel(writable(name), fontsize=8.5)
        if title:
            figure.suptitle(writable(title), fontsize=10)
        return to_svg(figure)


def _grey(images: Array) -> Array:
    """Images (k, height, width).

    Raises:
        ValueError: If they are none.
    """
    found = images.mean(axis=1) if images.ndim == 4 else images
    if found.ndim != 3 or 0 in found.shape:
        raise ValueError(f"images (k, height, width) or (k, channels, height, width) are accepted, got {images.shape}")
    return found


def _draw(axes: Axes, image: Array) -> None:
    size = float(np.abs(image).max()) or 1.0
    axes.imshow(image, cmap=COLOURS, vmin=-size, vmax=size, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_edgecolor(GREY)
    axes.set_xlabel(f"±{size:.2g}", fontsize=7, labelpad=2)

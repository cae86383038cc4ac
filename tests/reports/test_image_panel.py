"""Panels of images: one picture each, the same bytes every time, and what is refused."""

import numpy as np
import pytest

from hessbench.reports.image_panel import draw_image_panel


def rows():
    rng = np.random.default_rng(0)
    return {f"step {step}": rng.standard_normal((6, 7, 7)) for step in (0, 10, 100, 500)}


def test_every_image_of_every_row_is_drawn_and_named():
    picture = draw_image_panel(rows(), title="tangent kernel")
    text = picture.svg.decode()
    assert text.count("<image ") == 24
    assert all(word in text for word in ("step 500", "eigenfunction 6", "tangent kernel"))
    assert len(picture.svg) < 300_000
    assert draw_image_panel(rows(), title="tangent kernel").svg == picture.svg


def test_a_scale_stands_below_each_image():
    text = draw_image_panel({"a": np.full((1, 2, 3), -0.5)}).svg.decode()
    assert "±0.5" in text


@pytest.mark.parametrize(
    "images",
    [{}, {"a": np.ones((2, 3, 3)), "b": np.ones((1, 3, 3))}, {"a": np.ones((3, 3))}, {"a": np.full((1, 2, 2), np.nan)},
     {"a": np.ones((401, 1, 1))}, {"a": np.ones((0, 2, 2))}],
)  # fmt: skip
def test_other_images_are_refused(images):
    with pytest.raises(ValueError, match="are accepted"):
        draw_image_panel(images)

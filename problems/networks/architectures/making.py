"""Making a module: its input compared with what it takes, torch's global generator left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def evaluating(build: Callable[[], AnyModule]) -> AnyModule:
    """Build a module in evaluation mode; the weights torch draws for it leave the global generator untouched."""
    with torch.random.fork_rng(devices=[]):
        return build().eval()


def check_images(who: str, shape: tuple[int, ...], classes: int, least: int = 1) -> None:
    """Refuse what a network of images cannot take.

    Args:
        who: Name of the architecture.
        shape: Shape (C, H, W) of one image.
        classes: Number of outputs.
        least: Least height and width.

    Raises:
        ValueError: Naming the architecture and what it accepts.
    """
    if len(shape) != 3 or min(shape) < 1 or min(shape[1:]) < least:
        raise ValueError(f"{who} takes images (C, H, W) of at least {least} x {least} pixels, got the shape {shape}")
    check_classes(who, classes)


def check_classes(who: str, classes: int) -> None:
    """Refuse a number of outputs below 1.

    Raises:
        ValueError: Naming the architecture.
    """
    if classes < 1:
        raise ValueError(f"{who}: classes must be at least 1, got {classes}")

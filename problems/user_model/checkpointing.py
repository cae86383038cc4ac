"""Activation checkpointing in a model, which cannot be differentiated at parameters that are handed in."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from torch.utils import checkpoint

_FILE: Final = checkpoint.__file__


@contextmanager
def refusing_checkpoints() -> Generator[None]:
    """Refuse calls of `torch.utils.checkpoint`, of either kind, within.

    What it computes again in the backward pass is a call of the module after the parameters that were handed in are
    gone: by the module's own ones, in their dtype and on their device. The reentrant kind, moreover, has no gradient
    where its inputs have none, without a word.

    Cost: a look at every call of a Python function within.

    Raises:
        ValueError: If there was one, whatever else failed.
    """
    before = sys.getprofile()
    seen = False

    def look(frame: FrameType, event: Any, of: Any) -> None:
        nonlocal seen
        code = frame.f_code
        seen |= event == "call" and code.co_filename == _FILE and code.co_name == "checkpoint"
        if before is not None:
            before(frame, event, of)

    failed: Exception | None = None
    sys.setprofile(look)
    try:
        yield
    except ValueError as failure:
        failed = failure
    finally:
        sys.setprofile(before)
    if seen:
        raise ValueError(
            "the model calls torch.utils.checkpoint, which computes activations again with weights of its own where it "
            "is differentiated: call its layers directly (of a model of transformers, gradient_checkpointing_disable()"
            "), which has the same curvature"
        ) from failed
    if failed is not None:
        raise failed

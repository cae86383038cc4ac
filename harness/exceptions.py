"""What went wrong, as a sentence: the first line of a failure, whether memory ran out, and who raised it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import torch

from hessbench.redact import redact

T = TypeVar("T")

_OUT_OF_MEMORY: Final = ("can't allocate memory", "not enough memory", "bad_alloc", "Cannot allocate memory")


def first_line(failure: BaseException, otherwise: str = "") -> str:
    """The first line of what it says; `otherwise`, or the name of its type, where it says nothing."""
    return (str(failure).strip() or otherwise or type(failure).__name__).splitlines()[0]


def named_line(failure: BaseException) -> str:
    """The name of its type and the first line of what it says."""
    return f"{type(failure).__name__}: {failure}".splitlines()[0]


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether it says that memory ran out, on the host or on a device."""
    return isinstance(failure, torch.OutOfMemoryError | MemoryError) or any(
        text in str(failure) for text in _OUT_OF_MEMORY
    )


def asked_of(owner: str, what: str, function: Callable[[], T]) -> T:
    """Call a function that a problem or a method declares.

    Args:
        owner: Such as `method lanczos`, for the message.
        what: Name of the function.
        function: The call.

    Returns:
        What the function returned.

    Raises:
        ValueError: Its own, or one that says what it raised instead.
    """
    try:
        return function()
    except ValueError:
        raise
    except Exception as failure:
        said = first_line(failure, "no message")
        raise ValueError(redact(f"{owner}: {what} raised {type(failure).__name__}: {said}")) from failure

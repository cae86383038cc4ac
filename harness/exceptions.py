"""Functions that a plugin declares about itself: what goes wrong in one is a sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hessbench.redact import redact

T = TypeVar("T")


def asked_of(owner: str, what: str, function: Callable[[], T]) -> T:
    """Call a function that a problem or a method declares.

    Args:
        owner: Such as `method lanczos`, for the message.
        what: Name of the function.
        function: The call.

    Raises:
        ValueError: Its own, or one that says what it raised instead.
    """
    try:
        return function()
    except ValueError:
        raise
    except Exception as failure:
        said = (str(failure).strip() or "no message").splitlines()[0]
        raise ValueError(redact(f"{owner}: {what} raised {type(failure).__name__}: {said}")) from failure

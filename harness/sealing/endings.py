"""How a sealed run ends in the operator's process, other than well."""

from __future__ import annotations

from typing import Final

METHOD_ENDED: Final = 77
"""Exit code of the operator's process where the method's has ended before the run."""


class MethodRaised(Exception):  # noqa: N818 -- says what is the case
    """What a method raised in its own process, already told apart.

    Attributes:
        status: The status of its row.
        reason: Its reason.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class MethodEnded(SystemExit):
    """The method's process has ended: whoever started it says how."""

    def __init__(self) -> None:
        super().__init__(METHOD_ENDED)


class BrokenProtocol(Exception):  # noqa: N818 -- as above
    """Something else than what a method may ask for came from its process."""

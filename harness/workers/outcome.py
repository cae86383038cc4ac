"""What became of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hessbench.estimand.base import Arrays
from hessbench.workers.messages import check_message


@dataclass
class Outcome:
    """What became of a job.

    Attributes:
        job: The job.
        messages: Headers and arrays, in order; the last has `"type": "end"` where the job handed in its result.
        ended: The server's report: `cause`, exit `code`, processes `left_behind`, `tail` of the output.
        matvecs: Products spent, also where the job was killed.
        elapsed_s: From handing the job out to its end.
        damaged: Whether something else than messages came through the job's pipe.
    """

    job: dict[str, Any]
    messages: list[tuple[dict[str, Any], Arrays]] = field(default_factory=list[tuple[dict[str, Any], Arrays]])
    ended: dict[str, Any] = field(default_factory=dict[str, Any])
    matvecs: int = 0
    elapsed_s: float = 0.0
    damaged: bool = False

    def add(self, messages: list[tuple[dict[str, Any], Arrays]]) -> None:
        """Add messages that have arrived.

        Raises:
            ValueError: If one does not fit its type: something else than the job wrote it.
        """
        for message in messages:
            if self.end is not None:
                raise ValueError("a message came after the last one")
            check_message(message[0], self.job)
            self.messages.append(message)

    @property
    def end(self) -> dict[str, Any] | None:
        """The result's last header; None where the process ended without handing it in."""
        header = self.messages[-1][0] if self.messages else {}
        return header if header.get("type") == "end" else None

    def of_type(self, kind: str) -> list[tuple[dict[str, Any], Arrays]]:
        """Messages of one type."""
        return [message for message in self.messages if message[0]["type"] == kind]

"""What a server is told when it is started."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hessbench.ledger.typed_fields import built, plain


@dataclass(frozen=True)
class Setup:
    """What a server needs before its first job, as one argument of its command.

    Attributes:
        parent: Process id of the supervisor.
        plugins: Plugin files.
        modules: Modules imported once, before the first fork.
        spawn: Whether jobs run in a spawned worker, as devices need.
        folder: Empty folder in which methods run.
        sealed: Whether methods may run in processes of their own.
        private: Folder of which these may read nothing; empty where there is none.
    """

    parent: int
    plugins: tuple[str, ...]
    modules: tuple[str, ...]
    spawn: bool
    folder: str
    sealed: bool = False
    private: str = ""

    @property
    def text(self) -> str:
        """The argument."""
        return json.dumps(plain(self))

    @classmethod
    def parse(cls, text: str) -> Setup:
        """Read the argument.

        Raises:
            ValueError: If it is none.
        """
        values: dict[str, Any] = json.loads(text)
        return built(cls, values)

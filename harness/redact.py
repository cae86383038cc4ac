"""What may be written to a ledger: no absolute path, no host name, no control characters."""

from __future__ import annotations

import re
import socket
from typing import Final

_PATH: Final = re.compile(r"(?<![\w.:/])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\:'\"<>|]+[/\\])+([^\s/\\:'\"<>|,;)]*)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
LIMIT: Final = 2000


def redact(text: str) -> str:
    """Cut every absolute path to its last part, hide the host name, drop control characters, bound the length."""
    clean = _CONTROL.sub(" ", _PATH.sub(r"\1", text))
    host = socket.gethostname()
    if len(host) > 3:
        clean = clean.replace(host, "HOST")
    return clean if len(clean) <= LIMIT else f"{clean[:LIMIT]} [cut]"

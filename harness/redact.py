"""What may be written to a ledger: no absolute path, no host or user name, no control characters."""

from __future__ import annotations

import getpass
import re
import socket
from typing import Final

_LINK: Final = r"\bhttps?://\S*"
_QUOTED: Final = r"(?P<quote>['\"])/[^'\"\n]*/(?P<quoted>[^'\"/\n]*)(?P=quote)"
# Not inside of a relative path, but also after an option such as -I; a file:// or a drive goes with the path.
_START: Final = r"(?:(?<![\w./~])|(?<=\s-[A-Za-z]))(?:file://|~|[A-Za-z]:)?"
_PLAIN: Final = _START + r"(?:[/\\]+(?:[^\s/\\:'\"<>|]+[/\\]+)+|/+(?=\w))(?P<last>[^\s/\\:'\"<>|,;)]*)"
_PATH: Final = re.compile(f"(?P<link>{_LINK})|{_QUOTED}|{_PLAIN}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
LIMIT: Final = 2000


def redact(text: str) -> str:
    """Cut every absolute path to its last part, hide host and user name, drop control characters, bound the length.

    Names of fewer than three letters are left, and `root`, which names nobody.
    """
    # Cut first: the search for paths takes time with the square of what looks like one. Some is left for what it cuts.
    clean = _CONTROL.sub(" ", _PATH.sub(_last_part, text[: 2 * LIMIT]))
    host = socket.gethostname()
    for name, stand_in in ((host, "HOST"), (host.partition(".")[0], "HOST"), (_user(), "USER")):
        if len(name) >= 3 and name != "root":
            clean = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", stand_in, clean)
    return clean if len(clean) <= LIMIT and len(text) <= 2 * LIMIT else f"{clean[:LIMIT]} [cut]"


def _last_part(found: re.Match[str]) -> str:
    if found["link"]:
        return found["link"]
    return found["last"] if found["last"] is not None else f"{found['quote']}{found['quoted']}{found['quote']}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without an entry in the system's list
        return ""

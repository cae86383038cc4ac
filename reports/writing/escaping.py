"""Text from plugins, files and exceptions, made safe for each format a report is written in."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
# Marks that reorder what is read; a name holding them can look like another one.
_REORDERING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")
_HTML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "\N{EN DASH}": r"\textendash{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{MICRO SIGN}": r"$\mu$",
}
_FORMULA: Final = ("=", "+", "-", "@")


def clean(text: str) -> str:
    """Put text on one line and replace what is not a character to read: controls, lone surrogates, reordering marks."""
    if text.isprintable():  # none of these characters is, and a table has many texts
        return text
    return "".join(_visible(character) for character in text)


def markdown(text: str) -> str:
    """Escape text for a cell of a Markdown table."""
    escaped = _MARKDOWN.sub(r"\\\1", clean(text))
    return "".join(_HTML.get(character, character) for character in escaped)


def latex(text: str) -> str:
    """Escape text for a cell of a LaTeX table."""
    escaped = "".join(_LATEX.get(character, character) for character in clean(text))
    return re.sub("-(?=-)", "-{}", escaped)  # two hyphens would join into a dash


def csv_text(text: str) -> str:
    """Make text safe for a spreadsheet: a leading = + - or @ gets an apostrophe, so that it is not a formula."""
    cleaned = clean(text)
    return f"'{cleaned}" if cleaned.startswith(_FORMULA) else cleaned


def file_stem(*parts: str, apart: str = "") -> str:
    """A file name without suffix: the readable part of the texts, and a short hash of them and of `apart`."""
    readable = "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:32].strip("-") for part in parts)
    return f"{readable.strip('-') or 'figure'}-{short_hash(*parts, apart)}"


def short_hash(*parts: str) -> str:
    """Eight hex digits of the SHA-256 of the texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:8]


def shorten(text: str, width: int) -> str:
    """Cut text in the middle to at most `width` characters, a short hash keeping cut texts apart.

    Raises:
        ValueError: If `width` leaves no room for the hash.
    """
    if width < 16:
        raise ValueError(f"width must be at least 16, got {width}")
    if len(text) <= width:
        return text
    mark = f"\N{HORIZONTAL ELLIPSIS}{short_hash(text)[:4]}\N{HORIZONTAL ELLIPSIS}"
    left = width - len(mark)
    head = (left + 1) * 2 // 3
    return text[:head] + mark + text[len(text) - (left - head) :]


def _visible(character: str) -> str:
    if character in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    if character in _REORDERING or unicodedata.category(character) in ("Cc", "Cs"):
        return _REPLACEMENT
    return character

"""Where the methods of a ledger come from: the bibliography of a report, with links, and as BibTeX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.reports.writing.escaping import clean

_DOI: Final = re.compile(r"\bdoi:(10\.\d{4,9}/[^\s;,<>\"']+)", re.IGNORECASE)
_ARXIV: Final = re.compile(r"\barXiv:(\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+(?:\.[A-Z]{2})?/\d{7})", re.IGNORECASE)
_URL: Final = re.compile(r"https?://[^\s;,<>\"'\\{}]+")
_LINK: Final = re.compile("|".join((_DOI.pattern, _ARXIV.pattern, _URL.pattern)), re.IGNORECASE)
_YEAR: Final = re.compile(r"\((\d{4})\)")
# Surnames as they begin a citation: "Lanczos, ", "Golub and Welsch, ", "Anderson et al., ", "A, B and C, ".
_NAME: Final = r"(?:(?:van|von|der|de|den|la|le|ter) )*[^\W\d_][\w'\u2019.-]*"
_AUTHORS: Final = re.compile(rf"((?:{_NAME}, )*{_NAME} and {_NAME}|{_NAME} et al\.|{_NAME}), ")
_BIBTEX: Final = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': r"\textquotedbl{}",
}  # fmt: skip


@dataclass(frozen=True)
class CitationPart:
    """A stretch of a citation, and what it links to; an empty link for plain text."""

    text: str
    link: str = ""


@dataclass(frozen=True)
class Work:
    """One cited work, as far as its citation tells.

    Attributes:
        text: The citation as the method has it.
        authors: Surnames, in order; empty where the text does not begin with names.
        title: What follows the names, up to the first comma.
        rest: What follows the title, without the identifiers.
        year: Four digits, or empty.
        doi: Without `doi:`.
        arxiv: Without `arXiv:`.
        url: An address beside the two.
    """

    text: str
    authors: tuple[str, ...]
    title: str
    rest: str
    year: str
    doi: str
    arxiv: str
    url: str


def sources(specs: Iterable[str], citations: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Name and citation of each method that has one, by name.

    Args:
        specs: Specs of methods, as rows have them.
        citations: Citation by name. A ledger holds none, so a method that is no longer known has none either.
    """
    names = {spec.partition("[")[0] for spec in specs}
    return tuple((name, citations[name]) for name in sorted(names) if citations.get(name, "").strip())


def linked(citation: str) -> tuple[CitationPart, ...]:
    """The citation in pieces, each DOI, arXiv number and web address with what it links to."""
    pieces: list[CitationPart] = []
    at = 0
    for match in _LINK.finditer(citation):
        text = match.group().rstrip(".)")
        pieces += [CitationPart(citation[at : match.start()]), CitationPart(text, _target(text))]
        at = match.start() + len(text)
    return tuple(piece for piece in (*pieces, CitationPart(citation[at:])) if piece.text)


def works(citation: str) -> tuple[Work, ...]:
    """The works a citation names, which semicolons part."""
    return tuple(_work(part.strip()) for part in re.split(r"; ", citation) if part.strip())


def bibtex(cited: Sequence[tuple[str, str]]) -> str:
    """The works of the citations as BibTeX entries, each once, by key.

    An entry holds what the citation tells: surnames without initials, the title, year, DOI, arXiv number or address.
    What is neither stands in `howpublished`, and whole in `note` where the text does not begin with names.

    Args:
        cited: Name and citation of each method, as from `sources`.
    """
    methods: dict[str, list[str]] = {}
    known: dict[str, Work] = {}
    for name, citation in cited:
        for work in works(citation):
            place = work.doi or work.arxiv or work.text
            known[place] = max(known.get(place, work), work, key=lambda it: (len(it.title), it.text))
            methods.setdefault(place, []).append(name)
    taken: dict[str, str] = {}
    for place, work in sorted(known.items(), key=lambda it: (_stem(it[1]), it[1].text)):
        stem = _stem(work)
        letters = iter(["", *"abcdefghijklmnopqrstuvwxyz", *(f"-{number}" for number in range(1, len(known) + 1))])
        key = next(stem + letter for letter in letters if stem + letter not in taken)
        taken[key] = _entry(key, work, methods[place])
    return "\n".join(taken.values())


def _target(text: str) -> str:
    """What an identifier links to."""
    if match := _DOI.fullmatch(text):
        return f"https://doi.org/{match[1]}"
    if match := _ARXIV.fullmatch(text):
        return f"https://arxiv.org/abs/{match[1]}"
    return text


def _work(text: str) -> Work:
    links = [piece for piece in linked(text) if piece.link]
    doi = next((match[1] for piece in links if (match := _DOI.fullmatch(piece.text))), "")
    arxiv = next((match[1] for piece in links if (match := _ARXIV.fullmatch(piece.text))), "")
    url = next((piece.link for piece in links if piece.link == piece.text), "")
    year = _YEAR.findall(text)
    plain = "".join("" if piece.link else piece.text for piece in linked(text)).strip(" ,")
    plain = re.sub(r"(?:, )+(?=, |$)", "", plain)
    names = _AUTHORS.match(plain)
    authors = _surnames(names[1]) if names else ()
    title, _, rest = plain[names.end() :].partition(", ") if names else ("", "", "")
    if not rest:  # "Papyan, The full spectrum of deep net Hessians (2018)"
        title = re.sub(r" \(\d{4}\)$", "", title)
    return Work(text, authors if title else (), title, rest, year[-1] if year else "", doi, arxiv, url)


def _surnames(text: str) -> tuple[str, ...]:
    names = re.split(r", | and ", text.removesuffix(" et al."))
    return (*names, "others") if text.endswith(" et al.") else tuple(names)


def _stem(work: Work) -> str:
    """Surname of the first author and the year, in plain letters."""
    first = work.authors[0] if work.authors else "source"
    plain = unicodedata.normalize("NFKD", first).encode("ascii", "ignore").decode()
    return (re.sub(r"[^a-z]", "", plain.lower()) or "source") + work.year


def _entry(key: str, work: Work, methods: Sequence[str]) -> str:
    fields = {"author": " and ".join(map(_escaped, work.authors))} if work.authors else {}
    if work.authors:
        fields |= {"title": f"{{{_escaped(work.title)}}}", "howpublished": _escaped(work.rest)}
    else:
        fields |= {"note": _escaped(work.text)}
    fields |= {"year": work.year, "doi": work.doi, "eprint": work.arxiv}
    if work.arxiv:
        fields["archiveprefix"] = "arXiv"
    fields |= {"url": work.url, "keywords": _escaped(", ".join(sorted(set(methods))))}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}", ""])


def _escaped(text: str) -> str:
    """Text in a field of an entry: no brace or command of its own."""
    return "".join(_BIBTEX.get(character, character) for character in clean(text))

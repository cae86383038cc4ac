"""The bibliography: what a citation links to, and its works as BibTeX."""

import re

import pytest

from hessbench.reports.sources import bibtex, linked, sources, works

LANCZOS = (
    "Lanczos, An iteration method, J. Res. Natl. Bur. Stand. 45 (1950) 255-282, doi:10.6028/jres.045.026; "
    "Sleijpen and van der Vorst, A Jacobi-Davidson iteration method, SIAM J. (1996), arXiv:1901.10159, https://a.b/c"
)


def test_identifiers_link_to_where_they_lead_and_the_text_stays_whole():
    pieces = linked(LANCZOS)
    assert "".join(piece.text for piece in pieces) == LANCZOS
    assert [piece.link for piece in pieces if piece.link] == [
        "https://doi.org/10.6028/jres.045.026", "https://arxiv.org/abs/1901.10159", "https://a.b/c"
    ]  # fmt: skip
    assert linked("(see https://a.b/c.)")[1].text == "https://a.b/c"


@pytest.mark.parametrize("text", ["javascript:alert(1)", "doi:10.1/", 'doi:10.1234/"><script>', "data:text/html,x"])
def test_nothing_else_is_a_link(text):
    assert all(re.match(r"https://(doi\.org/10\.\d{4,}/[^\"<>]+)$", piece.link) for piece in linked(text) if piece.link)


def test_a_work_has_what_its_citation_tells():
    first, second = works(LANCZOS)
    assert (first.authors, first.title, first.year) == (("Lanczos",), "An iteration method", "1950")
    assert (first.rest, first.doi) == ("J. Res. Natl. Bur. Stand. 45 (1950) 255-282", "10.6028/jres.045.026")
    assert second.authors == ("Sleijpen", "van der Vorst")
    assert (second.arxiv, second.url) == ("1901.10159", "https://a.b/c")


def test_an_entry_says_no_more_than_is_known():
    text = bibtex([("mine", "an idea of 50 % & {more}, by nobody")])
    assert text.splitlines() == [
        "@misc{source,", r"  note = {an idea of 50 \% \& \{more\}, by nobody},", "  keywords = {mine},", "}"
    ]  # fmt: skip


def test_one_work_of_two_methods_is_one_entry_and_keys_are_unique():
    text = bibtex([("a", LANCZOS), ("b", "Lanczos, Another (1950)"), ("c", LANCZOS)])
    assert re.findall(r"@misc\{(\w+),", text) == ["lanczos1950", "lanczos1950a", "sleijpen1996"]
    assert "keywords = {a, c}" in text
    assert "author = {Sleijpen and van der Vorst}" in text
    assert bibtex(()) == ""


def test_braces_balance_whatever_the_citation():
    text = bibtex([("x", "}}{\\input{x} \ud800\x00"), ("y", "A, B} and C, {T (2001)")])
    plain = text.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert "\\input" not in text


def test_only_methods_of_the_ledger_are_cited():
    assert sources(["b[x=1]", "a"], {"b": "B (2000)", "c": "C", "a": " "}) == (("b", "B (2000)"),)

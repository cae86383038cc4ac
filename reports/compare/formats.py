"""A comparison as text, Markdown, JSON or one page of HTML that opens from disk."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Final

from hessbench.ledger.record import finite_or_null
from hessbench.reports.compare.differences import Comparison, Judgement, Verdict
from hessbench.reports.compare.judging import judged_name
from hessbench.reports.writing.escaping import clean, markdown
from hessbench.reports.writing.units import ratio

_MOST_ADDED: Final = 5

_JUDGED: Final = ("what", "runs", "ratio", "95 % interval", "p", "p of all tests", "verdict")


def written(comparison: Comparison, form: str) -> str:
    """Write a comparison in one of `FORMATS`.

    Raises:
        ValueError: If it is none of them.
    """
    if form not in FORMATS:
        raise ValueError(f"format takes {', '.join(FORMATS)}, got {form!r}")
    return FORMATS[form](comparison)


def to_text(comparison: Comparison) -> str:
    """Write a comparison as plain text: a summary, the conditions that are not alike, then one line per difference."""
    lines = [headline(comparison)]
    lines += [f"unlike conditions: {clean(said)}" for said in comparison.conditions]
    lines += [clean(": ".join(row)) for row in _rows(comparison)]
    return "\n".join(lines)


def to_markdown(comparison: Comparison) -> str:
    """Write a comparison as Markdown: the summary, a table of differences, and one of the paired tests."""
    parts = [f"**{headline(comparison)}**"]
    if comparison.conditions:
        parts.append("\n".join(f"- unlike conditions: {markdown(said)}" for said in comparison.conditions))
    if comparison.lines:
        parts.append(_markdown_table(("verdict", "where", "what"), _rows(comparison)))
    if comparison.judged:
        parts.append(_markdown_table(_JUDGED, [_cells(it) for it in comparison.judged]))
    parts.append(markdown(_rules(comparison)))
    return "\n\n".join(parts)


def to_json(comparison: Comparison) -> str:
    """Write a comparison as one JSON object, for a script."""
    whole = {
        "regression": comparison.is_regression,
        "verdicts": {verdict.value: comparison.count(verdict) for verdict in Verdict},
        **dataclasses.asdict(comparison),
        "judged": [dataclasses.asdict(it) | {"group": it.group._asdict()} for it in comparison.judged],
    }
    return json.dumps(finite_or_null(whole), indent=1)


def to_html(comparison: Comparison) -> str:
    """Write a comparison as one page that fetches nothing."""
    title = escape(headline(comparison))
    parts = [f"<h1>{title}</h1>"]
    if comparison.conditions:
        items = "".join(f"<li>{escape(clean(said))}</li>" for said in comparison.conditions)
        parts.append(f"<h2>Unlike conditions</h2><ul>{items}</ul>")
    if comparison.lines:
        parts.append("<h2>Differences</h2>" + _html_table(("verdict", "where", "what"), _rows(comparison)))
    if comparison.judged:
        parts.append("<h2>Paired tests</h2>" + _html_table(_JUDGED, [_cells(it) for it in comparison.judged]))
    parts.append(f"<p>{escape(_rules(comparison))}</p>")
    return _PAGE.format(title=title, body="\n".join(parts))


FORMATS: Final[Mapping[str, Callable[[Comparison], str]]] = {
    "text": to_text,
    "markdown": to_markdown,
    "json": to_json,
    "html": to_html,
}


def headline(comparison: Comparison) -> str:
    """How many cells were compared, and how many differences of each kind there are."""
    numbers = [
        f"{number} {verdict.value}" for verdict in Verdict if (number := comparison.count(verdict))
    ]  # fmt: skip
    cells = f"{comparison.compared} cell{'s' * (comparison.compared != 1)} compared"
    return f"{cells}: {', '.join(numbers) if numbers else 'no difference'}"


def _rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The differences to read: many cells that are only in the new ledger are one row."""
    added = comparison.count(Verdict.ADDED)
    shown = [it for it in comparison.lines if it.verdict is not Verdict.ADDED or added <= _MOST_ADDED]
    rows: list[tuple[str, ...]] = [(line.verdict.value, line.where, line.text) for line in shown]
    if added > _MOST_ADDED:
        rows.append((Verdict.ADDED.value, f"{added} cells", "compared with nothing"))
    return rows


def _rules(comparison: Comparison) -> str:
    limits = comparison.thresholds
    if "error" not in limits:
        return f"Seconds count from a factor of {limits.get('seconds', 1):g} on, by ratios within a turn."
    return (
        f"{comparison.unchanged} of {comparison.answers} answers are equal to rounding. An error counts from a factor "
        f"of {limits['error']:g} on, FLOPs from {limits['flops']:g}, memory from {limits['peak_bytes']:g} and 4 MiB; "
        "products and statuses are compared exactly, seconds not at all."
    )


def _cells(judged: Judgement) -> tuple[str, ...]:
    return (
        judged_name(judged), str(judged.runs), ratio(judged.ratio), f"{ratio(judged.low)} to {ratio(judged.high)}",
        f"{judged.p:.2g}", f"{judged.adjusted:.2g}", judged.verdict.value,
    )  # fmt: skip


def _markdown_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(map(markdown, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _html_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr class="{escape(row[0] if head[0] == "verdict" else row[-1]).replace(" ", "-")}">'
        + "".join(f"<td>{escape(clean(cell))}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top; }}
tr.regression td {{ border-left-color: #c33; }}
tr.regression td:first-child {{ border-left: 4px solid #c33; font-weight: 600; }}
tr.improvement td:first-child {{ border-left: 4px solid #2a7; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""

"""`hessbench answer`."""

from __future__ import annotations

import math

import click

from hessbench.cli.selecting import Part, part_options

FORMATS = ("text", "markdown", "csv", "json")
RANKINGS = ("seconds", "products", "gradients", "memory", "passes")


@click.command("answer", epilog="Example: hessbench answer runs/quick --within 1% --by products --estimand trace")
@click.argument("folder")
@click.option("--within", default="10%,1%,0.1%", show_default=True, help="Tolerances: 1% or 0.01, several with commas.")
@click.option("--by", type=click.Choice(RANKINGS), default="seconds", show_default=True, help="What ranks the methods.")
@part_options
@click.option("--format", "format_", type=click.Choice(FORMATS), default="text", show_default=True)
def command(folder: str, within: str, by: str, part: Part, format_: str) -> None:
    """Say which method answers within a tolerance, and what it costs.

    For each problem and estimand, best first: each method at its smallest budget from which on every repeat stays
    within the tolerance, with at least 3 repeats unless it draws no random number. The total is build and own time; the
    memory pass is never charged. With --method, ratios are to the best of the methods chosen.
    """
    # Here, since the tables need pandas: an option that is not accepted is refused before.
    tolerances = parse_tolerances(within)
    from hessbench.ledger.answering import RANKINGS as KNOWN
    from hessbench.ledger.reading import Ledger
    from hessbench.reports.answers import tables, text

    found = part.of(Ledger.read(folder)).answer(tolerances, next(name for name in KNOWN if name == by))
    kept = [answered for answered in found if part.asks(answered.question.estimand)]
    writers = {"text": text.text, "markdown": tables.to_markdown, "csv": tables.csv, "json": tables.as_json}
    click.echo(writers[format_](kept).rstrip("\n"))


def parse_tolerances(text: str) -> tuple[float, ...]:
    """Read tolerances such as `10%,1%` or `0.1,0.01`, the largest first.

    Raises:
        ValueError: If one is not a positive share.
    """
    found: set[float] = set()
    for part in (piece.strip() for piece in text.split(",")):
        is_percent = part.endswith("%")
        try:
            number = float(part.rstrip("%").strip())
        except ValueError:
            number = math.nan
        # Divided and not multiplied: 0.1 % is then the float that 0.001 is.
        share = number / 100 if is_percent else number
        if not 0 < share < math.inf:
            raise ValueError(f"within takes shares above 0 such as 1% or 0.01, with commas between them, got {part!r}")
        if share >= 1 and not is_percent:
            raise ValueError(f"within takes 1% or 0.01 for one percent, got {part!r}: write {part}% or a share below 1")
        found.add(share)
    return tuple(sorted(found, reverse=True))

"""`hessbench operators`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hessbench.catalog import load_catalog
from hessbench.ledger.environment import capture, current_command
from hessbench.problem import Problem
from hessbench.problems.curvature.engines.table import AUTO, ENGINES
from hessbench.problems.networks.network import Network
from hessbench.problems.timing.curvlinops import curvlinops_products
from hessbench.problems.timing.measuring import YARDSTICK, Timing, Way, engine_way, measure
from hessbench.reports.product_times import OPERATOR_COLUMNS, operators_sheet, render_operators
from hessbench.reports.writing.folders import check_folder

DEFAULTS: Final = (
    "digits-mlp", "mlp[activation=relu,data=mnist,per_class=100,weights=random,widths=128-128]", "resnet20-cifar10",
)  # fmt: skip
MATRICES: Final = ("hessian", "ggn")
PEERS: Final = {"curvlinops": curvlinops_products}
SHOWN: Final = frozenset({"matrix", "way", "width", "seconds", "ratio", "over_kept", "setup", "peak_bytes"})
"""Columns that fit a terminal; the page has them all."""

_DTYPES: Final = {"float32": torch.float32, "float64": torch.float64}


@click.command("operators", epilog="Example: hessbench operators digits-mlp --engine rules --out operators")
@click.argument("specs", nargs=-1, metavar="[PROBLEM]...")
@click.option("--device", default="cpu", show_default=True, help="cpu, or cuda.")
@click.option("--dtype", type=click.Choice(tuple(_DTYPES)), default="float32", show_default=True)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=7, show_default=True, help="Interleaved rounds.")
@click.option("--width", "widths", type=click.IntRange(1), multiple=True, default=(1, 16), show_default=True)
@click.option("--engine", "engines", multiple=True, metavar="NAME", help="Engines; auto and two more by default.")
@click.option("--against", type=click.Choice(("peers",)), help="Published libraries that are installed take part.")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with PROBLEMS.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("operators"), show_default=True)
def command(
    specs: tuple[str, ...],
    device: str,
    dtype: str,
    threads: int,
    repeats: int,
    widths: tuple[int, ...],
    engines: tuple[str, ...],
    against: str | None,
    plugins: tuple[str, ...],
    out: Path,
) -> None:
    """Measure products with the Hessian and the GGN of networks beside one gradient, in one run.

    Without a PROBLEM: two perceptrons, and ResNet20 where its images are. Time, ratio to a gradient, FLOPs, memory and
    engine are printed and written as a page.
    """
    where = _device(device)
    ways = _ways(engines, against)
    check_folder(out, "page")  # before minutes of measuring
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    try:
        tempfile.TemporaryDirectory(dir=there).cleanup()
    except OSError as failure:
        raise ValueError(f"out must be in a folder that can be written; {there.name or 'the root'} is not") from failure
    catalog = load_catalog(plugins)
    chosen = [catalog.problem(pick.spec) for text in specs or DEFAULTS for pick in catalog.problems.select(text)]
    console, log = Console(), Console(stderr=True)

    def say(text: str) -> None:
        log.print(text, markup=False, highlight=False, soft_wrap=True)

    torch.set_num_threads(threads)
    facts = capture(where.type)
    rows: list[dict[str, Any]] = []
    for problem in chosen:
        reason = _missing(problem)
        if reason and specs:
            raise ValueError(f"{problem.name}: {reason}")
        if reason:
            say(f"{problem.name} is left out: {reason}")
            continue
        network = _network(problem).to(where, _DTYPES[dtype])
        found = _measured(network, ways, widths, repeats, lambda text, name=problem.name: say(f"{name}: {text}"))
        conditions = {
            "problem": problem.name,
            "dim": network.parameters.numel(),
            "samples": network.num_samples,
            "device": device,
            "dtype": dtype,
            "threads": threads,
        }
        mine = [{**conditions, **asdict(row)} for row in found]
        _print(problem.name, mine, console)
        rows += mine
    path = render_operators(rows, facts, out, current_command())
    console.print(f"page: {path}", markup=False, highlight=False, soft_wrap=True)


def _measured(
    network: Network, ways: Sequence[Way], widths: tuple[int, ...], repeats: int, say: Callable[[str], None]
) -> list[Timing]:
    return [
        row for matrix in MATRICES for row in measure(network, matrix, ways, widths=widths, repeats=repeats, say=say)
    ]


def _ways(engines: tuple[str, ...], against: str | None) -> list[Way]:
    names = engines or (AUTO, YARDSTICK, "double-backward")
    for name in names:
        if name != AUTO and name not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join((AUTO, *ENGINES))}, got {name!r}")
    ways = [engine_way(name) for name in names]
    if against is None:
        return ways
    return [*ways, *(Way(name, make, as_written=True) for name, make in PEERS.items())]


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as failure:
        raise ValueError(f"device must be cpu or cuda, got {name!r}") from failure
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu or cuda, got {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda is asked for, and no CUDA device is available here: use --device cpu")
    return device


def _missing(problem: Problem) -> str | None:
    if problem.network is None:
        return "it is not made of a network, so no gradient is there to compare with"
    return problem.refusal


def _network(problem: Problem) -> Network:
    network = problem.network() if problem.network is not None else None
    if not isinstance(network, Network):
        raise ValueError(f"{problem.name} is not made of a network that can be measured")
    return network


def _print(name: str, rows: Sequence[dict[str, Any]], console: Console) -> None:
    sheet = operators_sheet(rows)
    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    for column in OPERATOR_COLUMNS:
        if column.field in SHOWN:
            table.add_column(column.header, justify="right" if column.is_number else "left")
    for row in sheet.rows:
        kept = [cell for column, cell in zip(OPERATOR_COLUMNS, row, strict=True) if column.field in SHOWN]
        texts = [f"{cell.text} [{cell.note}]" if cell.note else cell.text for cell in kept]
        table.add_row(*map(escape, texts))
    console.print(table)
    for number, note in enumerate(sheet.notes, 1):
        console.print(f"[{number}] {note}", markup=False, highlight=False, soft_wrap=True)

"""`hessbench advise`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click
import psutil
from rich.console import Console

from hessbench.advising.belief import probes_of
from hessbench.advising.choosing import Advice
from hessbench.advising.question import AdviceQuestion, asked_estimand
from hessbench.advising.trials.carrying_out import carry_out
from hessbench.advising.trials.prices import AdvicePrices
from hessbench.advising.trials.session import AdviceSession, advise
from hessbench.advising.trials.setting import AdviceSetting
from hessbench.cli.answer_verb import parse_tolerances
from hessbench.cli.claims_verb import published_pages
from hessbench.cli.conditions import read_conditions
from hessbench.cli.plan_prices import say
from hessbench.cli.quantities import parse_bytes, parse_seconds
from hessbench.cli.spectrum_target import ProblemTarget, find_target
from hessbench.estimand.from_dense import DENSE_LIMIT
from hessbench.reports.advice import outcome, text
from hessbench.reports.advice.evidence import evidence
from hessbench.reports.writing.escaping import file_stem
from hessbench.reports.writing.terminal import print_table, table_console
from hessbench.running.progress import reporter


@click.command(
    "advise", epilog="Example: hessbench advise my_network.py --estimand trace --within 1% --budget 5min --memory 4GiB"
)
@click.argument("target", metavar="PROBLEM|FILE")
@click.option("--estimand", required=True, metavar="SPEC", help="trace, top-eigenvalues[k=10], diagonal or density.")
@click.option("--within", required=True, metavar="SHARE", help="Largest relative error accepted: 1% or 0.01.")
@click.option("--budget", default="5min", show_default=True, help="Time for everything: 30s, 5min, 1h.")
@click.option("--memory", default="none", help="Memory of a run: 500MiB, 4GiB.  [default: what the machine has free]")
@click.option("--pilot", default="10%", show_default=True, help="Share of the budget that the pilot may take.")
@click.option("--go", "goes", is_flag=True, help="Run what is recommended, and say whether the promise held.")
@click.option("--out", metavar="DIR", help="Folder of all runs, resumed if it is there; runs/advise-... by default.")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with METHODS or PROBLEMS.")
@click.option("--device", help="cpu or cuda; cpu by default.")
@click.option("--dtype", help="float32 or float64; float32 by default.")
@click.option("--threads", type=int, help="Threads of the tensor library; 1 by default.")
def command(
    target: str,
    estimand: str,
    within: str,
    budget: str,
    memory: str,
    pilot: str,
    goes: bool,
    out: str | None,
    plugins: tuple[str, ...],
    device: str | None,
    dtype: str | None,
    threads: int | None,
) -> None:
    """Say which method answers a question within a tolerance here, what that takes, and what can be promised of it.

    PROBLEM is a registered problem, FILE a Python file that lists one in PROBLEMS, such as a network of one's own
    (FILE:NAME where there are several). The price of a product and of each method comes first, then a pilot within its
    share of the budget, then the method and budget that are recommended, with what the pilot and the published studies
    say for them. --go runs that; where the answer's own interval is too wide it goes on with larger budgets while there
    is time. Exit code 1 where nothing can be recommended, or a promise is missed.
    """
    share, budget_s = _share(pilot), _seconds(budget)
    (tolerance,) = _one(parse_tolerances(within), within)
    cap = parse_bytes(memory)
    found = find_target(target, plugins)
    if isinstance(found, Path):
        raise ValueError(f"advise takes a problem or a file with one, and {found.name or target} is a folder; "
                         "`hessbench answer` says what the runs in it have shown")  # fmt: skip
    conditions = read_conditions(device, dtype, threads, "none", memory)
    problem = found.catalog.problem(found.spec)
    asked = asked_estimand(estimand, problem.dim)
    room = cap or psutil.virtual_memory().available
    question = AdviceQuestion(problem.name, problem.dim, asked, tolerance, budget_s, room, share)
    folder = Path(out) if out else Path("runs") / f"advise-{file_stem(f'{problem.name}-{asked.spec}')}"
    console, log = table_console(150), Console(stderr=True)
    setting = AdviceSetting(
        question, problem, found.catalog, found.plugins, conditions, folder, partial(say, log), reporter(log)
    )
    say(console, text.asked(question))
    session = advise(setting, partial(_show_prices, console, question))
    _show(console, question, session)
    if session.advice.best is None:
        sys.exit(1)
    if goes:
        _go(console, setting, session, found)
    else:
        say(console, f"\n--go runs it in {folder.name}, with the pilot that is there.")


def _show_prices(console: Console, question: AdviceQuestion, prices: AdvicePrices) -> None:
    _head(console, "Price")
    for line in text.price_lines(question, prices.product):
        say(console, line)
    print_table(console, *text.price_table(question, prices.priced), numbers=(1, 2, 3))


def _show(console: Console, question: AdviceQuestion, session: AdviceSession) -> None:
    advice = session.advice
    _head(console, "Pilot")
    for line in text.pilot_lines(question, session.pilot):
        say(console, line)
    if session.pilot.points:
        known = [it for it in (advice.best, *advice.others) if it is not None]
        print_table(console, *text.pilot_table(session.pilot, known), numbers=(1, 2, 3, 4))
    for line in text.left_out(advice):
        say(console, line)
    _head(console, "Recommendation")
    for line in text.recommendation(advice):
        say(console, line)
    if advice.best is not None:
        _head(console, "Evidence")
        for line in _evidence(advice):
            say(console, line)
    _head(console, "Promise")
    say(console, text.promise(advice))


def _evidence(advice: Advice) -> list[str]:
    best, question = advice.best, advice.question
    if best is None or best.needed.budget is None:
        return []
    candidate = best.needed.candidate
    if candidate.whole:
        return ["It estimates nothing: a study could add nothing to its price."]
    probes = probes_of(candidate, best.needed.budget)
    pages = published_pages()
    return list(evidence(pages[0] if pages else None, candidate.spec, question.estimand, question.within, probes))


def _go(console: Console, setting: AdviceSetting, session: AdviceSession, target: ProblemTarget) -> None:
    _head(console, "Answer")
    # The truth of a problem of one's own is nobody's to compute unasked.
    is_own = bool(target.plugins)
    references = not is_own and (setting.problem.network is None or setting.problem.dim <= DENSE_LIMIT)
    carried = carry_out(setting, session.prices, session.advice, session.left_s, references=references)
    for line in outcome.outcome(session.advice, carried):
        say(console, line)
    say(console, f"All of it is an ordinary run in {setting.folder.name}.")
    if carried.last.point is None or (session.advice.promised and not carried.last.is_within):
        sys.exit(1)


def _head(console: Console, name: str) -> None:
    console.print(f"\n[bold]{name}[/bold]", highlight=False)


def _seconds(text_: str) -> float:
    seconds = parse_seconds(text_)
    if seconds is None:
        raise ValueError("budget takes a time such as 30s, 5min or 1h, got 'none'")
    return seconds


def _share(text_: str) -> float:
    try:
        (share,) = parse_tolerances(text_)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise ValueError(f"pilot takes a share of the budget above 0 and below 100 %, such as 10%, got {text_!r}")
    return share


def _one(found: tuple[float, ...], text_: str) -> tuple[float]:
    if len(found) != 1 or found[0] >= 1:
        raise ValueError(f"within takes one share above 0 and below 100 %, such as 1% or 0.01, got {text_!r}")
    return (found[0],)

"""Attacks by text, drawn by hypothesis from a seed: rows, specs, suites, messages and command lines."""

import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from record_attacks.place import CELLS, CODES, SUITE, Place, demand

from hessbench import Ledger, Suite
from hessbench.catalog import Catalog, load_catalog
from hessbench.cells.messages import Checkpoint
from hessbench.estimand import parse_estimand
from hessbench.ledger.costs import Costs
from hessbench.running.plan import plan
from hessbench.workers.messages import CellJob, Outcome
from hessbench.workers.wire import MESSAGES, Decoder, decode, encode, frame

BATCH = 50
"""Examples of one trial."""


def each(strategy: st.SearchStrategy[Any], check: Callable[[Any], object], seed: random.Random, count: int) -> None:
    """Hold a number of examples against a check; the one that fails is printed as small as it gets."""

    @hypothesis.seed(seed.randrange(2**32))
    @settings(
        max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink], print_blob=False, report_multiple_bugs=False,
    )  # fmt: skip
    @given(strategy)
    def holds(example: Any) -> None:
        try:
            check(example)
        except Exception as failure:
            # The failure alone is printed, and the example is what repeats it.
            raise type(failure)(f"{failure} -- from {str(example)[:300]!r}") from failure

    holds()


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(10**15, 10**40), st.floats(), st.text(max_size=8),
    st.sampled_from(["\ud800", "NaN", "", "../..", "ok", "terminal"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below, max_size=3)
)


def read_or_sentence(out: Path, least: int) -> None:
    try:
        ledger = Ledger.read(out)
    except ValueError as refusal:
        demand(len(str(refusal)) < 600 and re.search(r"\.jsonl, line \d+", str(refusal)), f"no sentence: {refusal}")
        return
    demand(len(ledger.terminals) >= least, f"{len(ledger.terminals)} cells are left of {CELLS}")


def rows(place: Place, chance: random.Random, out: Path) -> None:
    """One field of one row holds another value, or is gone: that row is named, and costs only itself."""
    file = place.copy(out)
    lines = [line for line in file.read_text().splitlines() if line.strip()]
    changes = st.tuples(st.integers(0, len(lines) - 1), st.integers(0, 10**6), st.none() | st.tuples(VALUES))
    texts: list[str] = []

    def check(change: tuple[int, int, tuple[Any] | None]) -> None:
        which, at, value = change
        row = json.loads(lines[which])
        field = sorted(row)[at % len(row)]
        if value is None:
            del row[field]
        else:
            row[field] = value[0]
        texts[:] = lines
        texts[which] = json.dumps(row)
        file.write_text("\n".join(texts))
        read_or_sentence(out, least=CELLS - 1)

    each(changes, check, chance, BATCH)
    if chance.random() < 0.1:
        for verb in ("export", "report", "compare"):
            target = out / ("t.parquet" if verb == "export" else "page")
            more = {"export": ["--format", "parquet", "--out", str(target)], "report": ["--out", str(target)]}
            code, said, _ = place.forked([verb, str(out), *more.get(verb, [])])
            demand(code in (0, 2), f"{verb} ended with {code}: {said[-300:]}")


NAMES = (
    "student-t", "wigner", "diagonal", "spiked-wishart", "digits-mlp", "lanczos", "hutchinson", "block-krylov", "trace",
    "density", "top-eigenvalues",
)  # fmt: skip
KEYS = ("n", "k", "block", "window", "delta", "df", "aspect", "instance", "operator", "seed")
NUMBERS = ("0", "-1", "1", "5", "10", "9" * 30, "9" * 5000, "1e400", "nan", "inf", "0.5", "true", "1:2", "1_0")
ODD = ("=", "[", "]", ",", " ", "x", "\0", "\ud800", "../..", "'", '"', "λ", "\n", "[[", "[]")
PLAIN = st.text(st.characters(exclude_categories=[]), max_size=6)
PAIR = st.tuples(st.sampled_from(KEYS) | PLAIN, st.sampled_from(NUMBERS + NAMES) | PLAIN).map("=".join)
WORD = st.one_of(
    st.sampled_from(NAMES),
    st.builds(lambda name, pairs: f"{name}[{','.join(pairs)}]", st.sampled_from(NAMES), st.lists(PAIR, max_size=3)),
    st.lists(st.sampled_from(NAMES + KEYS + NUMBERS + ODD), max_size=12).map("".join),
)


@cache
def _catalog() -> Catalog:
    return load_catalog()


def refused_or_taken(work: Callable[[], object], given: int = 0) -> None:
    """A refusal may quote what was given."""
    try:
        work()
    except ValueError as refusal:
        demand(len(str(refusal)) < 2000 + 8 * given, f"a refusal without end: {str(refusal)[:200]}")


def specs(place: Place, chance: random.Random, out: Path) -> None:
    """Problems, methods and estimands of odd names and parameters."""
    catalog = _catalog()

    def check(text: str) -> None:
        refused_or_taken(lambda: catalog.problem(text), len(text))
        refused_or_taken(lambda: parse_estimand(text), len(text))
        refused_or_taken(lambda: catalog.method(text, parse_estimand("trace")), len(text))
        refused_or_taken(lambda: catalog.method(text, parse_estimand("top-eigenvalues[k=3]")), len(text))

    each(WORD, check, chance, BATCH)


TOML = st.one_of(
    st.sampled_from(["[]", "-1", "true", "1.5", "nan", "''", "[[1]]", "{a=1}", "9" * 30, "2020-01-01", "", "[" * 3000]),
    st.lists(WORD, max_size=2).map(lambda words: json.dumps(words, ensure_ascii=False)),
    SCALARS.map(lambda value: json.dumps(value, ensure_ascii=False)),
)


def suites(place: Place, chance: random.Random, out: Path) -> None:
    """A suite with some values replaced, lines lost, or text added, read and planned."""
    lines = SUITE.replace('"tiny"', '"student-t[n=50]"').replace('"slow"', '"hutchpp"').splitlines()
    change = st.tuples(st.integers(0, len(lines) - 1), st.sampled_from(["lost", "value", "value", "more"]), TOML)

    def check(changes: list[tuple[int, str, str]]) -> None:
        changed = list(lines)
        for index, how, text in changes:
            kept = f"{changed[index].partition('=')[0]}= " if how == "value" else changed[index]
            changed[index] = "" if how == "lost" else kept + text
        refused_or_taken(lambda: plan(Suite.parse("\n".join(changed), "odd.toml"), _catalog()), len(str(changes)))

    each(st.lists(change, min_size=1, max_size=3), check, chance, BATCH)


COSTS = Costs(matvecs=4, calls=4, counts={"product": 4}, gradient_equivalents=4.0, operator_s=0.1, wall_s=0.2)
MESSAGE = Checkpoint(budget=4, estimand="trace", finite=True, costs=COSTS)


@cache
def _job(suite: Path, plugin: str) -> CellJob:
    return CellJob(plan(Suite.load(suite), load_catalog((plugin,)))[0].cell)


def messages(place: Place, chance: random.Random, out: Path) -> None:
    """What is written into a result pipe, damaged: taken or refused by a ValueError."""
    job = _job(place.suite, str(place.plugin))
    Outcome(job).add([MESSAGE])
    header, _ = encode(MESSAGE)
    framed = frame(MESSAGE)
    places = st.lists(st.tuples(st.integers(0, len(framed) - 1), st.integers(0, 255)), min_size=1, max_size=4)

    def check(drawn: tuple[str, Any, list[tuple[int, int]]]) -> None:
        field, value, hits = drawn
        costs = header["costs"]
        odd = {**header, "costs": {**costs, field: value}} if field in costs else {**header, field: value}
        refused_or_taken(lambda: Outcome(job).add([decode(odd, MESSAGES)]))
        data = bytearray(framed)
        for at, byte in hits:
            data[at] = byte
        refused_or_taken(lambda: Outcome(job).add(Decoder().feed(bytes(data))))

    fields = sorted([*header, *header["costs"]])
    each(st.tuples(st.sampled_from(fields), VALUES, places), check, chance, BATCH)


VERBS = (
    "list", "plan", "run", "report", "compare", "replay", "rescore", "references", "export", "merge", "train", "study",
    "nonsense",
)  # fmt: skip
OPTIONS = (
    "--out", "--plugin", "--threads", "--timeout", "--memory", "--device", "--dtype", "--retry", "--shard", "--jobs",
    "--format", "--estimand", "--nonsense",
)  # fmt: skip
LINES_OF_A_TRIAL = 8


def command_lines(place: Place, chance: random.Random, out: Path) -> None:
    """A verb with odd arguments: ends by itself with one of the exit codes, and refuses in one sentence."""
    near = [str(place.whole), str(out / "new"), str(place.plugin), str(place.suite), "9" * 20, "-1", "", "1/2", "cpu"]
    odd = (WORD | st.sampled_from(near)).filter(lambda text: len(text) < 1000)
    argument = odd.map(lambda text: [text]) | st.tuples(st.sampled_from(OPTIONS), odd).map(list)

    def check(drawn: tuple[str, list[list[str]]]) -> None:
        verb, arguments = drawn
        said = [verb, *(text for some in arguments for text in some), *(["nosuch"] if verb == "run" else [])]
        printable = [text.replace("\0", "").encode(errors="replace").decode() for text in said]
        code, err, _ = place.forked(printable)
        demand(code in CODES, f"ended with {code}: {err[-300:]}")
        # Usage texts are several lines; a refusal of the harness is one.
        demand(code != 2 or err.count("hessbench: ") == 1, f"several refusals, or none: {err[-300:]}")

    out.mkdir()
    each(st.tuples(st.sampled_from(VERBS), st.lists(argument, max_size=4)), check, chance, LINES_OF_A_TRIAL)

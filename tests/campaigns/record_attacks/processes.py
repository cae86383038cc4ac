"""Attacks on the processes of a run: kills, runs at once, what they leave behind, and every hostile method."""

import importlib.util
import os
import random
import signal
import time
from pathlib import Path
from types import ModuleType

from record_attacks.place import CELLS, CODES, Place, below, demand, finished, marked

from hessbench import Ledger

HOSTILE = Path(__file__).parents[2] / "harness" / "plugins" / "hostile.py"
HONEST = ("good", "good-shot", "sleeper")
BUDGET = 8
DAEMON = """
import subprocess, time
import numpy as np
from hessbench import Estimate, Method, Problem, Trace
def daemon(op, /, *, num_matvecs, generator):
    subprocess.Popen(["sleep", "6000.{seed}"], start_new_session=True, close_fds={close}, env={env})
    time.sleep({pause})
    return Estimate(float(op.matmat(np_ones(op)).sum()))
def np_ones(op):
    import torch
    return torch.ones(op.dim, 1, dtype=op.dtype)
METHODS = [Method("daemon", daemon, (Trace,))]
PROBLEMS = [Problem.of("tiny", np.diag(np.arange(1.0, 33.0)))]
"""


def kills(place: Place, chance: random.Random, out: Path) -> None:
    """Main, server, worker or all of them, by three signals, when so many cells are done or the report is begun."""
    rows, whom = chance.randrange(CELLS + 2), chance.choice(["main", "server", "worker", "main and server", "all"])
    how = chance.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    main = place.run(out)
    while main.poll() is None and sum(finished(out).values()) < rows:
        if rows > CELLS and (out / "report").exists():
            break
        time.sleep(0.02)
    time.sleep(chance.random() * 0.05)
    tree = [main.pid, *below(main.pid)]
    chosen = {"main": tree[:1], "server": tree[1:2], "worker": tree[2:3], "main and server": tree[:2], "all": tree}[
        whom
    ]
    for pid in chosen or tree[:1]:
        if main.poll() is None:
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                continue
    code, _ = place.end(main)
    demand(code in (*CODES, -how), f"exit code {code} after {how.name} to {whom}")
    before = finished(out)
    Ledger.read(out) if (out / "ledger").is_dir() else None
    # A cell whose worker was killed has its row, which says so; it is asked for again.
    place.call("run", str(place.suite), *place.run_arguments(out), "--retry", "crash", codes=(0, 1))
    place.completes(out, before)


def at_once(place: Place, chance: random.Random, out: Path) -> None:
    """Two or three runs into one folder."""
    mains = []
    for _ in range(chance.choice([2, 2, 3])):
        mains.append(place.run(out))
        time.sleep(chance.random() * 0.5)
    for main in mains:
        code, said = place.end(main)
        demand(code == 0, f"exit code {code}: {said[-300:]}")
    place.completes(out, finished(out))


def left_behind(place: Place, chance: random.Random, out: Path) -> None:
    """kill -9 of main and server in one instant while a method has a detached child: the next run ends it."""
    seed = f"{os.getpid()}{chance.randrange(10**9):09d}"
    # A child that takes neither the environment nor the open files is told by nothing and is not looked for.
    close = chance.random() < 0.5
    env = "{}" if not close and chance.random() < 0.5 else "None"
    plugin = place.root / "daemon.py"
    suite = place.root / "daemon.toml"
    suite.write_text(place.suite.read_text().replace('["slow", "hutchinson"]', '["daemon"]'))
    plugin.write_text(DAEMON.format(seed=seed, close=close, env=env, pause=60))
    arguments = ["run", str(suite), "--plugin", str(plugin), "--out", str(out), "--no-prices", "--no-report"]
    main = place.start(*arguments)
    while main.poll() is None and not marked(f"6000.{seed}"):
        time.sleep(0.01)
    time.sleep(chance.random() * 0.05)
    tree = [main.pid, *below(main.pid)]
    for pid in tree[: chance.choice([2, 2, 2, 1, len(tree)])]:
        os.kill(pid, signal.SIGKILL)
    place.end(main)
    plugin.write_text(DAEMON.format(seed=seed, close=close, env=env, pause=0))
    place.call(*arguments)
    deadline = time.monotonic() + 20
    while (left := marked(f"6000.{seed}")) and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        demand(not left, f"{len(left)} processes are left behind (close_fds={close}, env={env})")
        demand(len(finished(out)) == CELLS // 2, f"{len(finished(out))} of {CELLS // 2} cells")
    finally:
        for pid in left:
            os.kill(pid, signal.SIGKILL)


def every_hostile(place: Place, chance: random.Random, out: Path) -> None:
    """Every hostile method in one suite, in an order of its own: each has a row, and the honest ones their counts."""
    methods = [method.name for method in _hostile_plugin().METHODS if method.name not in HONEST]
    chance.shuffle(methods)
    _run_hostile(place, chance, out, methods)


def some_hostile(place: Place, chance: random.Random, out: Path) -> None:
    """As `every_hostile`, with six of them."""
    methods = [method.name for method in _hostile_plugin().METHODS if method.name not in HONEST]
    _run_hostile(place, chance, out, chance.sample(methods, 6))


def _run_hostile(place: Place, chance: random.Random, out: Path, methods: list[str]) -> None:
    for name in HONEST:
        methods.insert(chance.randrange(len(methods)), name)
    suite = place.root / "hostile.toml"
    text = place.suite.read_text().replace("[4]", f"[{BUDGET}]").replace("repeats = 3", "repeats = 1")
    suite.write_text(text.replace('["slow", "hutchinson"]', str(methods).replace("'", '"')))
    os.environ |= {"HOSTILE_LOG": str(place.root / "hostile.log"), "HOSTILE_FLAG": str(place.root / "cell")}
    arguments = ("--timeout", "4s", "--memory", "300MiB", "--no-prices", "--plugin", str(HOSTILE), "--out", str(out))
    place.call("run", str(suite), *arguments, codes=(0, 1))
    found = Ledger.read(out)
    rows = {row.method: row for row in found.terminals.values()}
    demand(sorted(rows) == sorted(methods), f"without a row: {sorted(set(methods) - set(rows))}")
    for name in HONEST:
        row = rows[name]
        demand(
            (row.status, row.matvecs, row.calls, row.counts) == ("ok", BUDGET, BUDGET, {"product": BUDGET}),
            f"{name}: {row.status} ({row.reason}), {row.matvecs} products, counts {dict(row.counts)}",
        )
        demand(row.error is not None, f"{name} has no error")
    demand(not found.torn, f"{found.torn} rows are torn")


def _hostile_plugin() -> ModuleType:
    found = importlib.util.spec_from_file_location("hostile_methods", HOSTILE)
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module

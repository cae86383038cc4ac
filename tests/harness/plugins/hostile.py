"""Problems and methods that misbehave in every way a plugin can, beside some that behave."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

import numpy as np
import torch

from hessbench import Estimate, Method, Problem, Reference, Source, Trace
from hessbench.cells.messages import End
from hessbench.ledger.record import Status
from hessbench.operators import FunctionOperator
from hessbench.workers.wire import encode, frame

N = 32


def _matrix():
    half = np.random.default_rng(7).standard_normal((N, N))
    return half + half.T


MATRIX = _matrix()


def _hutchinson(op, num_matvecs, generator):
    total = 0.0
    for step in range(1, num_matvecs + 1):
        probe = torch.randn(op.dim, 1, generator=generator, dtype=op.dtype, device=op.device)
        total += float((probe * op.matmat(probe)).sum())
        yield Estimate(total / step)


# --- methods that behave ---


def good(op, /, *, num_matvecs, generator):
    yield from _hutchinson(op, num_matvecs, generator)


def good_shot(op, /, *, num_matvecs, generator):
    return list(_hutchinson(op, num_matvecs, generator))[-1]


def says_tensors(op, /, *, num_matvecs, generator):
    estimate = list(_hutchinson(op, num_matvecs, generator))[-1]
    return Estimate(
        torch.tensor(estimate.value),
        stderr=torch.tensor(0.5),
        converged=torch.tensor(True),
        diagnostics={"matvecs": torch.tensor(7), "nan": float("nan"), "thing": object()},
    )


def says_much(op, /, *, num_matvecs, generator):
    estimate = list(_hutchinson(op, num_matvecs, generator))[-1]
    many = {f"{number}{'x' * 1000}": "\\" * 20_000 for number in range(1000)}
    return Estimate(estimate.value, diagnostics={"matvecs": "about 12", **many})


def sleeper(op, /, *, num_matvecs, generator):
    time.sleep(float(os.environ.get("HOSTILE_SLEEP", "0.1")))
    yield from _hutchinson(op, num_matvecs, generator)


def logs(op, /, *, num_matvecs, generator):
    """Behaves, and writes a line into a file when it is done."""
    time.sleep(0.05)
    estimates = list(_hutchinson(op, num_matvecs, generator))
    with Path(os.environ["HOSTILE_LOG"]).open("a") as log:
        log.write(f"{os.getpid()}\n")
    yield estimates[-1]


def _once(flag):
    """Sleep for ever the first time, after saying so by a file."""
    told = Path(os.environ["HOSTILE_FLAG"])
    if told.name == flag and not told.exists():
        told.touch()
        time.sleep(600)


def hangs_once(op, /, *, num_matvecs, generator):
    _once("cell")
    yield from _hutchinson(op, num_matvecs, generator)


def witness(op, /, *, num_matvecs, generator):
    """Behaves, and tells which process it ran in and what that process had seen before."""
    seen = getattr(torch, "hostile_witness", 0)
    torch.hostile_witness = seen + 1
    said = {"pid": os.getpid(), "parent": os.getppid(), "seen": seen, "cwd": str(Path.cwd())}
    yield Estimate(float(op.matmat(torch.ones(op.dim, 1, dtype=op.dtype)).sum()), diagnostics=said)


# --- methods that end badly ---


def raises(op, /, *, num_matvecs, generator):
    op.matmat(torch.ones(op.dim, 3, dtype=op.dtype))
    raise RuntimeError("nothing works in /home/someone/secret/place.py")


class NoExceptionError(BaseException):
    pass


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError("not even my name")


def raises_unspeakable(op, /, *, num_matvecs, generator):
    raise UnspeakableError


def raises_base(op, /, *, num_matvecs, generator):
    raise NoExceptionError("not an Exception")


def interrupts(op, /, *, num_matvecs, generator):
    raise KeyboardInterrupt


def loops(op, /, *, num_matvecs, generator):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield Estimate(float(op.matmat(torch.ones(op.dim, 1, dtype=op.dtype)).sum()))
    while True:
        pass


def stops_itself(op, /, *, num_matvecs, generator):
    os.kill(os.getpid(), signal.SIGSTOP)


def exits_at_once(op, /, *, num_matvecs, generator):
    os._exit(0)


def exits(op, /, *, num_matvecs, generator):
    sys.exit(0)


def exits_with_a_word(op, /, *, num_matvecs, generator):
    sys.exit("enough of this")


def exits_hugely(op, /, *, num_matvecs, generator):
    raise SystemExit(2**70)


def segfaults(op, /, *, num_matvecs, generator):
    ctypes.string_at(0)


def signals_itself(op, /, *, num_matvecs, generator):
    os.kill(os.getpid(), signal.SIGRTMIN + 7)


def hoards(op, /, *, num_matvecs, generator):
    kept = []
    while True:
        kept.append(np.ones(1 << 20))
        time.sleep(0.002)


def gulps(op, /, *, num_matvecs, generator):
    kept = torch.ones(1 << 28)
    time.sleep(60)
    return Estimate(float(kept[0]))


def hoards_in_orphans(op, /, *, num_matvecs, generator):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            kept = np.ones(1 << 27)
            time.sleep(120)
            del kept
        os._exit(0)
    time.sleep(60)


def asks_too_much_memory(op, /, *, num_matvecs, generator):
    return Estimate(float(len(bytearray(1 << 50))))


def asks_too_much_tensor(op, /, *, num_matvecs, generator):
    return Estimate(torch.empty(1 << 50))


# --- methods that leave things behind, or spill ---


def forks_sharing(op, /, *, num_matvecs, generator):
    """Children that only share what they were forked with hold nothing of their own."""
    children = [os.fork() for _ in range(1)]
    if children[0] == 0:
        time.sleep(0.4)
        os._exit(0)
    for _ in range(3):
        if os.fork() == 0:
            time.sleep(0.4)
            os._exit(0)
    for _ in range(4):
        os.wait()
    yield from _hutchinson(op, num_matvecs, generator)


def orphans(op, /, *, num_matvecs, generator):
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    yield from _hutchinson(op, num_matvecs, generator)


def daemonises(op, /, *, num_matvecs, generator):
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            os.closerange(0, 256)
            time.sleep(600)
        os._exit(0)
    os.waitpid(child, 0)
    yield from _hutchinson(op, num_matvecs, generator)


def leaves_zombies(op, /, *, num_matvecs, generator):
    child = os.fork()
    if child == 0:
        for _ in range(5):
            if os.fork() == 0:
                time.sleep(0.05)
                os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(0.2)
    yield from _hutchinson(op, num_matvecs, generator)


def comet(op, /, *, num_matvecs, generator):
    """A process that is always another one."""
    if os.fork() == 0:
        os.setsid()
        for _ in range(20000):
            if os.fork():
                os._exit(0)
        os._exit(0)
    yield from _hutchinson(op, num_matvecs, generator)


def prints(op, /, *, num_matvecs, generator):
    for _ in range(64):
        os.write(1, b"o" * (1 << 16))
        os.write(2, b"e" * (1 << 16))
        print("w" * 1000)
    yield from _hutchinson(op, num_matvecs, generator)


def prints_and_dies(op, /, *, num_matvecs, generator):
    print("x" * 5_000_000)
    sys.stderr.write("the very last word\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGABRT)


class _Clinging:
    def __del__(self):
        self.flush()

    def write(self, text):
        return len(text)

    def flush(self):
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        while True:
            time.sleep(1)


def lingers(op, /, *, num_matvecs, generator):
    """Hangs after its result is in."""
    sys.stdout = _Clinging()
    yield from _hutchinson(op, num_matvecs, generator)


def clings(op, /, *, num_matvecs, generator):
    """Hangs while its last estimate is freed."""
    value = list(_hutchinson(op, num_matvecs, generator))[-1].value
    clinging = _Clinging()
    return Estimate(lambda: value if clinging else 0.0)


class _Spiteful:
    def flush(self):
        raise NoExceptionError("spite")


def leaves_in_spite(op, /, *, num_matvecs, generator):
    """Raises what is no Exception from the last thing its process does."""
    sys.stdout = _Spiteful()
    yield from _hutchinson(op, num_matvecs, generator)


def closes_standard_files(op, /, *, num_matvecs, generator):
    os.closerange(0, 3)
    yield from _hutchinson(op, num_matvecs, generator)


def closes_everything(op, /, *, num_matvecs, generator):
    os.closerange(0, 256)
    yield from _hutchinson(op, num_matvecs, generator)


def scribbles(op, /, *, num_matvecs, generator):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"not a message, by any means\n")
        except OSError:
            continue
    yield from _hutchinson(op, num_matvecs, generator)


def _forging(header):
    """A method that writes a well-framed message of its own into every pipe it finds, and then behaves."""

    def forges(op, /, *, num_matvecs, generator):
        text = header.encode()
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, struct.pack(">QQ", len(text), 0) + text)
            except OSError:
                continue
        yield from _hutchinson(op, num_matvecs, generator)

    return forges


END, _ = encode(End(Status.OK))
FORGED = {
    "forges-end": '{"type":"end"}',
    "forges-checkpoint": '{"type":"checkpoint"}',
    "forges-status": json.dumps({**END, "status": "splendid"}),
    "forges-notes": json.dumps({**END, "notes": "x"}),
    "forges-depth": '{"type":' + "[" * 100_000,
    "forges-time": json.dumps({**END, "costs": {**END["costs"], "wall_s": -1583.0}}),
    "forges-spending": json.dumps({**END, "costs": {**END["costs"], "matvecs": 200}}),
    "forges-kind": '{"type":["end"]}',
}


def forges_well(op, /, *, num_matvecs, generator):
    """Says that all is well before anything was done, and ends."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, frame(End(Status.OK)))
        except OSError:
            continue
    os._exit(0)


def truncates(op, /, *, num_matvecs, generator):
    for descriptor in range(3, 64):
        try:
            os.ftruncate(descriptor, 0)
        except OSError:
            continue
    yield from _hutchinson(op, num_matvecs, generator)


def moves(op, /, *, num_matvecs, generator):
    os.chdir("/")
    os.umask(0o777)
    yield from _hutchinson(op, num_matvecs, generator)


def patricide(op, /, *, num_matvecs, generator):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
        os._exit(0)
    os.wait()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


def stops_the_server(op, /, *, num_matvecs, generator):
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(600)


def writes_into_the_ledger(op, /, *, num_matvecs, generator):
    """Appends lines that are no rows, of another schema, of another shape, cut, to every ledger file it is told of."""
    for file in Path(os.environ["HOSTILE_FOLDER"], "ledger").glob("*.jsonl"):
        with file.open("a") as ledger:
            for line in ("[]", "5", "{}", '{"schema":2}', '{"schema":1,"kind":"price"}', "[" * 100_000, "no row"):
                ledger.write(f"{line}\n")
            ledger.write('{"schema":1,"kind":"termi')
    yield from _hutchinson(op, num_matvecs, generator)


def leaves_a_daemon(op, /, *, num_matvecs, generator):
    """Leaves a program with no environment, no file and a session of its own, and kills the server."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 256)
            program = f"{os.environ['HOSTILE_NAME']}; __import__('time').sleep(600)"
            os.execve(sys.executable, [sys.executable, "-c", program], {})
        os._exit(0)
    os.wait()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


def leaves_a_dtype(op, /, *, num_matvecs, generator):
    torch.set_default_dtype(torch.float64)
    yield from _hutchinson(op, num_matvecs, generator)


def patches_the_count(op, /, *, num_matvecs, generator):
    type(op.spending).charge = lambda *_: None
    yield from _hutchinson(op, 1, generator)


def hoards_in_shared_memory(op, /, *, num_matvecs, generator):
    path = Path("/dev/shm") / f"hostile-{os.getpid()}"
    with path.open("wb") as file:
        for _ in range(64):
            file.write(bytes(8 << 20))
            file.flush()
            time.sleep(0.02)
    yield from _hutchinson(op, num_matvecs, generator)


def looks_up(op, /, *, num_matvecs, generator):
    """Looks for the truth in the frames above it."""
    frame, known = sys._getframe(), 0
    while frame is not None:
        found = [*frame.f_locals.values(), *(vars(frame.f_locals["self"]).values() if "self" in frame.f_locals else ())]
        known += sum(len(value.references) for value in found if isinstance(value, Problem))
        frame = frame.f_back
    estimate = list(_hutchinson(op, num_matvecs, generator))[-1]
    return Estimate(estimate.value, diagnostics={"known": known})


# --- methods whose answers are wrong ---


def nan(op, /, *, num_matvecs, generator):
    op.matmat(torch.ones(op.dim, 1, dtype=op.dtype))
    return Estimate(float("nan"))


def diverges(op, /, *, num_matvecs, generator):
    """Multiplies what is not finite itself: the operator is not to blame."""
    x = torch.full((op.dim, 1), float("nan"), dtype=op.dtype)
    for _ in range(num_matvecs):
        x = op.matmat(x)
    return Estimate(float(x.sum()))


def wrong_type(op, /, *, num_matvecs, generator):
    return 3.0


def yields_wrong_type(op, /, *, num_matvecs, generator):
    yield Estimate(1.0)
    yield "two"


def wrong_shape(op, /, *, num_matvecs, generator):
    return Estimate(torch.ones(op.dim, 3))


def wrong_value(op, /, *, num_matvecs, generator):
    return Estimate({"trace": 3})


def empty(op, /, *, num_matvecs, generator):
    yield from ()


def mutates(op, /, *, num_matvecs, generator):
    for cell in op._inner._function.__closure__:
        if isinstance(cell.cell_contents, torch.Tensor):
            cell.cell_contents.mul_(2)
    yield from _hutchinson(op, num_matvecs, generator)


def greedy(op, /, *, num_matvecs, generator):
    yield from _hutchinson(op, num_matvecs - 1, generator)
    op.matmat(torch.ones(op.dim, 2, dtype=op.dtype))


def greedy_at_once(op, /, *, num_matvecs, generator):
    op.matmat(torch.ones(op.dim, num_matvecs + 1, dtype=op.dtype))
    return Estimate(1.0)


def bad_footprint(op, /, *, num_matvecs, generator):
    yield from _hutchinson(op, num_matvecs, generator)


def bad_widths(op, /, *, num_matvecs, generator):
    yield from _hutchinson(op, num_matvecs, generator)


_TRACES = [
    good, good_shot, says_tensors, sleeper, logs, hangs_once, witness, raises, raises_unspeakable, raises_base,
    interrupts,
    loops, stops_itself, exits_at_once, exits, exits_with_a_word, exits_hugely, segfaults, signals_itself,
    hoards, gulps, hoards_in_orphans, asks_too_much_memory, asks_too_much_tensor, forks_sharing, orphans,
    daemonises, leaves_zombies, comet, prints, prints_and_dies, lingers, clings, leaves_in_spite,
    closes_standard_files, closes_everything, scribbles, truncates, moves, patricide, nan, diverges,
    stops_the_server, leaves_a_dtype, patches_the_count, hoards_in_shared_memory, looks_up,
    writes_into_the_ledger, leaves_a_daemon,
    wrong_type, yields_wrong_type, wrong_shape, wrong_value, empty, mutates, greedy, greedy_at_once,
]  # fmt: skip

METHODS = [Method(run.__name__.replace("_", "-"), run, (Trace,)) for run in _TRACES]
METHODS += [
    Method("bad-footprint", bad_footprint, (Trace,), footprint=lambda dim, num_matvecs: 1 / 0),
    *(Method(name, _forging(header), (Trace,)) for name, header in FORGED.items()),
    Method("forges-well", forges_well, (Trace,)),
    Method("says-much", says_much, (Trace,)),
    Method("bad-widths", bad_widths, (Trace,), block_widths=lambda num_matvecs: (1, "two")),
]


# --- operators that misbehave ---


class _Nth:
    """Behaves as the matrix until the call of that number."""

    def __init__(self, bad, first=0):
        self._bad = bad
        self._first = first
        self._calls = 0

    def __call__(self, block):
        self._calls += 1
        product = torch.as_tensor(MATRIX, dtype=block.dtype) @ block
        return self._bad(block, product) if self._calls > self._first else product


def _operator_problem(name, bad, first=0):
    def build(device, dtype):
        return FunctionOperator(_Nth(bad, first), N, dtype, device)

    truth = Reference({"trace": np.array([np.trace(MATRIX)]), "abs_sum": np.array([1.0])}, Source.DENSE, 1.0)
    return Problem(name, N, build, references={Trace: lambda _: truth})


def _raise(block, product):
    raise ArithmeticError("the operator gives up")


# Two calls of the warm-up and the witness come first; then the run begins.
IN_THE_RUN = 6

BAD_OPERATORS = {
    "nan": lambda block, product: product * float("nan"),
    "shape": lambda block, product: product[1:],
    "dtype": lambda block, product: product.to(torch.float16),
    "type": lambda block, product: product.numpy(),
    "raises": _raise,
}

PROBLEMS = [
    Problem.of("tiny", MATRIX),
    Problem.of("tiny-too", MATRIX @ MATRIX),
    *(_operator_problem(f"{name}-at-once", bad) for name, bad in BAD_OPERATORS.items()),
    *(_operator_problem(f"{name}-in-the-run", bad, IN_THE_RUN) for name, bad in BAD_OPERATORS.items()),
    _operator_problem("not-symmetric", lambda block, product: product + torch.roll(block, 1, 0)),
    _operator_problem("not-linear", lambda block, product: product * (1 + 0 * product) + block.abs()),
]


def _cannot_build(device, dtype):
    raise OSError("the weights are not there")


def _wrong_dim(device, dtype):
    return FunctionOperator(lambda block: block, N + 1, dtype, device)


def _dying_reference(_):
    os._exit(3)


def _odd_reference(_):
    return Reference({"nothing": np.ones(2)}, Source.DENSE, 1.0)


def _raising_reference(_):
    raise RuntimeError("no truth today")


def _slow_reference(_):
    _once("reference")
    return Reference({"trace": np.array([float(N)]), "abs_sum": np.array([float(N)])}, Source.ANALYTIC, 1.0)


def _identity(device, dtype):
    return FunctionOperator(lambda block: block.clone(), N, dtype, device)


PROBLEMS += [
    Problem("cannot-build", N, _cannot_build),
    Problem("wrong-dim", N, _wrong_dim),
    Problem("dying-reference", N, _identity, references={Trace: _dying_reference}),
    Problem("odd-reference", N, _identity, references={Trace: _odd_reference}),
    Problem("raising-reference", N, _identity, references={Trace: _raising_reference}),
    Problem("slow-reference", N, _identity, references={Trace: _slow_reference}),
    Problem("no-reference", N, _identity),
]

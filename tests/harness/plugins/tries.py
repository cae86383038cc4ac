"""Methods that try to reach their operator, its count or the truth: `answer` is all they want, a trace at no cost.

Unsealed each of them succeeds, or would with a few lines more.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
from pathlib import Path

import torch

from hessbench import Estimate, Method, Trace
from hessbench.counting import CountingOperator
from hessbench.operators import to_dense
from hessbench.spending import Spending

RUN = ""
"""Folder of the run; a test writes it in."""


class NotReachedError(Exception):
    """The try did not come to anything."""


def _trace(op):
    return Estimate(float(to_dense(op).trace()))


def _inside(thing, depth=4):
    """What multiplies inside of something."""
    for name in ("_inner", "_op", "_far", "_line"):
        with contextlib.suppress(AttributeError):
            inner = getattr(thing, name)
            return _inside(inner, depth - 1) if depth and hasattr(inner, "_inner") else inner
    raise NotReachedError("there is nothing inside")


def reads_the_inner(op, /, *, num_matvecs, generator):
    return _trace(op._inner._inner)


def walks_the_heap(op, /, *, num_matvecs, generator):
    found = [
        x for x in gc.get_objects() if hasattr(type(x), "matmat") and getattr(x, "dim", 0) == op.dim and x is not op
    ]
    found = [x for x in found if not isinstance(x, CountingOperator)]
    if not found:
        raise NotReachedError("no operator lies in this process")
    return _trace(found[0])


def walks_the_frames(op, /, *, num_matvecs, generator):
    frame = sys._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()):
            if hasattr(type(value), "matmat") and not isinstance(value, (CountingOperator, type(op))):
                return _trace(value)
        frame = frame.f_back
    raise NotReachedError("no operator is in the frames")


def patches_the_class(op, /, *, num_matvecs, generator):
    CountingOperator.matmat = lambda self, block: self._matmat(block)
    return _trace(op)


def patches_the_charge(op, /, *, num_matvecs, generator):
    Spending.charge = lambda *_: None
    return _trace(op)


def resets_the_count(op, /, *, num_matvecs, generator):
    total = 0.0
    for start in range(0, op.dim, num_matvecs):
        block = torch.zeros(op.dim, min(num_matvecs, op.dim - start), dtype=op.dtype)
        places = torch.arange(block.shape[1])
        block[start + places, places] = 1
        total += float(op.matmat(block)[start + places, places].sum())
        op.spending.matvecs = 0
    return Estimate(total)


def raises_the_budget(op, /, *, num_matvecs, generator):
    op.spending.num_matvecs = None
    estimate = _trace(op)
    op.spending.matvecs = 0
    return estimate


def imports_the_problem(op, /, *, num_matvecs, generator):
    from hessbench.problems.spectra.synthetic import STUDENT_T

    problem = STUDENT_T.problem(f"student-t[n={op.dim}]")
    return Estimate(float(problem.references[Trace](Trace()).arrays["trace"][0]))


def looks_the_problem_up(op, /, *, num_matvecs, generator):
    from hessbench.catalog import load_catalog

    problem = load_catalog().problem(f"student-t[n={op.dim}]")
    return Estimate(float(problem.references[Trace](Trace()).arrays["trace"][0]))


def reads_the_source(op, /, *, num_matvecs, generator):
    import hessbench

    text = (Path(hessbench.__file__).parent / "problems" / "spectra" / "synthetic.py").read_text()
    return Estimate(float(len(text)))


def _read_all(paths):
    for path in paths:
        with contextlib.suppress(OSError):
            data = Path(path).read_bytes()
            if data:
                return data
    raise NotReachedError("nothing of it can be read")


def reads_the_run(op, /, *, num_matvecs, generator):
    return Estimate(float(len(_read_all([*Path(RUN).rglob("*"), *Path(RUN, "ledger").iterdir()]))))


def reads_the_caches(op, /, *, num_matvecs, generator):
    folders = [os.environ[name] for name in ("HESSBENCH_CACHE", "HESSBENCH_DATA") if name in os.environ]
    return Estimate(float(len(_read_all(path for folder in folders for path in Path(folder).rglob("*")))))


def reads_the_command(op, /, *, num_matvecs, generator):
    return Estimate(float(len(_read_all(f"/proc/{pid}/cmdline" for pid in _others()))))


def reads_the_environment(op, /, *, num_matvecs, generator):
    return Estimate(float(len(_read_all(f"/proc/{pid}/environ" for pid in _others()))))


def reads_open_files(op, /, *, num_matvecs, generator):
    for pid in _others():
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                return Estimate(float(len(str(link.readlink()))))
    raise NotReachedError("no open file of another process can be seen")


def _others():
    """Processes above and around this one, guessed by number where they cannot be listed."""
    here = os.getpid()
    return [pid for pid in {os.getppid(), *range(max(here - 60, 2), here + 60)} if pid != here]


def reads_memory(op, /, *, num_matvecs, generator):
    for pid in _others():
        with contextlib.suppress(OSError), Path(f"/proc/{pid}/mem").open("rb") as memory:
            memory.seek(id(op))
            return Estimate(float(len(memory.read(1))))
    raise NotReachedError("no memory can be read")


def traces_a_process(op, /, *, num_matvecs, generator):
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in _others():
        # PTRACE_SEIZE, which stops nothing.
        if libc.ptrace(0x4206, pid, 0, 0) == 0:
            libc.ptrace(17, pid, 0, 0)
            return Estimate(1.0)
    raise NotReachedError("no process can be traced")


def kills_the_others(op, /, *, num_matvecs, generator):
    for pid in (os.getppid(), *_others()):
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            raise AssertionError("another process can be signalled")
    raise NotReachedError("no process can be signalled")


def calls_out(op, /, *, num_matvecs, generator):
    with socket.create_server(("127.0.0.1", 0)):
        return Estimate(1.0)


def copies_the_network(op, /, *, num_matvecs, generator):
    copy = op.network_copy()
    return Estimate(float(sum(p.numel() for p in copy.parameters)))


def _door(op):
    return op._far._line._channel


def asks_for_more(op, /, *, num_matvecs, generator):
    """Asks the operator's process for what nobody may call."""
    return Estimate(float(op._far.call(0, "_inner")))


def asks_an_object_never_handed_out(op, /, *, num_matvecs, generator):
    return Estimate(float(op._far.call(7, "matmat", torch.ones(op.dim, 1))))


def charges_less_than_nothing(op, /, *, num_matvecs, generator):
    op._far.call(0, "charge", "product", -num_matvecs, 0, 0)
    return _trace(op)


def scribbles_on_the_line(op, /, *, num_matvecs, generator):
    _door(op).sendall(b"\x00\x00\x00\x04null" + b"no message" * 100)
    return _trace(op)


def sends_a_pickle(op, /, *, num_matvecs, generator):
    import json
    import struct

    text = json.dumps({"say": "evaluated", "estimate": {"fields": {"value": {"pickle": "gASVHAAAAAAAAACMBXBvc2l4"}}}})
    yield Estimate(0.0)
    _door(op).sendall(struct.pack(">I", len(text)) + text.encode())
    yield Estimate(0.0)


def points_outside(op, /, *, num_matvecs, generator):
    """Says that its block lies where no shared memory is."""
    op._far._line._write({"do": "call", "on": 0, "name": "matmat", "with": {"tuple": [{"tensor": 0}]},
                          "layouts": [["float32", [op.dim, 1], [1, 1], 1 << 40]]}, [])  # fmt: skip
    said, _ = op._far._line.receive()
    return Estimate(float(len(said)))


def forges_an_end(op, /, *, num_matvecs, generator):
    from hessbench.cells.messages import End
    from hessbench.ledger.record import Status
    from hessbench.workers.wire import frame

    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, frame(End(Status.OK)))
    os._exit(0)


def forks_a_helper(op, /, *, num_matvecs, generator):
    """Multiplies in a child, whose products nobody would count."""
    if os.fork() == 0:
        code = 1
        try:
            op.matmat(torch.ones(op.dim, 1))
            code = 0
        finally:
            os._exit(code)
    if os.wait()[1]:
        raise NotReachedError("a child cannot multiply")
    return Estimate(1.0)


def remembers(op, /, *, num_matvecs, generator):
    """Multiplies in one cell and keeps the answer for the next."""
    kept = Path(__file__).with_name("kept")
    kept.write_text("1")
    return Estimate(1.0)


def honest(op, /, *, num_matvecs, generator):
    total = 0.0
    for step in range(1, num_matvecs + 1):
        probe = torch.randn(op.dim, 1, generator=generator, dtype=op.dtype, device=op.device)
        total += float((probe * op.matmat(probe)).sum())
        yield Estimate(total / step)


def kills_itself(op, /, *, num_matvecs, generator):
    op.matmat(torch.ones(op.dim, 3, dtype=op.dtype))
    os.kill(os.getpid(), signal.SIGKILL)


def exits(op, /, *, num_matvecs, generator):
    sys.exit("enough of this")


def hangs(op, /, *, num_matvecs, generator):
    yield Estimate(float(op.matmat(torch.ones(op.dim, 1, dtype=op.dtype)).sum()))
    while True:
        signal.pause()


def hangs_on_leaving(op, /, *, num_matvecs, generator):
    import atexit

    atexit.register(signal.pause)
    yield from honest(op, num_matvecs=num_matvecs, generator=generator)


def leaves_children(op, /, *, num_matvecs, generator):
    if os.fork() == 0:
        os.setsid()
        signal.pause()
    yield from honest(op, num_matvecs=num_matvecs, generator=generator)


def prints(op, /, *, num_matvecs, generator):
    print("x" * 3_000_000)
    os.write(2, b"e" * (1 << 16))
    yield from honest(op, num_matvecs=num_matvecs, generator=generator)


def closes_everything(op, /, *, num_matvecs, generator):
    os.closerange(0, 256)
    yield from honest(op, num_matvecs=num_matvecs, generator=generator)


def hoards(op, /, *, num_matvecs, generator):
    return Estimate(float(torch.ones(1 << 28).sum()))


def repeats_one_column(op, /, *, num_matvecs, generator):
    """Asks for more products than could ever be stored, of a column that takes no room."""
    block = torch.zeros(op.dim, 1).expand(op.dim, 1 << 34)
    return Estimate(float(op.matmat(block).sum()))


def greedy(op, /, *, num_matvecs, generator):
    for step in range(1, num_matvecs):
        yield Estimate(float(op.matmat(torch.ones(op.dim, 1, dtype=op.dtype)).sum()) + step)
    op.matmat(torch.ones(op.dim, 2, dtype=op.dtype))


def wrong_type(op, /, *, num_matvecs, generator):
    return 3.0


def hands_back_a_thing(op, /, *, num_matvecs, generator):
    return Estimate(object())


def knows(op, /, *, num_matvecs, generator):
    """Says all that its process is told."""
    said = {"id": op.id, "traits": len(op.traits), "seed": generator.initial_seed(), "cwd": str(Path.cwd())}
    names = ", ".join(sorted(name for name in os.environ if name.startswith("HESSBENCH")))
    op.matmat(torch.ones(op.dim, 1, dtype=op.dtype))
    yield Estimate(1.0, diagnostics={**said, "names": names, "argv": " ".join(sys.argv)})


TRIES = [
    reads_the_inner, walks_the_heap, walks_the_frames, patches_the_class, patches_the_charge, resets_the_count,
    raises_the_budget, imports_the_problem, looks_the_problem_up, reads_the_source, reads_the_run, reads_the_caches,
    reads_the_command, reads_the_environment, reads_open_files, reads_memory, traces_a_process, kills_the_others,
    calls_out, copies_the_network, asks_for_more, asks_an_object_never_handed_out, charges_less_than_nothing,
    scribbles_on_the_line, sends_a_pickle, points_outside, forges_an_end, forks_a_helper, remembers,
]  # fmt: skip
_OTHERS = [
    honest, kills_itself, exits, hangs, hangs_on_leaving, leaves_children, prints, closes_everything, hoards,
    repeats_one_column, greedy, wrong_type, hands_back_a_thing, knows,
]  # fmt: skip
METHODS = [Method(run.__name__.replace("_", "-"), run, (Trace,)) for run in (*TRIES, *_OTHERS)]
METHODS += [Method("takes-a-network", copies_the_network, (Trace,), requires=("network",))]

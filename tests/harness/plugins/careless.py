"""A plugin whose functions about itself fail, beside one method and one problem that are sound."""

import numpy as np

from hessbench import Estimate, Method, Problem, Trace
from hessbench.problem import ProblemFamily


def run(op, /, *, num_matvecs, generator):
    return Estimate(float(op.matmat(np_ones(op)).sum()))


def np_ones(op):
    import torch

    return torch.ones(op.dim, 1, dtype=op.dtype)


def fails(*_, **__):
    raise TypeError("not today")


def tiny(name, **facts):
    problem = Problem.of(name, np.eye(8))
    return Problem(problem.name, problem.dim, problem.build, problem.references, **facts)


METHODS = [
    Method("sound", run, (Trace,)),
    Method("least-fails", run, (Trace,), min_matvecs=fails),
    Method("least-is-text", run, (Trace,), min_matvecs=lambda dim, **_: "five"),
    Method("refuses-fails", run, (Trace,), refuses=fails),
]
PROBLEMS = [
    tiny("even"),
    tiny("unavailable-fails", unavailable=fails),
    tiny("prepare-fails", unavailable=lambda: "not here yet", prepare=fails),
    tiny("ladder-fails", ladder=fails),
    ProblemFamily("family-fails", fails),
    ProblemFamily("family-is-five", lambda: 5),
]

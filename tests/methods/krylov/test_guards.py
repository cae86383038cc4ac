"""What a guard reads: of the basis as often as `operations` says, and off the host nothing from the device."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hessbench.estimand import TopEigenvalues
from hessbench.methods.krylov.guards import Full
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.restarted import thick_restart_steps
from hessbench.operators import FunctionOperator
from hessbench.seeding import make_generator

N, STEPS = 50, 20


class Reads(TorchDispatchMode):
    """Rows read by products with a basis, other vectors of length n worked on, and numbers asked for by the host."""

    def __init__(self):
        super().__init__()
        self.rows = self.vectors = 0
        self.names = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func.overloadpacket).removeprefix("aten.")
        self.names[name] += 1
        if name in ("mv", "addmv_"):
            self.rows += next(len(x) if name == "mv" else x.shape[1] for x in args if x.dim() == 2)
        elif name in ("div", "dot", "addcmul", "addcmul_", "linalg_vector_norm") and args[0].numel() == N:
            self.vectors += 1
        return func(*args, **(kwargs or {}))


def operator():
    d = torch.from_numpy(np.random.default_rng(0).standard_t(3, N))
    return FunctionOperator(lambda block: d[:, None] * block, N, d.dtype)


def start_of(*shape):
    return torch.randn(*shape, generator=make_generator(1), dtype=torch.float64)


@pytest.mark.parametrize("reorth", ["full", "window", "none"])
@pytest.mark.parametrize("on_host", [True, False])
def test_operations_are_the_vectors_worked_on(reorth, on_host):
    start = start_of(N)
    steps = lanczos_steps(
        operator(), start, reorth=reorth, num_steps=STEPS, generator=make_generator(0), on_host=on_host, window=4
    )
    with Reads() as reads:
        *_, T = steps
    # Two norms of the start are not counted.
    assert T.operations == reads.rows + reads.vectors - 2
    if reorth == "none":
        assert reads.rows == 0
    if not on_host:
        assert reads.names["_local_scalar_dense"] == 1, "the check of the start, and nothing in a step"


def test_operations_of_a_restarted_run_are_the_vectors_worked_on_and_the_rows_kept():
    steps = thick_restart_steps(
        operator(),
        start_of(N),
        order=TopEigenvalues(3),
        basis=10,
        keep=5,
        num_steps=STEPS,
        generator=make_generator(0),
    )
    with Reads() as reads:
        *_, state = steps
    restarts = (STEPS - 10) // 5
    assert state.tail.operations == reads.rows + reads.vectors - 2 + restarts * 5 * 10


@pytest.mark.parametrize("width", [1, 3])
def test_lockstep_off_the_host_reads_the_coefficients_once(width):
    starts = start_of(N, width)
    with Reads() as reads:
        lanczos_lockstep(operator(), starts, STEPS, on_host=False)
    assert reads.names["_local_scalar_dense"] == 0
    assert reads.names["bmm"] == reads.names["baddbmm_"] == 2 * (STEPS - 1), "two passes a step, none at the last"


@pytest.mark.parametrize(("along", "outside", "passes"), [(0.1, 1.0, 1), (1.0, 0.1, 2), (1.0, 0.0, 2)])
def test_a_second_pass_follows_only_where_the_first_cut_the_norm(along, outside, passes):
    """Where nothing at all is left, the second is that of a random direction, and the coupling is zero."""
    e = torch.eye(N, dtype=torch.float64)
    r = along * e[0] + outside * e[1]
    guarded = Full(operator(), make_generator(0), on_host=True)(e[:1], r, torch.tensor(1.0).double(), r.norm())
    assert guarded.operations == passes * 3
    assert float(guarded.beta) == pytest.approx(outside)
    assert float(guarded.size) == pytest.approx(float(guarded.r.norm()))
    assert abs(float(guarded.r[0])) < 1e-15
    assert not guarded.ends

"""What full Lanczos costs beside its products, in reads of its basis, one read timed in the same run."""

import time
from collections.abc import Iterator
from statistics import median

import pytest
import torch

from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.operators import FunctionOperator

N, STEPS, LAST = 1_000_000, 100, 50


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def own_seconds() -> tuple[list[float], list[float]]:
    """Seconds of each step without its product, and of one read of the basis as long as it was at that step."""
    generator = torch.Generator().manual_seed(0)
    diagonal = torch.randn(N, generator=generator)
    spent = [0.0]

    def matmat(block: torch.Tensor) -> torch.Tensor:
        begin = time.perf_counter()
        product = diagonal[:, None] * block
        spent[0] += time.perf_counter() - begin
        return product

    op = FunctionOperator(matmat, N, torch.float32)
    start = torch.randn(N, generator=generator)
    own: list[float] = []
    reads: list[float] = []
    steps = lanczos_steps(op, start, reorth="full", num_steps=STEPS, generator=generator)
    while True:
        spent[0], begin = 0.0, time.perf_counter()
        T = next(steps, None)
        if T is None:
            return own, reads
        own.append(time.perf_counter() - begin - spent[0])
        assert T.basis is not None
        begin = time.perf_counter()
        torch.mv(T.basis[: T.size], start)
        reads.append(time.perf_counter() - begin)


@pytest.mark.slow
@pytest.mark.usefixtures("two_threads")
def test_a_step_of_full_lanczos_costs_at_most_six_reads_of_its_basis() -> None:
    # Early steps are dominated by the vectors of the three terms, and by pages met for the first time.
    own, reads = own_seconds()
    shares = [a / b for a, b in zip(own[-LAST:], reads[-LAST:], strict=True)]
    whole = sum(own) / sum(reads)
    print(f"reads a step, last {LAST}: median {median(shares):.2f}; all {STEPS}: {whole:.2f}; {sum(own):.2f} s in all")
    assert median(shares) <= 6
    assert whole <= 6

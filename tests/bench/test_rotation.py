"""What a product with a rotated spectrum costs, beside one by SciPy's cosine transform and one by real FFTs."""

import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import pytest
import scipy.fft
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from hessbench.operators import LinearOperator
from hessbench.problems.spectra.rotation import FourierRotation, rotated_operator

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def rotated(n: int) -> LinearOperator:
    return rotated_operator(np.random.default_rng(0).standard_normal(n), 1, CPU, torch.float32)


def block_of(n: int, k: int) -> torch.Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(0))


def by_scipy(n: int, workers: int) -> Callable[[], object]:
    """One forward and one inverse transform with a product between them; no signs, which ours has."""
    x, eigenvalues = (np.random.default_rng(seed).standard_normal(n, dtype=np.float32) for seed in range(2))
    return lambda: scipy.fft.idct(
        eigenvalues * scipy.fft.dct(x, norm="ortho", workers=workers), norm="ortho", workers=workers, overwrite_x=True
    )


def by_fourier(n: int) -> Callable[[], object]:
    """The rotation of dimensions that small cosine transforms do not cover."""
    eigenvalues, signs = block_of(n, 1)[:, 0], torch.ones(n)
    block = block_of(n, 1)
    op = FourierRotation(eigenvalues, signs, signs)
    return lambda: op.matmat(block)


def interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call in turn, so that every one meets the same load; the first round is left out."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            begin = time.perf_counter_ns()
            call()
            if number:
                found[name].append((time.perf_counter_ns() - begin) / 1e6)
    return found


@pytest.mark.parametrize(
    "n", [10**4, 10**6, 2**20, pytest.param(2**23, marks=pytest.mark.slow), pytest.param(10**7, marks=pytest.mark.slow)]
)
def test_a_product_beside_scipys_cosine_transform(benchmark: BenchmarkFixture, n: int, threads: int) -> None:
    op, block = rotated(n), block_of(n, 1)
    benchmark(op.matmat, block)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: op.matmat(block),
        "dct": by_scipy(n, 1),
        "dct, 2 workers": by_scipy(n, 2),
        "fourier": by_fourier(n),
    }
    times = interleaved(calls, 1 if benchmark.disabled else 9)
    ratio = {name: round(median(times["ours"]) / median(ms), 3) for name, ms in times.items()}
    benchmark.extra_info["ratio_of_medians"] = ratio
    benchmark.extra_info["milliseconds"] = {
        name: [round(min(ms), 2), round(median(ms), 2)] for name, ms in times.items()
    }
    for name, ms in times.items():
        text = f"n={n} threads={threads} {name}: {min(ms):.2f} least, {median(ms):.2f} median ms"
        sys.stderr.write(f"{text}, ours over it {ratio[name]}\n")
    if threads == 1 and n >= 2**20 and not benchmark.disabled:
        # Each on one core: the least of nine stands on a busy machine too.
        assert min(times["ours"]) < min(times["dct"])


@pytest.mark.parametrize("width", [2, 4, 16])
def test_a_block_beside_a_column(benchmark: BenchmarkFixture, width: int, threads: int) -> None:
    n = 2**18
    op, column, block = rotated(n), block_of(n, 1), block_of(n, width)
    benchmark(op.matmat, block)
    calls: dict[str, Callable[[], object]] = {
        "column": lambda: op.matmat(column),
        "block": lambda: op.matmat(block),
    }
    times = interleaved(calls, 1 if benchmark.disabled else 9)
    ratio = median(times["block"]) / median(times["column"]) / width
    benchmark.extra_info["column_of_a_block_over_one_alone"] = round(ratio, 3)
    sys.stderr.write(f"n={n} threads={threads}: a column of {width} takes {ratio:.2f} of one alone\n")

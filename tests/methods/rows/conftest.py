"""GGNs and Hessians of few samples, whose rows are the columns of a matrix that a test can look at."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from hessbench.laws.small_structured import SmallGGN, SmallHessian, small_ggn
from hessbench.operator_parts import Parts
from hessbench.operator_structure import Structure
from hessbench.seeding import make_generator


@dataclass(frozen=True)
class Dense:
    """An operator with what it is made of: rows as columns (n, r), and the whole matrix (n, n)."""

    op: object
    B: torch.Tensor
    A: torch.Tensor


@dataclass(frozen=True)
class MisledRows:
    """Rows whose roots tell less than all: each is out by a factor of its own."""

    rows: object
    num_samples = 6
    per_sample = 3

    def root_norms(self):
        norms = self.rows.root_norms()
        return norms * torch.linspace(0.6, 1.7, norms.numel(), dtype=norms.dtype).roll(7)

    def input_norms(self):
        return torch.ones(self.num_samples)

    def __call__(self, indices):
        return self.rows(indices)


def rows_of(op) -> torch.Tensor:
    return op.rows(torch.arange(op.rows.root_norms().numel()))


@pytest.fixture
def dense_ggn():
    """The small GGN of the laws, or one of given rows, 3 to a sample."""

    def make(dim: int = 48, dtype: torch.dtype = torch.float64, B: torch.Tensor | None = None) -> Dense:
        op = small_ggn(dim, dtype) if B is None else SmallGGN(B)
        B = rows_of(op)
        return Dense(op, B, B @ B.T)

    return make


@pytest.fixture
def dense_hessian():
    """A Hessian G + R + c I of two halves of the parameters, each flat or curved, whatever is claimed of them."""

    def make(curved=(), claimed_flat=(0, 1), dim: int = 48, shift: float = 0.0, dtype=torch.float64) -> Dense:
        ggn, half, generator = small_ggn(dim, dtype), dim // 2, make_generator(5)
        halves = (slice(0, half), slice(half, dim))
        pieces = []
        for sample in range(ggn.info.samples):
            R = torch.randn(dim, dim, generator=generator, dtype=torch.float64) * 0.1 * 3.0**-sample / dim**0.5
            for place in (0, 1):
                if place not in curved:
                    R[halves[place], halves[place]] = 0
            pieces.append((R + R.T).to(dtype))
        op = SmallHessian(ggn, pieces)
        ggn.rows = MisledRows(ggn.rows)
        op.parts = Parts(op.parts.ggn, op.parts.residual, shift)
        flat = torch.zeros(dim, dtype=torch.bool)
        for place in claimed_flat:
            flat[halves[place]] = True
        op.structure = Structure(flat, tuple((halves[place].start, halves[place].stop) for place in claimed_flat))
        A = op.matmat(torch.eye(dim, dtype=dtype)) + shift * torch.eye(dim, dtype=dtype)
        return Dense(op, rows_of(ggn), A)

    return make


@dataclass(frozen=True)
class NumberedRows:
    """Rows of one entry each, whose roots are no guide but by a ratio: what matters to a sampler, without a network."""

    roots: torch.Tensor
    entries: torch.Tensor
    per_sample: int = 4
    inputs: torch.Tensor | None = None

    @property
    def num_samples(self):
        return self.roots.numel() // self.per_sample

    def root_norms(self):
        return self.roots

    def input_norms(self):
        return torch.ones(self.num_samples) if self.inputs is None else self.inputs

    def __call__(self, indices):
        return self.entries[indices][None]


@dataclass(frozen=True)
class NumberedGGN:
    """The 1 x 1 matrix of the sum of squared entries."""

    rows: NumberedRows
    dim = 1
    dtype = torch.float64
    device = torch.device("cpu")

    @property
    def trace(self):
        return float(self.rows.entries.square().sum())

    def matmat(self, block):
        return self.trace * block


@pytest.fixture
def numbered_ggn():
    """400 rows of 100 samples, their roots powers of the rank, their ratios scattered by sample and by row.

    The inputs of two samples, and with them their rows, are `outlying` times as large as those of the others.
    """

    def make(decay: float = 1.0, scatter: float = 0.5, outlying: float = 1.0) -> NumberedGGN:
        rng = np.random.default_rng(4)
        roots = np.sort(rng.permuted(np.arange(1, 401.0) ** -decay).reshape(100, 4))[:, ::-1]
        ratios = np.exp(scatter * rng.standard_normal((100, 1)) + 0.3 * scatter * rng.standard_normal((100, 4)))
        roots, entries = roots.ravel().copy(), (roots * ratios).ravel()
        inputs = np.ones(100)
        inputs[60:62] = outlying
        entries = torch.from_numpy(entries * np.repeat(inputs, 4))
        return NumberedGGN(NumberedRows(torch.from_numpy(roots), entries, inputs=torch.from_numpy(inputs)))

    return make

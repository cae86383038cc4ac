"""Small operators with a known spectrum, and one way to run a registered method on them."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.method import Method
from hessbench.methods import METHODS
from hessbench.operators import FunctionOperator, LinearOperator, OperatorInfo, ProductKind, dense_operator
from hessbench.seeding import make_generator

BY_NAME = {method.name: method for method in METHODS}


@dataclass(frozen=True)
class TinyFactor:
    """F held as a matrix (n, N * C)."""

    F: torch.Tensor
    num_samples: int
    num_outputs: int

    @property
    def num_columns(self):
        return self.F.shape[1]

    def rmatmat(self, block):
        return self.F @ block

    def squared_sum(self, block):
        n = self.F.shape[0]
        per_sample = self.F.reshape(n, self.num_samples, self.num_outputs)
        parts = torch.einsum("pic,ick->pik", per_sample, block.reshape(self.num_samples, self.num_outputs, -1))
        return (parts**2).sum(dim=1)


@dataclass(frozen=True)
class TinyGGN:
    """F F^T with its factor."""

    factor: TinyFactor
    info: OperatorInfo = field(default=OperatorInfo(ProductKind.GGN, engine="test"))

    @property
    def dim(self):
        return self.factor.F.shape[0]

    @property
    def dtype(self):
        return self.factor.F.dtype

    @property
    def device(self):
        return self.factor.F.device

    def matmat(self, block):
        return self.factor.F @ (self.factor.F.T @ block)


@dataclass(frozen=True)
class Checkpoint:
    """What was yielded and what had been spent by then."""

    matvecs: int
    estimate: object


@dataclass(frozen=True)
class Outcome:
    """A whole run; the last estimate answers."""

    checkpoints: list
    op: CountingOperator

    @property
    def last(self):
        return self.checkpoints[-1].estimate.resolve()


@pytest.fixture
def run():
    """Run a registered method on an operator or matrix, every product counted; nothing is resolved before the end."""

    def run(name: str, op: LinearOperator | torch.Tensor, num_matvecs: int, seed: int = 0, **keywords) -> Outcome:
        inner = dense_operator(op) if isinstance(op, torch.Tensor) else op
        method: Method = BY_NAME[name]
        counted = CountingOperator(inner, num_matvecs)
        result = method.run(counted, num_matvecs=num_matvecs, generator=make_generator(seed), **keywords)
        if not method.is_anytime:
            return Outcome([Checkpoint(counted.matvecs, result)], counted)
        return Outcome([Checkpoint(counted.matvecs, estimate) for estimate in result], counted)

    return run


@pytest.fixture
def rotated():
    """A symmetric matrix of given eigenvalues in a random orthonormal basis, float64 unless asked otherwise."""

    def rotated(eigenvalues, seed: int = 7, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        values = np.asarray(eigenvalues, dtype=np.float64)
        rng = np.random.default_rng(seed)
        Q = np.linalg.qr(rng.standard_normal((values.size, values.size)))[0]
        A = (Q * values) @ Q.T
        return torch.from_numpy((A + A.T) / 2).to(dtype)

    return rotated


@pytest.fixture
def student(rotated):
    """Signed Student-t(3) eigenvalues, a share of zeros, rotated: (eigenvalues, matrix)."""

    def student(n: int = 1000, zeros: float = 0.8, seed: int = 0):
        values = np.random.default_rng(seed).standard_t(3, n)
        values[: round(zeros * n)] = 0
        return values, rotated(values, seed)

    return student


@pytest.fixture
def ggn():
    """A GGN of 12 parameters, 6 samples and 3 outputs."""

    def ggn(dtype: torch.dtype = torch.float64, n: int = 12, samples: int = 6, outputs: int = 3) -> TinyGGN:
        F = torch.randn(n, samples * outputs, generator=make_generator(3), dtype=torch.float64)
        return TinyGGN(TinyFactor(F.to(dtype), samples, outputs))

    return ggn


@pytest.fixture
def identity_that_returns_its_input():
    """An operator whose product is the very block it was handed."""

    def make(n: int = 30, dtype: torch.dtype = torch.float64) -> FunctionOperator:
        return FunctionOperator(lambda block: block, n, dtype)

    return make

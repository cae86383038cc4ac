"""GGNs and Hessians of few samples, whose rows are the columns of a matrix that a test can look at."""

from dataclasses import dataclass

import pytest
import torch

from hessbench.laws.small_structured import OUTPUTS, SmallGGN, SmallHessian, small_ggn
from hessbench.operator_parts import Parts
from hessbench.operator_structure import Structure
from hessbench.seeding import make_generator


@dataclass(frozen=True)
class Dense:
    """An operator with what it is made of: rows as columns (n, r), and the whole matrix (n, n)."""

    op: object
    B: torch.Tensor
    A: torch.Tensor


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
        op.parts = Parts(op.parts.ggn, op.parts.residual, shift)
        flat = torch.zeros(dim, dtype=torch.bool)
        for place in claimed_flat:
            flat[halves[place]] = True
        op.structure = Structure(flat, tuple((halves[place].start, halves[place].stop) for place in claimed_flat))
        A = op.matmat(torch.eye(dim, dtype=dtype)) + shift * torch.eye(dim, dtype=dtype)
        return Dense(op, rows_of(ggn), A)

    return make


assert OUTPUTS == 3

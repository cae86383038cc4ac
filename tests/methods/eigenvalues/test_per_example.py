"""Ends of the spectra of many matrices at once, against their dense eigenvalues."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from hessbench.methods.eigenvalues.per_example import example_eigenvalues
from hessbench.operators import FunctionOperator


class Matrices:
    """Dense symmetric matrices of low rank (N, n, n), multiplied each with its own column."""

    def __init__(self, count: int = 9, dim: int = 30, rank: int = 6) -> None:
        generator = torch.Generator().manual_seed(0)
        F = torch.randn(count, dim, rank, generator=generator, dtype=torch.float64)
        d = torch.randn(count, 1, rank, generator=generator, dtype=torch.float64)
        self.stack = (F * d) @ F.mT
        self.dim, self.num_samples = dim, count
        self.dtype, self.device = torch.float64, torch.device("cpu")
        self.products = 0

    def parts(self, samples: Tensor | None = None, most: int = 512) -> Iterator[tuple[Tensor, FunctionOperator]]:
        numbers = torch.arange(self.num_samples) if samples is None else samples
        for group in numbers.split(min(most, 4)):
            yield group, FunctionOperator(lambda block, g=group: self._multiply(g, block), self.dim, torch.float64)

    def _multiply(self, group: Tensor, block: Tensor) -> Tensor:
        self.products += block.shape[1]
        return torch.einsum("jab,bj->aj", self.stack[group], block)


def test_the_ends_are_those_of_the_dense_matrices_when_the_rank_is_exhausted():
    matrices = Matrices()
    found = example_eigenvalues(matrices, generator=torch.Generator().manual_seed(0), steps=12)
    spectra = torch.linalg.eigvalsh(matrices.stack).numpy()
    np.testing.assert_allclose(found.largest, np.maximum(spectra[:, -1], 0), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.smallest, np.minimum(spectra[:, 0], 0), rtol=1e-8, atol=1e-8)
    np.testing.assert_array_equal(found.samples, np.arange(9))
    assert found.residuals.max() < 1e-6
    assert matrices.products == 9 * 12


def test_few_steps_stay_inside_and_say_how_far():
    matrices = Matrices(rank=20)
    found = example_eigenvalues(
        matrices, generator=torch.Generator().manual_seed(0), steps=4, samples=torch.tensor([2, 7])
    )
    spectra = torch.linalg.eigvalsh(matrices.stack[[2, 7]]).numpy()
    assert (found.largest <= spectra[:, -1] + 1e-9).all()
    assert (found.smallest >= spectra[:, 0] - 1e-9).all()
    assert (np.abs(spectra - found.largest[:, None]).min(axis=1) <= found.residuals + 1e-9).all()
    assert found.residuals.min() > 1e-3


@pytest.mark.parametrize("steps", [0, 31])
def test_steps_out_of_range_are_refused(steps):
    with pytest.raises(ValueError, match="steps must be"):
        example_eigenvalues(Matrices(), generator=torch.Generator(), steps=steps)

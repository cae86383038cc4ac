"""Rows in the order of what they can weigh: by their roots, and outlying samples by their inputs too."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from hessbench.methods.rows.ranking import ranked


@dataclass(frozen=True)
class Told:
    """Rows of which only the norms are known, two to a sample."""

    roots: list[float]
    inputs: list[float]
    per_sample = 2

    def root_norms(self):
        return torch.tensor(self.roots)

    def input_norms(self):
        return torch.tensor(self.inputs)


ROOTS = [3.0, 1e-12, 2.0, 1.0, 2.5, 0.0]


@pytest.mark.parametrize("inputs", [[1.0, 1.0, 1.0], [1.0, 3.0, 0.01], [0.0, 0.0, 0.0], [1.0, float("nan"), 1.0]])
def test_usual_samples_are_ranked_by_their_roots_alone(inputs):
    found = ranked(Told(ROOTS, inputs), torch.float32)
    assert found.order.tolist() == [0, 4, 2, 3, 1, 5]
    np.testing.assert_allclose(found.squares, np.asarray([9.0, 6.25, 4, 1, 1e-24, 0]), rtol=1e-6)
    assert found.weighing == 4


def test_an_outlying_sample_counts_more_but_what_is_null_stays_so():
    found = ranked(Told(ROOTS, [1e13, 12.0, 1.0]), torch.float32)
    assert found.order.tolist() == [0, 4, 2, 3, 1, 5]
    assert found.weighing == 4
    found = ranked(Told(ROOTS, [1.0, 6.0, 1.0]), torch.float32)
    assert found.order.tolist() == [2, 0, 4, 3, 1, 5]
    np.testing.assert_allclose(found.squares[:4], [16.0, 9.0, 6.25, 4.0])
    assert found.weighing == 4

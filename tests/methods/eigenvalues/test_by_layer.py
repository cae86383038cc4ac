"""Layers of a matrix: spectra of diagonal blocks and the mass between them, against the dense matrix."""

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.methods.eigenvalues.by_layer import DiagonalBlock, layer_coupling, layer_eigenvalues, layer_ranges
from hessbench.operators import dense_operator

LAYERS = {"a": range(0, 12), "b": range(12, 15), "c": range(15, 40)}


@pytest.fixture
def matrix():
    A = torch.randn(40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return A + A.T


def test_a_block_is_the_rows_and_columns_of_its_layer(matrix):
    op = CountingOperator(dense_operator(matrix))
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(DiagonalBlock(op, LAYERS["b"]) @ x, matrix[12:15, 12:15] @ x)
    assert op.matvecs == 2


def test_eigenvalues_of_layers_are_those_of_the_blocks_and_counted(matrix):
    op = CountingOperator(dense_operator(matrix))
    generator = torch.Generator().manual_seed(0)
    found = layer_eigenvalues(op, LAYERS, num_matvecs=25, generator=generator, k=4)
    for name, where in LAYERS.items():
        block = matrix[where.start : where.stop, where.start : where.stop]
        values = torch.linalg.eigvalsh(block).numpy()
        expected = values[np.argsort(-np.abs(values))][:4]
        np.testing.assert_allclose(found[name], expected, rtol=1e-9)
    assert op.matvecs == 12 + 3 + 25


def test_the_mass_between_layers_is_exact_with_enough_probes(matrix):
    op = CountingOperator(dense_operator(matrix))
    found = layer_coupling(op, LAYERS, num_probes=25, generator=torch.Generator().manual_seed(0))
    blocks = [[float(matrix[b.start : b.stop, c.start : c.stop].norm()) ** 2 for c in LAYERS.values()]
              for b in LAYERS.values()]  # fmt: skip
    np.testing.assert_allclose(found, blocks, rtol=1e-12)
    assert found.sum() == pytest.approx(float(matrix.square().sum()))
    assert op.matvecs == 40


def test_the_mass_between_layers_is_unbiased(matrix):
    op = dense_operator(matrix)
    layers = {"left": range(0, 20), "right": range(20, 40)}
    draws = np.stack(
        [layer_coupling(op, layers, num_probes=2, generator=torch.Generator().manual_seed(i)) for i in range(200)]
    )
    exact = layer_coupling(op, layers, num_probes=20, generator=torch.Generator())
    error = draws.std(axis=0, ddof=1) / 200**0.5
    assert (np.abs(draws.mean(axis=0) - exact) < 5 * error).all()


def test_layers_are_modules():
    shapes = {"0.weight": (3, 2), "0.bias": (3,), "head.weight": (4,), "scale": (), "0.gain": (2,)}
    assert layer_ranges(shapes) == {
        "0": range(0, 9), "head": range(9, 13), "scale": range(13, 14), "0.gain": range(14, 16)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda op, g: DiagonalBlock(op, range(30, 41)), "inside 0:40"),
        (lambda op, g: DiagonalBlock(op, range(3, 3)), "not empty"),
        (
            lambda op, g: layer_eigenvalues(op, LAYERS, num_matvecs=1, generator=g, k=2),
            "num_matvecs must be at",
        ),
        (lambda op, g: layer_coupling(op, LAYERS, num_probes=0, generator=g), "num_probes must be at least 1"),
        (lambda op, g: layer_ranges({}), "names none"),
    ],
)
def test_what_is_not_accepted_is_said(call, said, matrix):
    with pytest.raises(ValueError, match=said):
        call(dense_operator(matrix), torch.Generator())

"""Eigenvectors that are kept: against dense truth, above what a ledger keeps, and opened again."""

import numpy as np
import pytest
import torch

from hessbench.eigenvectors import keep_eigenvectors, read_eigenvectors, subspace_overlap, write_eigenvectors
from hessbench.estimand import Estimate, TopEigenspace
from hessbench.ledger.kept_arrays import ARRAY_LIMIT
from hessbench.method import Method
from hessbench.problem import Problem


@pytest.fixture
def matrix():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    return (Q * np.concatenate([[9.0, -7, 5, 4], rng.uniform(-1, 1, 56)])) @ Q.T


def test_eigenpairs_are_those_of_the_dense_matrix_and_their_products_are_counted(matrix, tmp_path):
    problem = Problem.of("small", (matrix + matrix.T) / 2)
    kept = keep_eigenvectors(problem, tmp_path / "v", k=4, num_matvecs=54, dtype=torch.float64)
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-np.abs(values))[:4]
    np.testing.assert_allclose(kept.values, values[order], rtol=1e-9)
    assert subspace_overlap(kept.vectors, vectors[:, order]) == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(kept.vectors * vectors[:, order], axis=0)), 1, rtol=1e-9)
    assert max(kept.facts["residuals"]) < 1e-6
    assert kept.facts["matvecs"] <= 54
    assert kept.facts["problem_hash"] == problem.hash


def test_the_residuals_say_how_far_the_vectors_are(matrix, tmp_path):
    problem = Problem.of("small", (matrix + matrix.T) / 2)
    kept = keep_eigenvectors(problem, tmp_path / "v", k=4, num_matvecs=12, dtype=torch.float64)
    V = np.asarray(kept.vectors)
    V = V / np.linalg.norm(V, axis=0)
    np.testing.assert_allclose(
        kept.facts["residuals"], np.linalg.norm(matrix @ V - V * kept.values, axis=0), rtol=1e-6, atol=1e-12
    )
    assert max(kept.facts["residuals"]) > 1e-3


def test_columns_above_what_a_ledger_keeps_are_kept(tmp_path):
    kept = keep_eigenvectors("spectrum[n=70000,name=step]", tmp_path / "v", k=4, num_matvecs=24)
    assert isinstance(kept.vectors, np.memmap)
    assert kept.vectors.nbytes > ARRAY_LIMIT
    again = read_eigenvectors(tmp_path / "v")
    np.testing.assert_array_equal(again.vectors, kept.vectors)
    np.testing.assert_array_equal(again.values, kept.values)
    assert again.facts == kept.facts


def test_a_network_says_the_layers_of_its_vectors(tmp_path):
    kept = keep_eigenvectors("mlp[step=0,widths=4]", tmp_path / "v", k=2, num_matvecs=20)
    assert list(read_eigenvectors(tmp_path / "v").shapes) == list(kept.shapes) != []


def without_vectors(op, /, *, num_matvecs, generator, k=1):
    return Estimate(torch.randn(op.dim, k, generator=generator))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"k": 61}, "k"),
        ({"num_matvecs": 7}, "num_matvecs must be at least 8"),
        ({"method": "hutchinson"}, "does not answer top-eigenspace"),
        ({"method": "nothing"}, "unknown method"),
    ],
)
def test_what_is_not_accepted_is_said(arguments, said, matrix, tmp_path):
    problem = Problem.of("small", (matrix + matrix.T) / 2)
    with pytest.raises(ValueError, match=said):
        keep_eigenvectors(problem, tmp_path / "v", **{"k": 4, "num_matvecs": 20, **arguments})


def test_a_method_that_gives_a_space_alone_is_refused(matrix, tmp_path):
    method = Method(name="space", run=without_vectors, estimands=(TopEigenspace,))
    with pytest.raises(ValueError, match="no eigenvectors one by one"):
        keep_eigenvectors(Problem.of("small", np.eye(5)), tmp_path / "v", k=2, num_matvecs=9, method=method)


def test_what_does_not_fit_is_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="one for each"):
        write_eigenvectors(tmp_path, np.ones((5, 2)), np.ones(3))
    with pytest.raises(ValueError, match="all 5 entries"):
        write_eigenvectors(tmp_path, np.ones((5, 2)), np.ones(2), shapes={"a": (4,)})
    with pytest.raises(ValueError, match="finite"):
        write_eigenvectors(tmp_path, np.full((5, 2), np.nan), np.ones(2))
    with pytest.raises(ValueError, match="no eigenvectors are kept"):
        read_eigenvectors(tmp_path)
    kept = write_eigenvectors(tmp_path, np.ones((5, 2)), np.ones(2))
    (tmp_path / "vectors.npy").write_bytes(b"torn")
    with pytest.raises(ValueError, match="cannot be read"):
        _ = read_eigenvectors(kept.folder).vectors

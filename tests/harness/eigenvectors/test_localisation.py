"""Functionals of eigenvectors: against plain formulas, in slabs smaller than the columns, on a disk."""

import tracemalloc

import numpy as np
import pytest
import torch

from hessbench.eigenvectors import layer_shares, overlaps, participation_ratio, subspace_overlap
from hessbench.eigenvectors import slabs as slabs_module


@pytest.fixture
def columns():
    return np.random.default_rng(0).standard_normal((101, 4)) * np.array([1.0, 1e-6, 1e6, 3.0])


@pytest.fixture(params=[7, 2**21])
def entries(request, monkeypatch):
    """Slabs of a row or so, and of everything."""
    original = slabs_module.slab_rows
    for name in ("localisation", "slabs"):
        monkeypatch.setattr(f"hessbench.eigenvectors.{name}.slab_rows", lambda n, k: original(n, k, request.param))
    return request.param


def test_the_participation_ratio_is_the_number_of_equal_entries(entries):
    V = np.zeros((12, 3))
    V[4, 0], V[:5, 1], V[:, 2] = -2.0, [1, -1, 1, 1, -1], 0.1
    np.testing.assert_allclose(participation_ratio(V), [1, 5, 12], rtol=1e-12)


def test_the_participation_ratio_of_random_vectors_is_a_third_of_their_length():
    V = np.random.default_rng(1).standard_normal((20_000, 6))
    # sum u^4 / n has mean 3 and sd sqrt(96 / n): four of these and the spread of the square are 3 %.
    np.testing.assert_allclose(participation_ratio(V) / V.shape[0], 1 / 3, rtol=0.05)


def test_functionals_are_those_of_plain_formulas(columns, entries):
    np.testing.assert_allclose(participation_ratio(columns), (columns**2).sum(0) ** 2 / (columns**4).sum(0), rtol=1e-12)
    shapes = {"first": (3, 7), "second": (), "third": (79,)}
    shares = layer_shares(columns, shapes)
    squares = columns**2 / (columns**2).sum(0)
    np.testing.assert_allclose(shares["first"], squares[:21].sum(0), rtol=1e-12)
    np.testing.assert_allclose(shares["second"], squares[21], rtol=1e-12)
    np.testing.assert_allclose(shares["third"], squares[22:].sum(0), rtol=1e-12)
    np.testing.assert_allclose(np.sum(list(shares.values()), axis=0), 1, rtol=1e-12)


def test_overlaps_are_squared_cosines(columns, entries):
    other = np.random.default_rng(2).standard_normal((101, 3))
    unit, units = columns / np.linalg.norm(columns, axis=0), other / np.linalg.norm(other, axis=0)
    np.testing.assert_allclose(overlaps(columns, other), (unit.T @ units) ** 2, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(np.diag(overlaps(columns, columns)), 1, rtol=1e-12)


def test_the_overlap_of_spaces_is_that_of_their_orthonormal_bases(columns, entries):
    other = np.random.default_rng(2).standard_normal((101, 4)) + columns @ np.diag([1, 1e6, 1e-6, 0])
    Q, R = np.linalg.qr(columns)[0], np.linalg.qr(other)[0]
    assert subspace_overlap(columns, other) == pytest.approx(np.square(Q.T @ R).sum() / 4, rel=1e-8)
    mixed = Q @ np.random.default_rng(3).standard_normal((4, 4))
    assert subspace_overlap(columns, mixed) == pytest.approx(1)
    assert subspace_overlap(Q[:, :2], Q[:, 2:]) == pytest.approx(0, abs=1e-20)


def test_tensors_and_arrays_are_the_same(columns):
    tensor = torch.as_tensor(columns)
    np.testing.assert_array_equal(participation_ratio(tensor), participation_ratio(columns))
    assert subspace_overlap(tensor, columns) == pytest.approx(1)


def test_a_basis_on_disk_is_read_without_being_held(tmp_path):
    matrix = np.lib.format.open_memmap(tmp_path / "V.npy", mode="w+", dtype=np.float32, shape=(3_000_000, 2))
    matrix[:] = 1.0
    matrix.flush()
    V = np.load(tmp_path / "V.npy", mmap_mode="r")
    tracemalloc.start()
    ratio, overlap = participation_ratio(V), overlaps(V[:, :1], V[:, 1:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(ratio, 3_000_000, rtol=1e-9)
    assert overlap[0, 0] == pytest.approx(1)
    assert peak < 40e6  # two slabs of 16 MiB, where the columns in float64 are 48 MB


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda V: participation_ratio(V[:, 0]), r"columns \(n, k\)"),
        (lambda V: participation_ratio(V * 0), "none of them zero"),
        (lambda V: participation_ratio(V * np.nan), "none of them zero"),
        (lambda V: layer_shares(V, {"a": (100,)}), "all 101 entries"),
        (lambda V: overlaps(V, V[:50]), "one length"),
        (lambda V: subspace_overlap(V, V[:, :2]), "one shape"),
        (lambda V: subspace_overlap(V, V[:, [0, 0, 1, 2]]), "linearly independent"),
    ],
)
def test_what_is_not_accepted_is_said(call, said, columns):
    with pytest.raises(ValueError, match=said):
        call(columns)

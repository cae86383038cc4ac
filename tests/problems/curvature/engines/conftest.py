"""The small networks and their oracle as fixtures, under the names that tests of engines have for them."""

import pytest
import torch
from small_networks import SAMPLES, oracle_of, small_network

LOSSES = {"cross-entropy": "cross-entropy mean", "squared": "squared sum"}


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def network():
    def made(form="dense", loss="cross-entropy", sizes=(SAMPLES,), dtype=torch.float64):
        return small_network(form, LOSSES[loss], sizes, dtype)

    return made


@pytest.fixture
def truth():
    return lambda form, loss, matrix: oracle_of(form, LOSSES[loss]).matrix(matrix)


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path, monkeypatch):
    """What one test chose, or made another engine choose, is not what the next one gets."""
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))

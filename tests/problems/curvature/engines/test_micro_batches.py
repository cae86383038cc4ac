"""Streaming: memory that does not grow with the data, and every sample of the same weight."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hessbench.problems.curvature.engines.choosing import Limits
from hessbench.problems.curvature.engines.live_bytes import LiveBytes
from hessbench.problems.curvature.engines.micro_batches import pieces
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.networks.architectures.mlp import mlp
from hessbench.problems.networks.flat import module_forward
from hessbench.problems.networks.network import Batch, Network


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_pieces_are_views_and_the_last_may_be_ragged(size, sizes):
    batch = Batch(torch.arange(10.0).view(5, 2), torch.arange(5))
    found = list(pieces(batch, size))
    assert [piece.size for piece in found] == sizes
    assert torch.equal(torch.cat([piece.inputs for piece in found]), batch.inputs)
    assert found[0].inputs.data_ptr() == batch.inputs.data_ptr()


def wide_network(samples, widths=(128, 128)):
    torch.manual_seed(0)
    forward, parameters = module_forward(mlp((1, 16, 16), 10, widths=widths, activation="relu"))
    inputs = torch.randn(samples, 1, 16, 16)
    return Network(forward, parameters, (Batch(inputs, torch.arange(samples) % 10),))


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
@pytest.mark.parametrize("engine", ["rules", "double-backward"])
def test_live_memory_of_a_streamed_product_does_not_grow_with_the_data(engine, matrix):
    peaks = []
    for samples in (64, 4096):
        op = curvature_operator(wide_network(samples), matrix, engine, Limits(micro_batch=64))
        block = torch.ones(op.dim, 1)
        with LiveBytes() as meter:
            op.matmat(block)
        peaks.append(meter.peak)
    assert peaks[1] <= 1.1 * peaks[0]


MEASURED = """
import sys
import torch
from hessbench.cells.meter import PeakMeter
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.curvature.engines.choosing import Limits
sys.path.insert(0, {folder!r})
from test_micro_batches import wide_network
torch.set_num_threads(1)
op = curvature_operator(wide_network({samples}, (1024, 1024)), {matrix!r}, {engine!r}, Limits(micro_batch=64))
block = torch.ones(op.dim, 1)
op.matmat(block)
meter = PeakMeter(torch.device("cpu"))
meter.start()
op.matmat(block)
print(meter.host_peak())
"""


def resident_peak(engine, matrix, samples):
    """Bytes the second product of a fresh process adds to it."""
    folder = str(Path(__file__).parent)
    code = MEASURED.format(samples=samples, matrix=matrix, engine=engine, folder=folder)
    # The settings of the memory pass: without them the allocator keeps what is freed.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    return int(found.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
@pytest.mark.parametrize("engine", ["rules", "double-backward"])
def test_resident_memory_of_a_streamed_product_does_not_grow_with_the_data(engine, matrix):
    # A peak varies upwards by some 0.5 MB of pages that no block of ours holds:
    # hence a network whose product takes tens of MB, and the lesser of two processes.
    few, many = (min(resident_peak(engine, matrix, samples) for _ in range(2)) for samples in (64, 1024))
    assert many <= 1.1 * few

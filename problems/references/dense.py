"""Dense curvature matrices and Gram spectra of networks, by other routes than the products that are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hessbench.dense_references import References
from hessbench.estimand import (
    Array,
    Density,
    Diagonal,
    Reference,
    Source,
    TopEigenvalues,
    Trace,
    density_reference,
    top_reference,
    trace_reference,
)
from hessbench.problems.curvature import example_gradients, quiet_transforms
from hessbench.problems.network import Network

_COLUMNS = 128
_GRAM_ENTRIES = 2**27


def dense_hessian(network: Network) -> Array:
    """Hessian (n, n) in float64, forward mode over reverse mode, 128 columns at a time, made symmetric."""
    exact = network.to(torch.device("cpu"), torch.float64)
    slope = torch.func.grad(exact.objective)

    def column(direction: Tensor) -> Tensor:
        return torch.func.jvp(slope, (exact.parameters,), (direction,))[1]

    eye = torch.eye(exact.parameters.numel(), dtype=torch.float64)
    with quiet_transforms():
        H = torch.func.vmap(column, chunk_size=_COLUMNS)(eye)
    return ((H + H.T) / 2).numpy()


def dense_ggn(network: Network) -> Array:
    """GGN (n, n) in float64, sum over samples of J_i^T (diag(p_i) - p_i p_i^T) J_i / N from explicit J_i."""
    exact = network.to(torch.device("cpu"), torch.float64)
    B = factor_rows(exact, 0, exact.parameters.numel())
    return (B.T @ B).numpy()


def factor_rows(network: Network, start: int, stop: int) -> Tensor:
    """Columns start..stop of F^T, (N C, stop - start), where GGN = F F^T: gradients of mixed logits of one sample."""
    with torch.no_grad():
        p = network.forward(network.parameters, network.batches[0].inputs).softmax(dim=1)
    samples, classes = p.shape
    root = p.sqrt()
    S = (torch.diag_embed(root) - p[:, :, None] * root[:, None, :]) / samples**0.5
    B = torch.empty(samples, classes, stop - start, dtype=p.dtype)
    chunk = max(1, _GRAM_ENTRIES // (16 * network.parameters.numel()))
    for first in range(0, samples, chunk):
        rows = slice(first, first + chunk)
        for column in range(classes):
            gradients = example_gradients(network, network.batches[0].inputs[rows], S[rows, :, column])
            B[rows, column] = gradients[:, start:stop]
    return B.view(samples * classes, -1)


def gram_references(network: Callable[[], Network], rounding: float) -> References:
    """References of a GGN from the Gram matrix F^T F, (N C, N C), which has the same nonzero eigenvalues.

    F is never held whole: its rows are made for as many parameters at a time as fit 1 GiB. The diagonal of the GGN
    comes out of the same pass. The bound is that of a backward-stable symmetric eigensolver.

    Args:
        network: Makes the network.
        rounding: Constant c in the rounding c eps ||G|| of the operator that is compared with these references.
    """
    solved: list[tuple[Array, Array, float]] = []

    def solve() -> tuple[Array, Array, float]:
        if not solved:
            exact = network().to(torch.device("cpu"), torch.float64)
            n = exact.parameters.numel()
            with torch.no_grad():
                classes = exact.forward(exact.parameters, exact.batches[0].inputs[:1]).shape[1]
            rows = exact.batches[0].inputs.shape[0] * classes
            width = max(1, _GRAM_ENTRIES // rows)
            gram = torch.zeros(rows, rows, dtype=torch.float64)
            diagonal = torch.empty(n, dtype=torch.float64)
            for start in range(0, n, width):
                B = factor_rows(exact, start, min(start + width, n))
                gram += B @ B.T
                diagonal[start : start + width] = (B * B).sum(dim=0)
            nonzero = np.linalg.eigvalsh(gram.numpy())
            # F^T F has n - rows more eigenvalues than F F^T, or fewer: all of them zeros.
            eigenvalues = np.concatenate([nonzero[max(rows - n, 0) :], np.zeros(max(n - rows, 0))])
            bound = rows * 2.0**-52 * float(np.abs(nonzero).max())
            solved.append((eigenvalues, diagonal.numpy(), bound))
        return solved[0]

    def top(estimand: TopEigenvalues) -> Reference:
        eigenvalues, _, bound = solve()
        return replace(top_reference(eigenvalues, estimand, Source.GRAM, bound), rounding=rounding)

    def trace(_: Trace) -> Reference:
        eigenvalues, _diagonal, bound = solve()
        return replace(trace_reference(eigenvalues, Source.GRAM, bound / eigenvalues.size), rounding=rounding)

    def density(_: Density) -> Reference:
        eigenvalues, _diagonal, bound = solve()
        return replace(density_reference(eigenvalues, Source.GRAM, bound), rounding=rounding)

    def diagonal(_: Diagonal) -> Reference:
        eigenvalues, entries, bound = solve()
        return Reference({"diagonal": entries}, Source.GRAM, float(np.abs(eigenvalues).max()), bound, rounding)

    return {TopEigenvalues: top, Trace: trace, Density: density, Diagonal: diagonal}

"""Whether a training stayed in the lazy regime: the kernel, its first eigenfunctions, and the linearised network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hessbench.problems.networks.inputs import tensors_of
from hessbench.problems.networks.network import Network
from hessbench.problems.tangent_kernel.eigenfunctions import top_eigenfunctions
from hessbench.problems.tangent_kernel.kernel_matrix import kernel_drift, kernel_matrix
from hessbench.problems.tangent_kernel.linearised import linearised_outputs
from hessbench.spending import Spending

MOST_SAMPLES: Final = 4096
"""Samples whose kernel is made and solved whole."""


@dataclass(frozen=True)
class LazyRegime:
    """How far a training went from the linearised network; no verdict, which takes a threshold.

    Attributes:
        kernel_drift: ||K(t) - K(0)||_F / ||K(0)||_F on the data.
        overlap: Overlap (1/k) ||U(0)^T U(t)||_F^2 of the first k eigenfunctions.
        random_overlap: That of two spaces drawn at random, k / N.
        prediction_r2: R^2 of the outputs f_0 + J_0 (theta - theta_0) against those of the trained network, their means
            over the samples being what is beaten.
        change_r2: The same of the changes of the outputs since the start: 1 - ||f_lin - f||^2 / ||f - f_0||^2. It does
            not count what the initial outputs explain.
        parameter_change: ||theta - theta_0|| / ||theta_0||.
    """

    kernel_drift: float
    overlap: float
    random_overlap: float
    prediction_r2: float
    change_r2: float
    parameter_change: float


def lazy_regime(before: Network, after: Network, *, k: int = 6, spending: Spending | None = None) -> LazyRegime:
    """Compare a network at the start of a training with the same at its end.

    In a lazy training the kernel stays, and the linearised network predicts what the trained one does. On training or
    test data, whichever the networks hold.

    Args:
        before: The network at theta_0, each of whose samples stands by itself.
        after: The same network on the same data at theta.
        k: Number of eigenfunctions, 1 to N.
        spending: What is charged, such as `op.spending` of a counted operator.

    Cost: the kernel twice, 2 N C vector-Jacobian products of one sample each, and one Jacobian-vector product; O(N^3)
    multiplications.

    Raises:
        ValueError: If they are not on the same data, are of other sizes, N is above 4096, or k is out of range.

    Source:
        Chizat, Oyallon and Bach 2019, https://arxiv.org/abs/1812.07956; Lee et al. 2019,
        https://arxiv.org/abs/1902.06720.
    """
    samples = before.num_samples
    if before.parameters.shape != after.parameters.shape or not _same_data(before, after):
        raise ValueError("before and after must be one network on the same data, at other parameters")
    if samples > MOST_SAMPLES or not 1 <= k <= samples:
        raise ValueError(f"up to {MOST_SAMPLES} samples and k from 1 to their number are accepted, got {samples}, {k}")
    kernels = [kernel_matrix(network, spending=spending) for network in (before, after)]
    first, last = (top_eigenfunctions(kernel, k)[1] for kernel in kernels)
    linear = linearised_outputs(before, after.parameters, spending=spending).double()
    start, end = (_outputs(before, network.parameters) for network in (before, after))
    moved = (after.parameters.double() - before.parameters.double()).norm() / before.parameters.double().norm()
    return LazyRegime(
        kernel_drift=kernel_drift(*kernels),
        overlap=float((first.T @ last).square().sum()) / k,
        random_overlap=k / samples,
        prediction_r2=explained_variance(end, linear),
        change_r2=1 - _over((linear - end).square().sum(), (end - start).square().sum()),
        parameter_change=float(moved),
    )


def explained_variance(truth: Tensor, prediction: Tensor) -> float:
    """R^2 = 1 - ||f - g||^2 / ||f - mean f||^2, the mean of each output over the samples; all outputs together.

    Args:
        truth: f (N, C), not constant.
        prediction: g (N, C).

    Raises:
        ValueError: If they are of other shapes.
    """
    if truth.shape != prediction.shape or truth.ndim != 2:
        raise ValueError(f"outputs of one shape (N, C) are accepted, got {truth.shape} and {prediction.shape}")
    wide = truth.double()
    return 1 - _over((prediction.double() - wide).square().sum(), (wide - wide.mean(dim=0)).square().sum())


def _outputs(network: Network, parameters: Tensor) -> Tensor:
    """Outputs (N, C) at other parameters, in float64."""
    with torch.no_grad():
        return torch.cat([network.on(batch)(parameters) for batch in network.batches]).double()


def _over(part: Tensor, whole: Tensor) -> float:
    """Part over whole: 0 where both are zero, as where nothing was trained."""
    return 0.0 if not bool(part) else float(part / whole)


def _same_data(one: Network, other: Network) -> bool:
    if [batch.size for batch in one.batches] != [batch.size for batch in other.batches]:
        return False
    pairs = [
        pair
        for mine, theirs in zip(one.batches, other.batches, strict=True)
        for pair in zip(tensors_of(mine.inputs), tensors_of(theirs.inputs), strict=True)
    ]
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)

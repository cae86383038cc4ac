"""The estimate of lost orthogonality: the recurrence of Simon, term by term."""

import numpy as np
import torch

from hessbench.methods.krylov.semiorthogonal import Periodic


def simon(alphas, betas, noise):
    """Estimates w[j + 1, k] of q_(j+1)^T q_k by loops, with the rounding of a step added away from zero."""
    steps = alphas.size
    w = np.eye(steps + 1)
    for j in range(steps):
        for k in range(j):
            grown = betas[k] * w[j, k + 1] + (alphas[k] - alphas[j]) * w[j, k] - betas[j - 1] * w[j - 1, k]
            if k:
                grown += betas[k - 1] * w[j, k - 1]
            w[j + 1, k] = grown / betas[j] + np.copysign(noise / betas[j], grown)
        w[j + 1, j] = noise / betas[j]
    return w


def test_periodic_asks_for_passes_at_the_step_where_the_recurrence_passes_the_root_of_eps():
    eps, scale = 2.0**-52, 3.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        alphas, betas = rng.standard_normal(60), rng.uniform(0.05, 1.0, 60)
        w = simon(alphas, betas, 3.0 * eps * scale)
        expected = next(j for j in range(60) if np.abs(w[j + 1, : j + 1]).max() > eps**0.5)
        watch = Periodic(eps)
        Q = torch.zeros(61, 1, dtype=torch.float64)
        asked = [watch.rows(Q[: j + 1], alphas[: j + 1], betas[: j + 1], scale).shape[0] for j in range(expected + 3)]
        # The whole basis on two consecutive vectors, and nothing before or after.
        assert asked == [0] * expected + [expected + 1, expected + 2, 0]

"""PyHessian's class with products of ours, and with its own on a copy of the network, charged before each."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from hessbench.counting import CountingOperator
from hessbench.distributions import library
from hessbench.estimand import Estimate
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.borrowed import borrowed
from hessbench.operators import ProductKind

SETUP: Final = 1
"""The gradient that its constructor takes and keeps."""


def counted_peer(op: CountingOperator) -> Any:
    """Its class with products of ours; it draws and multiplies lists of tensors, here of one."""

    class CountedPeer(library("pyhessian.hessian").hessian):  # pyright: ignore[reportUntypedBaseClass]
        def __init__(self) -> None:
            self.device, self.full_dataset = str(op.device), True
            self.params = [torch.empty(op.dim, dtype=op.dtype, device=op.device)]
            self.model = SimpleNamespace(zero_grad=lambda: None)

        def dataloader_hv_product(self, v: list[Tensor]) -> tuple[float, list[Tensor]]:
            # A copy: it writes into what it is handed.
            product = (op @ v[0].to(op.dtype)).clone()
            return float(torch.sum(product * v[0])), [product]

    return CountedPeer()


@contextmanager
def own_peer(op: CountingOperator) -> Generator[tuple[Any, int]]:
    """Its class on a copy of the network with products that are charged first, and what its constructor spent.

    Raises:
        ValueError: If the operator is no Hessian, or the loss of several batches a sum, which it takes for a mean.
    """
    module = library("pyhessian.hessian")
    with borrowed(op, ProductKind.HESSIAN) as lent:
        copy = lent.copy
        single = len(copy.batches) == 1
        if not single and getattr(copy.loss, "reduction", "") != "mean":
            raise ValueError("PyHessian takes the loss of several batches for a mean: one batch or a mean is accepted")

        class ChargedPeer(module.hessian):  # pyright: ignore[reportUntypedBaseClass]
            def dataloader_hv_product(self, v: list[Tensor]) -> tuple[float, list[Tensor]]:
                # Of several batches it keeps no graph, and makes the gradient again.
                lent.charge(1)
                lent.charge_beside(ProductKind.GRADIENT)
                return super().dataloader_hv_product(v)

        kept_product = module.hessian_vector_product

        def charged(gradients: Any, parameters: Any, v: Any) -> Any:
            lent.charge(1)
            return kept_product(gradients, parameters, v)

        if single:
            lent.charge(SETUP, ProductKind.GRADIENT)
        data = {"data": copy.batches[0]} if single else {"dataloader": list(copy.batches)}
        with torch.enable_grad(), patch.object(module, "hessian_vector_product", charged):
            yield ChargedPeer(copy.model, copy.loss, cuda=op.device.type == "cuda", **data), SETUP if single else 0


def removed_eig(T: Tensor, eigenvectors: bool = False) -> tuple[Tensor, Tensor]:
    """The function of that name that torch had, for a symmetric matrix: values (m, 2), their imaginary parts beside."""
    del eigenvectors
    values, vectors = torch.linalg.eig(T)
    return torch.view_as_real(values), vectors.real


def eigenvalues_by(peer: Any, num_matvecs: int, tol: float, max_iter: int, k: int) -> Estimate:
    """Its `eigenvalues`, with the steps that the budget holds for each of k.

    Args:
        peer: Of its class.
        num_matvecs: Most products, at least k.
        tol: Its tolerance.
        max_iter: Its most products for each.
        k: Number of eigenvalues.
    """
    check_at_least("num_matvecs", num_matvecs, k)
    steps = min(max_iter, num_matvecs // k)
    values, _ = peer.eigenvalues(maxIter=steps, tol=tol, top_n=k)
    said = {"asked": f"eigenvalues(maxIter={steps}, tol={tol:g}, top_n={k})", "asked_matvecs": steps * k}
    return Estimate(torch.tensor(values, dtype=torch.float64), diagnostics={**said, "reported": "no count"})


def trace_by(peer: Any, num_matvecs: int, tol: float) -> Estimate:
    """Its `trace`, the mean of its probes."""
    probes = peer.trace(maxIter=num_matvecs, tol=tol)
    said = {"asked": f"trace(maxIter={num_matvecs}, tol={tol:g})", "asked_matvecs": num_matvecs}
    return Estimate(
        float(np.mean(probes)),
        # It returns because its rule held, unless every probe was spent.
        converged=len(probes) < num_matvecs,
        diagnostics={**said, "reported": f"{len(probes)} probes", "matvecs": len(probes)},
    )


def density_by(peer: Any, num_matvecs: int, steps: int) -> Estimate:
    """Its `density`, with as many probes as the budget holds."""
    steps = min(steps, num_matvecs)
    probes = num_matvecs // steps
    with patch.object(torch, "eig", removed_eig, create=True):
        nodes, weights = peer.density(iter=steps, n_v=probes)
    said = {"asked": f"density(iter={steps}, n_v={probes})", "asked_matvecs": steps * probes}
    flat, mass = np.concatenate(nodes).astype(np.float64), np.concatenate(weights).astype(np.float64)
    return Estimate((flat, mass / probes), diagnostics={**said, "reported": "no count", "shim": "torch.eig"})

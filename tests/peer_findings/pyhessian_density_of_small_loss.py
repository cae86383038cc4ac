"""PyHessian 0.1: its density shrinks where the loss is small, since 1e-6 is added to every norm that it divides by.

The largest node over the loss's scale, with a shim for `torch.eig`: 1e-6 loses a large part of it.
"""

from unittest.mock import patch

import torch
from pyhessian import hessian
from torch import nn


def eig(T: torch.Tensor, eigenvectors: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    values, vectors = torch.linalg.eig(T)
    return torch.view_as_real(values), vectors.real


class Scaled(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.scale * nn.functional.cross_entropy(outputs, targets)


def top(scale: float) -> float:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    data = torch.randn(40, 6), torch.randint(3, (40,))
    peer = hessian(model, Scaled(scale), data=data, cuda=False)
    with patch.object(torch, "eig", eig, create=True):
        nodes, _ = peer.density(iter=20, n_v=1)
    return float(max(nodes[0])) / scale


def main() -> None:
    found = {scale: top(scale) for scale in (1.0, 1e-4, 1e-6)}
    print("largest node over the scale of the loss:", found)
    assert abs(found[1e-4] / found[1.0] - 1) < 0.2
    assert found[1e-6] / found[1.0] < 0.8


if __name__ == "__main__":
    main()

"""PyHessian 0.1: with a loss that is a sum, two batches give half of what the same data give in one batch.

The loader path weighs every batch by its samples and divides by all of them, which is right for a mean only; nothing is
said.
"""

import torch
from pyhessian import hessian
from torch import nn


def top(**data: object) -> float:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    peer = hessian(model, nn.CrossEntropyLoss(reduction="sum"), cuda=False, **data)
    return peer.eigenvalues(maxIter=500, tol=1e-6)[0][0]


def main() -> None:
    torch.manual_seed(0)
    X, y = torch.randn(40, 6), torch.randint(3, (40,))
    one, two = top(data=(X, y)), top(dataloader=[(X[:20], y[:20]), (X[20:], y[20:])])
    print(f"largest eigenvalue of a summed loss: one batch {one:.4f}, two batches {two:.4f}")
    assert abs(two / one - 0.5) < 1e-3


if __name__ == "__main__":
    main()

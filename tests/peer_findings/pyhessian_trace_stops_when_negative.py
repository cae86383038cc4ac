"""PyHessian 0.1: `trace()` stops as soon as the running mean turns negative, whatever the tolerance.

Its rule divides the change by the mean with its sign, and a negative number is below every tolerance, zero too. So the
trace of a matrix with a negative one is two or three probes; and of a positive one where the first mean happens to be
below 0.
"""

import torch
from pyhessian import hessian
from torch import nn


class Negative(nn.Module):
    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return -nn.functional.cross_entropy(outputs, targets)


def peer(loss: nn.Module) -> hessian:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    data = torch.randn(40, 6), torch.randint(3, (40,))
    return hessian(model, loss, data=data, cuda=False)


def main() -> None:
    negative = peer(Negative())
    probes = []
    for seed in range(10):
        torch.manual_seed(seed)
        probes.append(len(negative.trace(maxIter=1000, tol=0.0)))
    positive = peer(nn.CrossEntropyLoss())
    early = []
    for seed in range(30):
        torch.manual_seed(seed)
        found = positive.trace()
        early += [round(sum(found) / 2, 2)] if len(found) == 2 and sum(found) < 0 else []
    print(f"negative trace, tol 0, 1000 asked: {probes} probes; positive trace ended below 0: {early}")
    assert max(probes) < 20
    assert early


if __name__ == "__main__":
    main()

"""PyHessian 0.1 (the release): `density()` ends in `torch.eig`, which torch no longer has, after all its products."""

import torch
from pyhessian import hessian
from torch import nn


def main() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    data = torch.randn(40, 6), torch.randint(3, (40,))
    try:
        hessian(model, nn.CrossEntropyLoss(), data=data, cuda=False).density(iter=5)
    except (RuntimeError, AttributeError) as failure:
        print(f"{type(failure).__name__}: {str(failure)[:80]}")
        return
    raise AssertionError("density() went through")


if __name__ == "__main__":
    main()

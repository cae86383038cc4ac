"""PyHessian 0.1: a model handed over in training mode is left in evaluation mode, and the matrix is of that mode."""

import torch
from pyhessian import hessian
from torch import nn


def main() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).train()
    hessian(model, nn.CrossEntropyLoss(), data=(torch.randn(40, 6), torch.randint(3, (40,))), cuda=False)
    print("training before: True, after:", model.training)
    assert not model.training


if __name__ == "__main__":
    main()

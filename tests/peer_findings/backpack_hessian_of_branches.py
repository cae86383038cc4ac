"""BackPACK 1.7.1: `DiagHessian` raises for a network that branches, such as a residual one; `DiagGGNExact` does not."""

import torch
from backpack import backpack, extend
from backpack.extensions import DiagGGNExact, DiagHessian
from torch import nn


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last, self.relu = nn.Linear(6, 6), nn.Linear(6, 3), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.relu(x + self.inner(x)))


def outcome(extension: object) -> str:
    model, loss = extend(Residual(), use_converter=True), extend(nn.CrossEntropyLoss())
    try:
        with backpack(extension):
            loss(model(torch.randn(5, 6)), torch.randint(3, (5,))).backward()
    except NotImplementedError as failure:
        return f"NotImplementedError: {str(failure)[:70]}"
    return "answers"


def main() -> None:
    torch.manual_seed(0)
    found = {type(extension).__name__: outcome(extension) for extension in (DiagGGNExact(), DiagHessian())}
    print(found)
    assert found["DiagGGNExact"] == "answers"
    assert found["DiagHessian"].startswith("NotImplementedError")


if __name__ == "__main__":
    main()

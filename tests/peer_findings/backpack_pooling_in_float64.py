"""BackPACK 1.7.1: `DiagGGNExact` raises in float64 where pixels are averaged: its constants have the default dtype."""

import backpack
import torch
from backpack.extensions import DiagGGNExact
from torch import nn


def diagonal(dtype: torch.dtype) -> torch.Tensor:
    """The diagonal of the GGN in the weights before a pooling."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    model, loss = backpack.extend(model.to(dtype)), backpack.extend(nn.CrossEntropyLoss())
    with backpack.backpack(DiagGGNExact()):
        loss(model(torch.randn(4, 1, 6, 6, dtype=dtype)), torch.tensor([0, 1, 2, 0])).backward()
    return model[0].weight.diag_ggn_exact


def main() -> None:
    """Show the crash, and that the default dtype decides."""
    assert diagonal(torch.float32).isfinite().all()
    try:
        diagonal(torch.float64)
    except RuntimeError as failure:
        print(f"float64: {failure}")
    else:
        raise AssertionError("float64 is fine now")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert diagonal(torch.float64).isfinite().all()
    finally:
        torch.set_default_dtype(before)


if __name__ == "__main__":
    main()

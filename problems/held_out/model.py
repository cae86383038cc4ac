"""What a held-out network is: how it is made, what it takes and what it returns, all drawn from a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from hessbench.seeding import derive_seed, make_generator

SAMPLES: Final = 3
"""Samples by default: first, middle and last."""

Inputs = Callable[[int, torch.Generator], Tensor]
"""Inputs (m, ...) of m samples."""


class Formula(nn.Module):
    """A network that is a formula over named parts: modules, or tensors that become parameters."""

    def __init__(self, formula: Callable[[Any, Tensor], Tensor], **parts: nn.Module | Tensor) -> None:
        super().__init__()
        self._formula = formula
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (m, C)."""
        return self._formula(self, inputs)


@dataclass(frozen=True)
class HeldOutModel:
    """An architecture that is in no registry, small enough for a dense Hessian.

    Attributes:
        name: Name.
        build: Makes the module, from torch's own random state where it draws.
        inputs: Draws the inputs of some samples.
        outputs: Number C of outputs.
        samples: Number of samples.
        fitted: Whether it is to have fitted its data, so that targets follow its outputs and the loss is near zero.
        refused: Words of a refusal that is right, as of an operation without a second derivative; empty where none is.
        tolerance: Error accepted relative to the size of a matrix, where torch itself rounds to float32.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Inputs
    outputs: int
    samples: int = SAMPLES
    fitted: bool = False
    refused: str = ""
    tolerance: float = 1e-10

    def make(self, generator: torch.Generator) -> nn.Module:
        """The module in float64 and in evaluation mode; vectors that torch starts at 0 or 1 are moved from there."""
        seed = int(torch.randint(2**31, (), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # layers of torch draw their weights from nowhere else
            module = self.build().double().eval()
        with torch.no_grad():
            for value in module.parameters():
                if value.ndim == 1:
                    value.add_(torch.randn(value.shape, generator=generator, dtype=value.dtype), alpha=0.2)
            for name, value in module.named_buffers():
                if name.endswith("running_mean"):
                    value.copy_(torch.randn(value.shape, generator=generator, dtype=value.dtype))
                elif name.endswith("running_var"):
                    value.copy_(0.5 + torch.rand(value.shape, generator=generator, dtype=value.dtype))
        return module

    def draw(self, seed: int) -> tuple[nn.Module, Tensor]:
        """The module and its inputs, the same for the same seed."""
        generator = make_generator(derive_seed("held-out-model", self.name, str(seed)))
        return self.make(generator), self.inputs(self.samples, generator)


def values(*shape: int) -> Inputs:
    """Standard normal inputs (m, *shape)."""
    return lambda samples, generator: torch.randn(samples, *shape, generator=generator, dtype=torch.float64)


def tokens(vocabulary: int, length: int) -> Inputs:
    """Tokens (m, length) from 0 to vocabulary - 1."""
    return lambda samples, generator: torch.randint(vocabulary, (samples, length), generator=generator)

"""What BackPACK's squares take of their price: it sends all columns back together, and squares dense layers once.

A square of one column is priced as a backward pass: through each layer, and into its weights. BackPACK sends nothing
through the first layer, and of a dense layer it sums the squares of all columns before it multiplies them with those of
the inputs, sum_n (sum_c d_nco^2) x_ni^2.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from hessbench.network_copy import NetworkCopy

_CURVED: Final = (nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.ELU, nn.SELU)
"""Activations whose second derivative does not vanish."""

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def square_work(copy: NetworkCopy, columns: int, *, residual: bool = False) -> float:
    """Share of the price of its squares that they take, by counting multiplications in dense layers and convolutions.

    Args:
        copy: The network.
        columns: Columns that are sent back from the loss.
        residual: Whether a root for each unit of an activation with curvature is sent back too, as two columns, one for
            either sign.
    """
    calls = _calls(copy, (nn.Linear, *_CONVOLUTIONS, *(_CURVED if residual else ())))
    sent, squared, roots, done, full = columns, 1, columns, 0.0, 0.0
    layers = [number for number, (module, _) in enumerate(calls) if not isinstance(module, _CURVED)]
    for number, (module, output) in reversed(list(enumerate(calls))):
        if isinstance(module, _CURVED):
            sent, squared, roots = sent + 2 * output.numel(), squared + 2, roots + output.numel()
            continue
        products = _multiplications(module, output)
        through = sent if number != layers[0] else 0
        done += products * (through + (squared if isinstance(module, nn.Linear) else sent))
        full += 2 * products
    return done / (full * roots) if full else 1.0


def curved_units(copy: NetworkCopy) -> int:
    """Units of one sample in activations with curvature."""
    return sum(output.numel() for _, output in _calls(copy, _CURVED))


def _multiplications(module: nn.Module, output: Tensor) -> int:
    """Of one sample: an entry of the weights for each place of the output."""
    weight: Any = module.weight
    return weight.numel() * (output.numel() // weight.shape[0])


def _calls(copy: NetworkCopy, kinds: tuple[type[nn.Module], ...]) -> list[tuple[nn.Module, Tensor]]:
    """Modules of some kinds in the order they are called, each with its output (...) for the first sample."""
    found: list[tuple[nn.Module, Tensor]] = []

    def seen(module: nn.Module, inputs: object, output: Tensor) -> None:
        del inputs
        found.append((module, output[0]))

    handles = [module.register_forward_hook(seen) for module in copy.model.modules() if isinstance(module, kinds)]
    with torch.no_grad():
        copy.model(copy.batches[0][0][:1])
    for handle in handles:
        handle.remove()
    return found

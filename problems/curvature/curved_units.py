"""The diagonal of a residual exactly, from the units in which a network is curved.

By the chain rule the second derivative of <s, outputs> in a parameter p is a sum over the operations y = f(x) of a
network, sum_y <d_y, f''(x) [dx/dp, dx/dp]>, with d_y the cotangent of y that s comes to. An operation that is affine in
all of its arguments that move with p adds nothing. Where all others are functions of single numbers, y_u = f(x_u),

    diag(R)_p = sum_i sum_u c_iu (dx_iu / dp)^2,    c_iu = d_iu f''(x_iu),

squares of gradients of single samples with weights of either sign, as those of the outputs are the diagonal of a GGN
(Dangel, Kunstner and Hennig 2020, BackPACK, https://arxiv.org/abs/1912.10985, whose roots of a residual these are).
What feeds a unit straight from a dense layer needs no pass back: there dx_iu/dp is the layer's input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast, final

import torch
from torch import Tensor

from hessbench.exceptions import first_line, is_out_of_memory
from hessbench.problems.curvature.layer_calls import LayerCall, LayerCalls
from hessbench.problems.curvature.layer_squares import starts_of
from hessbench.problems.curvature.rules.dependence import course_of
from hessbench.problems.curvature.rules.structure import bent_operations
from hessbench.problems.curvature.unit_calls import CURVED_OPERATIONS, UnitCall, UnitCalls
from hessbench.problems.networks.inputs import Inputs, taken
from hessbench.problems.networks.network import Network, refuse_group

_COLUMNS: Final = 64
"""Units of every sample that are sent back at once."""

_ENTRIES: Final = 2**25
"""Entries of gradients in activations held at a time."""

_ACCEPTED: Final = (
    "accepted is a network whose parameters all belong to dense layers, convolutions of images or batch norm on stored "
    "statistics, each used once, and that is curved in functions of single numbers alone, such as tanh"
)


@dataclass(frozen=True)
class _Size:
    """What one sample takes: activations of its layers, units, and multiplications of all the work for R's diagonal."""

    activations: int
    units: int
    multiplications: float
    forward: float


class _Recorded(NamedTuple):
    """A pass through a network: its outputs, layers with their places in the flat vector, and curved functions."""

    outputs: Tensor
    layers: list[LayerCall]
    starts: list[tuple[int, int | None]]
    curved: list[UnitCall]


@final
class CurvedUnits:
    """Units in which a network is curved; see the top of this file.

    Args:
        network: The network whose Hessian is R, see `residual.residual_network`: its targets are the slopes s.

    Attributes:
        num_units: Units of each sample; 0 where R has a zero diagonal.

    Cost: a forward pass of one sample.

    Raises:
        ValueError: If the network is none whose diagonal these give, with what is accepted.
    """

    def __init__(self, network: Network) -> None:
        refuse_group(network, "the diagonal of a residual from its units")
        self._network = network
        first = self._recorded(taken(network.batches[0].inputs, slice(1)), 1)
        self._only = first if network.num_samples == 1 else None
        self._size = _size_of(first)
        self.num_units = self._size.units

    @property
    def work(self) -> float:
        """Share of the price of `num_units` per-example squares that the diagonal takes, by multiplications."""
        size = self._size
        return size.multiplications / (2 * size.forward * size.units) if size.units and size.forward else 1.0

    def diagonal(self) -> Tensor:
        """The diagonal of R, (n,).

        Cost: two forward passes, one backward pass, and one for each unit behind which lies another layer, through the
        activations; in all the share `work` of `num_units` per-example squares.

        Raises:
            ValueError: If the network is curved in other units for some of its samples.
        """
        network, size = self._network, self._size
        found = network.parameters.new_zeros(network.parameters.numel())
        chunk = max(1, _ENTRIES // max(size.activations * min(_COLUMNS, max(size.units, 1)), 1))
        for batch in network.batches:
            for start in range(0, batch.size, chunk):
                part = slice(start, start + chunk)
                slopes = batch.targets[part]
                recorded = self._only or self._recorded(taken(batch.inputs, part), slopes.shape[0])
                if sum(call.units[0].numel() for call in recorded.curved) != size.units:
                    raise ValueError(f"samples of this network are curved in unlike numbers of units: {_ACCEPTED}")
                _add_squares(found, recorded, slopes, batched=network.batched)
        return found * network.scale

    def _recorded(self, inputs: Inputs, samples: int) -> _Recorded:
        """Run some samples, first to see that nothing but functions of single numbers is curved.

        Raises:
            ValueError: If something else is, or a layer is not known.
        """
        network = self._network
        forward = network.forward if network.as_written is None else network.as_written
        try:
            bends = bent_operations(course_of(forward, network.parameters, inputs), network.parameters.numel())
        except Exception as failure:  # a model under the recorder may raise anything
            if is_out_of_memory(failure):
                raise
            said = first_line(failure)
            raise ValueError(f"what this network computes could not be followed ({said}): {_ACCEPTED}") from failure
        unknown = sorted({str(bend) for bend in bends if bend not in CURVED_OPERATIONS})
        if unknown:
            raise ValueError(f"this network is curved in {unknown[0]}: {_ACCEPTED}")
        parameters = network.parameters.detach().clone().requires_grad_()
        with torch.enable_grad(), LayerCalls() as layers, UnitCalls() as curved:
            outputs = forward(parameters, inputs)
        starts = starts_of(layers, parameters, outputs, samples)
        if starts is None:
            raise ValueError(f"a layer of this network is not known, or its weights are used twice: {_ACCEPTED}")
        seen = curved.found
        whole = all(call.values._version == call.version and call.units.shape[0] == samples for call in seen)
        if len(seen) != len(bends) or not whole:
            raise ValueError(f"of {len(bends)} curved operations of this network {len(seen)} are known: {_ACCEPTED}")
        return _Recorded(outputs, layers.found, starts, seen)


def _size_of(recorded: _Recorded) -> _Size:
    """What one sample takes, from a pass of one."""
    products = [
        call.weight.numel() * (call.outputs.numel() // call.weight.shape[0]) if call.weight.ndim > 1 else 0
        for call in recorded.layers
    ]
    forward = float(sum(products))
    units = [call.units.numel() for call in recorded.curved]
    # The check and the pass itself; what s comes to; then each unit's own way back, and the squares in the layers.
    work = 3 * forward
    for call, count in zip(recorded.curved, units, strict=True):
        behind = _behind(recorded.layers, call)
        work += count * sum(products[number] for number in behind[1:])
        work += sum(products[n] for n in behind if recorded.layers[n].rows is not None)
        work += sum(2 * count * products[n] for n in behind if recorded.layers[n].rows is None)
    return _Size(sum(call.outputs.numel() for call in recorded.layers), sum(units), work, forward)


def _behind(layers: Sequence[LayerCall], call: UnitCall) -> list[int]:
    """The layers that units come from, by one pass back."""
    reached = [layer.outputs for layer in layers]
    found = torch.autograd.grad(call.units.sum(), reached, retain_graph=True, allow_unused=True)
    return [number for number, part in enumerate(found) if cast("Tensor | None", part) is not None]


def _add_squares(total: Tensor, recorded: _Recorded, slopes: Tensor, *, batched: bool) -> None:
    """Add the weighted squares of all units of some samples to the diagonal (n,)."""
    outputs, layers, starts, curved = recorded
    if not curved:
        return
    cotangents = torch.autograd.grad(
        outputs, [call.values for call in curved], slopes, retain_graph=True, materialize_grads=True
    )
    # Of a dense layer the weights of the squared inputs, (m, b), are summed over all units first.
    dense = {n: torch.zeros_like(layer.outputs) for n, layer in enumerate(layers) if layer.rows is not None}
    for call, cotangent in zip(curved, cotangents, strict=True):
        weights = (cotangent * call.second).flatten(1)
        straight = next((n for n in dense if layers[n].outputs is call.units), -1)
        if straight >= 0:
            dense[straight] += weights
        others = [n for n in _behind(layers, call) if n != straight]
        for first, columns in _sent_back(call.units, [layers[n].outputs for n in others], batched=batched):
            for number, gradients in zip(others, columns, strict=True):
                own = weights[:, first : first + gradients.shape[0]].T
                if number in dense:
                    dense[number] += torch.einsum("km,kmb->mb", own, gradients.square())
                else:
                    _add_other(total, layers[number], starts[number], own, gradients)
    for number, known in dense.items():
        rows, (weight, bias) = layers[number].rows, starts[number]
        assert rows is not None
        total[weight : weight + rows.shape[1] * known.shape[1]] += (known.T @ rows.square()).flatten()
        if bias is not None:
            total[bias : bias + known.shape[1]] += known.sum(dim=0)


def _add_other(
    total: Tensor, layer: LayerCall, start: tuple[int, int | None], weights: Tensor, gradients: Tensor
) -> None:
    """Squares of a layer that sums them over the samples itself: those of either sign apart.

    Args:
        total: The diagonal (n,).
        layer: The layer.
        start: Where its weight and its bias begin.
        weights: c_iu (k, m).
        gradients: Of the units in the layer's outputs, (k, m, ...).
    """
    weight, bias = start
    for sign in (1, -1):
        roots = (sign * weights).clamp_min(0).sqrt().reshape(*weights.shape, *(1,) * (gradients.ndim - 2))
        of_weight, of_bias = layer.squares((gradients * roots).unbind())
        total[weight : weight + of_weight.shape[1]] += sign * of_weight.sum(dim=0)
        if bias is not None and of_bias is not None:
            total[bias : bias + of_bias.shape[1]] += sign * of_bias.sum(dim=0)


def _sent_back(units: Tensor, reached: Sequence[Tensor], *, batched: bool) -> Iterator[tuple[int, Sequence[Tensor]]]:
    """Gradients (k, m, ...) of units first, first + 1, ... of every sample in what they come from."""
    samples, count = units.shape[0], units[0].numel()
    for first in range(0, count if reached else 0, _COLUMNS):
        width = min(_COLUMNS, count - first)
        seeds = units.new_zeros(width, samples, count)
        seeds[torch.arange(width), :, first + torch.arange(width)] = 1
        seeds = seeds.reshape(width, *units.shape)
        if batched:
            yield first, torch.autograd.grad(units, reached, seeds, retain_graph=True, is_grads_batched=True)
        else:
            found = [torch.autograd.grad(units, reached, seed, retain_graph=True) for seed in seeds]
            yield first, [torch.stack(column) for column in zip(*found, strict=True)]

"""Inputs of a network: one tensor, or tuples, lists and dicts of tensors, with the samples along the first axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

from torch import Tensor

Inputs: TypeAlias = Any
"""A tensor (m, ...), or tuples, lists and dicts of such: a forward pass takes the kind its network was made for."""

Places: TypeAlias = slice | Tensor
"""Samples: a range of them, or their numbers."""


def mapped(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """The same tree with a function of every tensor in its place."""
    if isinstance(inputs, Tensor):
        return function(inputs)
    if isinstance(inputs, dict):
        return {key: mapped(function, value) for key, value in cast("dict[str, Inputs]", inputs).items()}
    return type(inputs)(mapped(function, part) for part in inputs)


def tensors_of(inputs: Inputs) -> Iterator[Tensor]:
    """Every tensor of the tree, in its order."""
    if isinstance(inputs, Tensor):
        yield inputs
    else:
        for part in cast("dict[str, Inputs]", inputs).values() if isinstance(inputs, dict) else inputs:
            yield from tensors_of(part)


def taken(inputs: Inputs, places: Places) -> Inputs:
    """Some of the samples: views for a range, copies for numbers."""
    return mapped(lambda tensor: tensor[places], inputs)


def structure_of(inputs: Inputs) -> str:
    """The tree in words, without its tensors; empty for a single tensor."""
    if isinstance(inputs, Tensor):
        return ""
    if isinstance(inputs, dict):
        return f"{{{', '.join(f'{key}:{structure_of(value)}' for key, value in inputs.items())}}}"
    return f"({', '.join(structure_of(part) for part in inputs)})"

"""How a model takes its inputs, and which tensor of what it returns is meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from torch import Tensor, nn

from hessbench.problems.networks.inputs import Inputs

Arguments: TypeAlias = Callable[[Inputs], tuple[tuple[Any, ...], dict[str, Any]]]
"""From inputs to the positional and the keyword arguments of a call."""


class OtherOutput(ValueError):  # noqa: N818  # what else it is, is the news
    """A model returned something that is no tensor and names none."""


def whole(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inputs as the one argument."""
    return (inputs,), {}


def spread(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Every part an argument of its own, those of a dict by their names."""
    return ((), dict(inputs)) if isinstance(inputs, dict) else (tuple(inputs), {})


def ways_to_call(model: nn.Module, inputs: Inputs) -> tuple[Arguments, ...]:
    """The ways that the signature of `forward` allows, the likelier one first: parts as arguments, or all as one."""
    if isinstance(inputs, Tensor):
        return (whole,)
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return (spread, whole)

    def fits(arguments: Arguments) -> bool:
        positional, named = arguments(inputs)
        try:
            signature.bind(*positional, **named)
        except TypeError:
            return False
        return True

    return tuple(arguments for arguments in (spread, whole) if fits(arguments)) or (spread,)


def tensor_of(found: object) -> Tensor:
    """The tensor that a model returned: by itself, or as the `logits` of a dict or an object.

    Raises:
        OtherOutput: If there is none.
    """
    if isinstance(found, Mapping):
        named = cast("Mapping[str, object]", found).get("logits")
    else:
        named = found if isinstance(found, Tensor) else getattr(found, "logits", None)
    if not isinstance(named, Tensor):
        raise OtherOutput(
            f"the model returns a {type(found).__name__}: a tensor (m, ..., C), or a dict or an object with `logits`, "
            "is needed; put a model with several outputs into a module that returns one of them"
        )
    return named

"""What passes between the two processes of a sealed run, as JSON values and tensors: nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
from torch import Tensor, from_numpy

_DEEPEST: Final = 12


def written(value: Any, tensors: list[Tensor]) -> Any:
    """A value as JSON values; the tensors in it are added to a list, and their places stand for them.

    Args:
        value: A number, a text, nothing, a tensor, an array of numbers, or tuples, lists and dicts of these.
        tensors: Where the tensors go.

    Raises:
        TypeError: If it holds anything else.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(cast("Any", value))
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16:
            raise TypeError(f"an array of {array.dtype} is handed to no other process; an array of numbers is accepted")
        native = np.require(array.astype(array.dtype.newbyteorder("="), copy=False), requirements=["W"])
        if any(stride < 0 or stride % native.itemsize for stride in native.strides):
            native = native.copy()
        tensors.append(from_numpy(native))
        return {"array": len(tensors) - 1}
    if isinstance(value, int):
        return {"int": hex(value)}
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, Tensor):
        tensors.append(value.detach())
        return {"tensor": len(tensors) - 1}
    if isinstance(value, tuple):
        return {"tuple": [written(inner, tensors) for inner in cast("tuple[Any, ...]", value)]}
    if isinstance(value, list):
        return [written(inner, tensors) for inner in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        found = cast("Mapping[Any, Any]", value)
        return {"dict": [[written(key, tensors), written(inner, tensors)] for key, inner in found.items()]}
    raise TypeError(f"{type(value).__name__} is handed to no other process; numbers, tensors and arrays are accepted")


def read(said: Any, tensors: Sequence[Tensor], depth: int = 0) -> Any:
    """The value that `written` wrote, whoever sent it.

    Raises:
        ValueError: If it is none.
    """
    if said is None or isinstance(said, bool | str):
        return said
    if depth > _DEEPEST:
        raise ValueError("a value nested too deep was sent")
    if isinstance(said, list):
        return [read(inner, tensors, depth + 1) for inner in cast("list[Any]", said)]
    if not isinstance(said, dict) or len(cast("dict[Any, Any]", said)) != 1:
        raise ValueError("a value of no known kind was sent")
    ((kind, inner),) = cast("dict[str, Any]", said).items()
    if kind in ("tensor", "array") and type(inner) is int and 0 <= inner < len(tensors):
        return tensors[inner] if kind == "tensor" else tensors[inner].numpy()
    if kind == "int" and isinstance(inner, str) and len(inner) < 5000:
        return int(inner, 16)
    if kind == "float" and isinstance(inner, str):
        return float.fromhex(inner)
    if kind == "tuple" and isinstance(inner, list):
        return tuple(read(part, tensors, depth + 1) for part in cast("list[Any]", inner))
    if kind == "dict" and isinstance(inner, list):
        pairs = [read(pair, tensors, depth + 1) for pair in cast("list[Any]", inner)]
        if all(isinstance(pair, list) and len(cast("list[Any]", pair)) == 2 for pair in pairs):
            return {key: value for key, value in pairs if isinstance(key, str | int | float | bool | type(None))}
    raise ValueError("a value of no known kind was sent")

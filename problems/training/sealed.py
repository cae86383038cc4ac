"""Tensors and facts in one safetensors file, sealed by a digest of both: a file is read whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

import numpy as np
import safetensors
import safetensors.torch
from torch import Tensor

from hessbench.problem import array_hash

_DIGEST: Final = "sha256"
_HEADER_LIMIT: Final = 100_000_000


def seal(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> bytes:
    """Bytes of a safetensors file with the tensors, the facts and a SHA-256 over both."""
    own = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(own, {**facts, _DIGEST: _digest(own, facts)})


def unseal(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and facts of a sealed file.

    Raises:
        ValueError: If the file is cut, changed or not one that `seal` made; the message says which, without a subject.
    """
    try:
        tensors = safetensors.torch.load(data)
        facts = _metadata(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as failure:
        raise ValueError("is cut or is no safetensors file") from failure
    expected = facts.pop(_DIGEST, None)
    if expected is None or expected != _digest(tensors, facts):
        raise ValueError("does not hold what was written into it")
    return tensors, facts


def state_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and values, in the order of the names."""
    names = sorted(state)
    listed = json.dumps([(name, str(state[name].dtype), list(state[name].shape)) for name in names])
    content = array_hash(*(state[name].detach().cpu().numpy() for name in names))
    return hashlib.sha256(f"{listed}\0{content}".encode()).hexdigest()


def _digest(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> str:
    return hashlib.sha256(f"{json.dumps(dict(facts), sort_keys=True)}\0{state_hash(tensors)}".encode()).hexdigest()


def _metadata(data: bytes) -> dict[str, str]:
    """The facts, which the library's reader of bytes does not hand out: text in JSON behind its length.

    Raises:
        ValueError: If the header is longer than 100 MB, or is no JSON.
    """
    size = int(np.frombuffer(data[:8], dtype="<u8")[0])
    if size > _HEADER_LIMIT:
        raise ValueError("the header is too long")
    facts = json.loads(data[8 : 8 + size])["__metadata__"]
    return {str(name): str(text) for name, text in facts.items()}

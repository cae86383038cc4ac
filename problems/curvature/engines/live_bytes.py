"""How many bytes of tensors live at a time, counted allocation by allocation, the same on every machine."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, Final, cast, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

_STORED: Final = (Tensor, torch.nn.Parameter)


@final
class LiveBytes(TorchDispatchMode):
    """Counts the storage of tensors made while it is entered, and what of it lives on.

    What existed before counts nothing. What an operation takes for itself and gives back within it (a workspace of a
    convolution) is not seen.

    Attributes:
        live: Bytes made since it was entered, and still alive.
        peak: The most that were alive at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled within: the guard against it would import the compiler, 1.3 s

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation and count what it made."""
        del types
        keywords = dict(kwargs or {})
        given = [*_tensors(args), *_tensors(keywords.values())]
        if any(leaf._is_zerotensor() for leaf in given):
            args, keywords = tree_map(_filled, (tuple(args), keywords))
            given = [*_tensors(args), *_tensors(keywords.values())]
        for leaf in given:
            self._meet(leaf, made=False)
        result = func(*args, **keywords)
        for leaf in _tensors((result,)):
            self._meet(leaf, made=True)
        return result

    def restart(self) -> None:
        """Forget the peak so far."""
        self.peak = self.live

    def _meet(self, leaf: Tensor, *, made: bool) -> None:
        if leaf.layout != torch.strided:
            return
        storage = leaf.untyped_storage()
        try:
            address = storage.data_ptr()
        except RuntimeError:  # zeros that forward mode stands for by no memory at all
            return
        if address == 0 or address in self._known:
            return
        self._known.add(address)
        size = storage.nbytes() if made else 0
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._part, address, size)

    def _part(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.live -= size


def _tensors(values: Iterable[object]) -> Generator[Tensor]:
    """The tensors among the arguments of an operation, which come alone or in lists, or among what it returns.

    Stand-ins of a trace, which are kinds of tensors of their own, take no memory and are none of them.
    """
    for value in values:
        if type(value) in _STORED:
            yield cast("Tensor", value)
        elif isinstance(value, list | tuple):
            yield from _tensors(cast("Sequence[object]", value))


def _filled(leaf: object) -> object:
    """Zeros in memory in place of those that forward mode stands for by none, of which torch 2.13 crashes in a mode."""
    if isinstance(leaf, Tensor) and type(leaf) in _STORED and leaf._is_zerotensor():
        return torch.zeros(leaf.shape, dtype=leaf.dtype, device=leaf.device)
    return leaf

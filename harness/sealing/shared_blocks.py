"""Tensors in memory that two processes share: written with the strides they have, read as a copy of one's own.

A product may differ in its last bits with the strides and the alignment of its block, so both are kept.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, cast, final

import torch
from torch import Tensor

_ALIGNMENT: Final = 64
"""Bytes to which the tensor library aligns what it allocates."""
_GRAIN: Final = 1 << 20
_MOST_DIMENSIONS: Final = 8
_MOST_SPREAD: Final = 8
_SMALL_BYTES: Final = 1 << 28

DTYPES: Final = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128,
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    )
}  # fmt: skip
"""What travels, by name."""
_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class BlockLayout:
    """Where a tensor lies in a block of memory.

    Attributes:
        dtype: Its type.
        shape: Its shape.
        strides: Its strides, in entries; 0 where an axis repeats itself.
        offset: Of its first entry, in bytes.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @cached_property
    def span(self) -> int:
        """Entries from the first to the last, both included."""
        if 0 in self.shape:
            return 0
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))

    @cached_property
    def end(self) -> int:
        """Bytes up to its end."""
        return self.offset + self.span * self.dtype.itemsize

    @cached_property
    def is_packed(self) -> bool:
        """Whether its entries lie side by side, each once."""
        repeats = any(stride == 0 and size > 1 for size, stride in zip(self.shape, self.strides, strict=True))
        return self.span == math.prod(self.shape) and not repeats

    def entries(self, tensor: Tensor) -> Tensor:
        """What is to be copied of a tensor that lies like this: each entry once."""
        if self.is_packed:
            # As one axis: a copy of a column whose other stride is not 1 takes the tensor library 50 times as long.
            return tensor.as_strided((self.span,), (1,), tensor.storage_offset())
        for axis, stride in enumerate(self.strides):
            if stride == 0 and self.shape[axis] > 1:
                tensor = tensor.narrow(axis, 0, 1)
        return tensor

    @property
    def plain(self) -> list[Any]:
        """As JSON values."""
        return [_NAMES[self.dtype], list(self.shape), list(self.strides), self.offset]

    @classmethod
    def read(cls, said: Any) -> BlockLayout:
        """Read what `plain` wrote, whoever sent it.

        Raises:
            ValueError: If it is none.
        """
        if not isinstance(said, list) or len(cast("list[Any]", said)) != 4:
            raise ValueError("a tensor without a layout was sent")
        name, shape, strides, offset = cast("list[Any]", said)
        for numbers in (shape, strides, [offset]):
            if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 1 << 48 for n in numbers):  # pyright: ignore[reportUnknownVariableType]
                raise ValueError("a tensor with an odd layout was sent")
        dtype = DTYPES.get(name) if isinstance(name, str) else None
        if dtype is None or len(shape) != len(strides) or len(shape) > _MOST_DIMENSIONS or offset % dtype.itemsize:
            raise ValueError("a tensor with an odd layout was sent")
        return cls(dtype, tuple(shape), tuple(strides), offset)


@final
class SharedBlock:
    """Memory that two processes have mapped.

    Args:
        descriptor: File of it; closed here.
        size: Its size in bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        try:
            # Pages are there before the clock starts.
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self._bytes = torch.frombuffer(mmap.mmap(descriptor, size, flags=flags), dtype=torch.uint8)
        finally:
            os.close(descriptor)
        self.size = size
        # Of the last tensor: most are like the one before.
        self._seen: tuple[BlockLayout, Tensor] | None = None

    def write(self, tensor: Tensor, layout: BlockLayout) -> None:
        """Copy a tensor to its place."""
        if layout.span:
            self._place(layout).copy_(layout.entries(tensor))

    def read(self, layout: BlockLayout) -> Tensor:
        """A copy of a tensor, with its strides and the alignment of its first entry.

        Raises:
            ValueError: If it does not lie in this memory.
        """
        if layout.end > self.size:
            raise ValueError("a tensor outside of the shared memory was sent")
        itemsize = layout.dtype.itemsize
        lead = layout.offset % _ALIGNMENT // itemsize
        whole = torch.empty(lead + max(layout.span, 1), dtype=layout.dtype)
        found = whole.as_strided(layout.shape, layout.strides, lead)
        if layout.span:
            layout.entries(found).copy_(self._place(layout))
        return found

    def _place(self, layout: BlockLayout) -> Tensor:
        """The entries of a tensor, where they lie."""
        if self._seen is None or self._seen[0] != layout:
            here = self._bytes[layout.offset : layout.end].view(layout.dtype)
            placed = here.as_strided(layout.shape, layout.strides, here.storage_offset())
            self._seen = layout, layout.entries(placed)
        return self._seen[1]


def new_block(size: int) -> tuple[SharedBlock, int]:
    """Memory of at least a size, and a file of it for the other process; neither can make it shorter.

    Raises:
        OSError: If there is not that much.
    """
    size = -(-max(size, 1) // _GRAIN) * _GRAIN
    descriptor = os.memfd_create("hessbench-blocks", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        # A page cut away by the other process would end this one at the next look at it.
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return SharedBlock(os.dup(descriptor), size), descriptor
    except BaseException:
        os.close(descriptor)
        raise


def laid_out(tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[BlockLayout]]:
    """Tensors as they are to be written, and where, one behind the other.

    Those whose entries lie far apart or on top of each other are packed first.

    Raises:
        TypeError: If one has a type that does not travel.
    """
    ready: list[Tensor] = []
    layouts: list[BlockLayout] = []
    end = 0
    for tensor in tensors:
        if tensor.dtype not in _NAMES:
            raise TypeError(f"a tensor of {tensor.dtype} is handed to no other process; real numbers are accepted")
        kept = tensor if _is_simple(tensor) else tensor.contiguous()
        lead = kept.data_ptr() % _ALIGNMENT // kept.element_size() * kept.element_size()
        layout = BlockLayout(kept.dtype, tuple(kept.shape), kept.stride(), -(-end // _ALIGNMENT) * _ALIGNMENT + lead)
        ready.append(kept)
        layouts.append(layout)
        end = layout.end
    return ready, layouts


def _is_simple(tensor: Tensor) -> bool:
    """Whether a tensor's entries are near each other, and no two lie in one place but where an axis repeats itself."""
    if tensor.device.type != "cpu" or tensor.is_conj() or tensor.is_neg():
        return False
    if tensor.is_contiguous():
        return True
    axes = sorted(
        (stride, size) for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1 and stride
    )
    reach = 1
    for stride, size in axes:
        if stride < reach:
            return False
        reach = stride * (size - 1) + reach
    spread = reach * tensor.element_size()
    return spread <= max(_SMALL_BYTES, _MOST_SPREAD * tensor.numel() * tensor.element_size())

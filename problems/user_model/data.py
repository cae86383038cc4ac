"""The data of a user's model, read once and copied: a pair, a list of pairs, or a DataLoader in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler

from hessbench.problems.networks.network import Batch

Pair: TypeAlias = Sequence[Any]
Data: TypeAlias = Pair | Sequence[Pair] | DataLoader[Any]

_ACCEPTED = "a pair (inputs, targets) of tensors or arrays, a list of such pairs, or a DataLoader is accepted"


def read_batches(data: Data, dtype: torch.dtype) -> tuple[Batch, ...]:
    """Copies of all batches, on the CPU; floating values rounded to `dtype`, integers and truths as they are.

    Args:
        data: A pair (inputs, targets), a list of pairs, or a DataLoader that does not shuffle.
        dtype: Floating type of the copies.

    Raises:
        ValueError: If it is none of these, a batch is empty, or the order or the samples are not fixed.
    """
    if isinstance(data, DataLoader):
        pairs: Iterable[Any] = _loaded(data)
    elif not isinstance(data, tuple | list):
        raise ValueError(f"data: {_ACCEPTED}, got {type(data).__name__}")
    else:
        pairs = [data] if _is_pair(data) else data
    batches = tuple(_batch(pair, number, dtype) for number, pair in enumerate(pairs, 1))
    if not batches:
        raise ValueError("data holds no batch: at least one sample is needed")
    return batches


def _is_pair(data: Sequence[Any]) -> bool:
    return len(data) == 2 and all(isinstance(part, Tensor | np.ndarray) for part in data)


def _batch(pair: object, number: int, dtype: torch.dtype) -> Batch:
    if not isinstance(pair, tuple | list) or len(cast("Sequence[Any]", pair)) != 2:
        size = f" of {len(cast('Sequence[Any]', pair))}" if isinstance(pair, tuple | list) else ""
        raise ValueError(f"data: batch {number} is a {type(pair).__name__}{size}; {_ACCEPTED}")
    inputs, targets = cast("Sequence[Any]", pair)
    batch = Batch(
        _copied(inputs, f"inputs of batch {number}", dtype), _copied(targets, f"targets of batch {number}", dtype)
    )
    if batch.inputs.shape[0] != batch.targets.shape[0]:
        raise ValueError(
            f"batch {number} has {batch.inputs.shape[0]} inputs and {batch.targets.shape[0]} targets: "
            "one target for each input is needed"
        )
    if batch.size == 0:
        raise ValueError(f"batch {number} is empty: leave it out")
    return batch


def _copied(part: object, what: str, dtype: torch.dtype) -> Tensor:
    if isinstance(part, np.ndarray):
        if part.dtype.kind not in "biuf":
            raise ValueError(f"the {what} are an array of {part.dtype}; numbers are accepted")
        # A copy in native byte order: what is handed in may be read-only, reversed, or from another machine.
        wide = part.dtype.kind == "u" and part.dtype.itemsize > 1
        part = torch.as_tensor(np.array(part, dtype=np.int64 if wide else part.dtype.newbyteorder("="), order="C"))
    if not isinstance(part, Tensor):
        raise ValueError(f"the {what} are a {type(part).__name__}; a tensor or an array is accepted")
    if part.ndim == 0 or part.is_complex() or part.layout is not torch.strided:
        raise ValueError(f"the {what} must be a dense real tensor (m, ...), got {part.dtype} {tuple(part.shape)}")
    copy = part.detach().cpu().clone()
    return copy.to(dtype) if copy.is_floating_point() else copy


def _loaded(loader: DataLoader[Any]) -> Iterator[Any]:
    """The batches of a loader, fetched here: its workers would be processes and threads of their own.

    Raises:
        ValueError: If its samples or their order may change from one reading to the next, or some are left out.
    """
    remedy = "make it with shuffle=False and without a sampler of its own, or pass list(loader) to fix one order"
    if isinstance(loader.dataset, IterableDataset):
        raise ValueError("data: a DataLoader over an IterableDataset has no order to rely on: pass list(loader)")
    outer = loader.batch_sampler
    inner = outer.sampler if type(outer) is BatchSampler else loader.sampler if outer is None else outer
    if type(inner) is not SequentialSampler:
        raise ValueError(f"data: the DataLoader takes its samples by {_sampler(inner)}: {remedy}")
    if type(outer) is BatchSampler and outer.drop_last:
        left_out = len(inner) % outer.batch_size
        if left_out:
            raise ValueError(
                f"data: drop_last leaves out {left_out} of {len(inner)} samples: make the DataLoader with "
                "drop_last=False, whose smaller last batch is weighted exactly"
            )
    places: list[Any] = list(inner) if outer is None else list(outer)
    fetch = _fetcher(loader, whole=outer is None)
    for number, place in enumerate(places):
        batch = fetch(place)
        if number == 0 and not _same(batch, fetch(place)):
            raise ValueError(
                "data: the data set gives other samples when it is read again (a random transform): leave the "
                "transform out, or pass list(loader) to fix one draw"
            )
        yield batch


def _sampler(sampler: object) -> str:
    return f"a {type(sampler).__name__}, which is no fixed order"


def _fetcher(loader: DataLoader[Any], *, whole: bool) -> Callable[[Any], Any]:
    """What a loader does for one batch of places, or for one place where its samples are batches already."""
    dataset: Any = loader.dataset
    collate = cast("Callable[[Any], Any]", loader.collate_fn)
    if whole:
        return lambda place: collate(dataset[place])
    if hasattr(dataset, "__getitems__"):
        return lambda places: collate(dataset.__getitems__(places))
    return lambda places: collate([dataset[place] for place in places])


def _same(one: Any, other: Any) -> bool:
    """Whether two batches hold the same; what holds no tensors is refused later."""
    if isinstance(one, tuple | list):
        return all(_same(a, b) for a, b in zip(cast("list[Any]", one), cast("list[Any]", other), strict=True))
    return not isinstance(one, Tensor) or torch.equal(one, other)

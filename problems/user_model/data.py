"""The data of a user's model, read once and copied: batches of inputs and targets, or a DataLoader in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler

from hessbench.problems.networks.inputs import Inputs, structure_of, tensors_of
from hessbench.problems.networks.network import Batch

Pair: TypeAlias = Sequence[Any] | Mapping[str, Any]
Data: TypeAlias = Pair | Sequence[Pair] | DataLoader[Any]

LABELS: Final = "labels"
"""The key of the targets in a batch that is a dict, as Hugging Face has it."""

_ACCEPTED: Final = (
    "a pair (inputs, targets) of tensors or arrays, a list of such pairs, or a DataLoader is accepted, the inputs also "
    "a tuple or a dict, or in place of a pair a dict with the key 'labels'"
)


def read_batches(data: Data, dtype: torch.dtype) -> tuple[Batch, ...]:
    """Copies of all batches, on the CPU; floating values rounded to `dtype`, integers and truths as they are.

    Args:
        data: A batch, a list of batches, or a DataLoader that does not shuffle. A batch is a pair (inputs, targets),
            the inputs a tensor, or a tuple or a dict of tensors; or tensors of which the last are the targets; or a
            dict whose `labels` are.
        dtype: Floating type of the copies.

    Raises:
        ValueError: If it is none of these, a batch is empty, or the order or the samples are not fixed.
    """
    if isinstance(data, DataLoader):
        found: Iterable[Any] = _loaded(data)
    elif not isinstance(data, tuple | list | Mapping):
        raise ValueError(f"data: {_ACCEPTED}, got {type(data).__name__}")
    else:
        found = [data] if _is_batch(data) else data
    batches = tuple(_batch(one, number, dtype) for number, one in enumerate(found, 1))
    if not batches:
        raise ValueError("data holds no batch: at least one sample is needed")
    first = structure_of(batches[0].inputs)
    for number, batch in enumerate(batches, 1):
        if structure_of(batch.inputs) != first:
            raise ValueError(f"the inputs of batch {number} have other parts or names than those of batch 1")
    return batches


def _is_batch(data: Pair | Sequence[Pair]) -> bool:
    if isinstance(data, Mapping):
        return True
    *inputs, targets = data or [None]
    if not inputs or not isinstance(targets, Tensor | np.ndarray):
        return False
    one = len(inputs) == 1 and isinstance(inputs[0], tuple | list | Mapping)
    return one or all(isinstance(part, Tensor | np.ndarray) for part in inputs)


def _batch(found: object, number: int, dtype: torch.dtype) -> Batch:
    parts, last = _parted(found, number)
    inputs = _tree(parts, f"inputs of batch {number}", dtype)
    targets = _copied(last, f"targets of batch {number}", dtype)
    sizes = dict.fromkeys(tensor.shape[0] for tensor in tensors_of(inputs))
    if not sizes:
        raise ValueError(f"the inputs of batch {number} hold no tensor")
    if len(sizes) > 1:
        raise ValueError(
            f"the inputs of batch {number} have {' and '.join(map(str, sizes))} samples: every tensor needs the same "
            "number along its first axis; keep what all samples share in the model"
        )
    (size,) = sizes
    if size != targets.shape[0]:
        raise ValueError(
            f"batch {number} has {size} inputs and {targets.shape[0]} targets: one target for each input is needed"
        )
    if size == 0:
        raise ValueError(f"batch {number} is empty: leave it out")
    return Batch(inputs, targets)


def _parted(found: object, number: int) -> tuple[Any, Any]:
    """Inputs and targets of a batch.

    Raises:
        ValueError: If it is none of those that are accepted.
    """
    if isinstance(found, Mapping):
        named = dict(cast("Mapping[str, Any]", found))
        if LABELS not in named:
            raise ValueError(
                f"data: batch {number} is a {type(found).__name__} without the key {LABELS!r}, which its targets are "
                "read from: name them so, or pass pairs (inputs, targets)"
            )
        targets = named.pop(LABELS)
        return named, targets
    if isinstance(found, tuple | list):
        parts = cast("Sequence[Any]", found)
        if len(parts) == 2:
            return parts[0], parts[1]
        if len(parts) > 2 and all(isinstance(part, Tensor | np.ndarray) for part in parts):
            return tuple(parts[:-1]), parts[-1]
    size = f" of {len(cast('Sequence[Any]', found))}" if isinstance(found, tuple | list) else ""
    raise ValueError(f"data: batch {number} is a {type(found).__name__}{size}; {_ACCEPTED}")


def _tree(part: object, what: str, dtype: torch.dtype) -> Inputs:
    """Copies of all tensors of the inputs."""
    if isinstance(part, Mapping):
        named = cast("Mapping[Any, object]", part)
        return {str(key): _tree(value, f"{what} ({key})", dtype) for key, value in named.items()}
    if isinstance(part, tuple | list):
        parts = cast("Sequence[object]", part)
        return tuple(_tree(one, f"{what} (part {place})", dtype) for place, one in enumerate(parts, 1))
    return _copied(part, what, dtype)


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
    if isinstance(one, Mapping):
        return all(_same(value, other[key]) for key, value in cast("Mapping[str, Any]", one).items())
    if isinstance(one, tuple | list):
        return all(_same(a, b) for a, b in zip(cast("list[Any]", one), cast("list[Any]", other), strict=True))
    return not isinstance(one, Tensor) or torch.equal(one, other)

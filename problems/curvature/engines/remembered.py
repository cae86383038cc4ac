"""The choice of an engine, remembered in the cache: one engine for a network under the conditions of a run.

A choice holds for a network (its size, its data's shapes, and its outputs and its loss on a few samples, which tell one
function from another, and one weighing of samples and classes from another), a matrix, a device by its name, a dtype, a
number of threads, versions of torch and of this package, a class of budgets and a cap of memory. It is one small file,
there whole or not at all; processes that choose at the same time wait for each other, so that all get the same. What is
remembered is still compared with the kept graph before it is used.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Generator
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import torch

from hessbench.files import cache_folder, write_whole
from hessbench.problems.curvature.engines.choosing import Choice, measured_choice
from hessbench.problems.curvature.engines.comparing import few_samples
from hessbench.problems.curvature.engines.limits import FEW_PRODUCTS, MANY_PRODUCTS, Limits
from hessbench.problems.curvature.engines.table import ENGINES
from hessbench.problems.networks.inputs import tensors_of
from hessbench.problems.networks.network import Network
from hessbench.processor import processor

FOLDER: Final = "engines"


def remembered_choice(network: Network, matrix: str, limits: Limits, cap_bytes: int) -> tuple[Choice, str]:
    """The engine that was chosen before under these conditions, or the one that is chosen now and remembered.

    Args:
        network: The network.
        matrix: hessian or ggn.
        limits: What is asked of the engine.
        cap_bytes: Memory there is, where the limits name no cap: what was chosen under more is chosen again.

    Returns:
        The choice, and the key that it is remembered under.

    Cost: a forward pass of two samples; where nothing is remembered, `measured_choice`.

    Raises:
        ValueError: As `measured_choice`.
        RuntimeError: Likewise.
    """
    key = key_of(network, matrix, limits)
    found = recalled(key, cap_bytes)
    if found is not None:
        return found, key
    with _alone(key):
        found = recalled(key, cap_bytes)  # another process may have chosen meanwhile
        if found is None:
            found = measured_choice(network, matrix, replace(limits, cap_bytes=cap_bytes))
            remember(key, found, capped=limits.cap_bytes is not None)
    return found, key


def remember(key: str, choice: Choice, *, capped: bool) -> None:
    """Keep a choice; a cache that cannot be written keeps nothing.

    Args:
        key: Of `key_of`.
        choice: The choice.
        capped: Whether a cap of memory is part of the conditions. Pieces of the data that were chosen for want of
            memory are not kept otherwise: another time there may be more.
    """
    if choice.micro_batch is not None and not capped:
        return
    row = {
        "engine": choice.engine.name,
        "micro_batch": choice.micro_batch,
        "column_bytes": choice.column_bytes,
        "needed_bytes": choice.needed_bytes,
        "note": choice.note,
    }
    with contextlib.suppress(OSError):
        write_whole(cache_folder(FOLDER) / f"{key}.json", json.dumps(row).encode())


def recalled(key: str, cap_bytes: int) -> Choice | None:
    """A choice that is remembered and fits; None where there is none, or its file is damaged."""
    try:
        row: dict[str, Any] = json.loads((cache_folder(FOLDER) / f"{key}.json").read_bytes())
        note, needed = str(row["note"]).removeprefix(_SAYS), int(row["needed_bytes"])
        sizes = [None if row[name] is None else int(row[name]) for name in ("micro_batch", "column_bytes")]
        choice = Choice(ENGINES[row["engine"]], *sizes, note=_SAYS + note, needed_bytes=needed, recalled=True)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return choice if needed <= cap_bytes else None


def key_of(network: Network, matrix: str, limits: Limits) -> str:
    """Hash of what a choice holds for, 24 hex digits."""
    like = network.parameters
    device = torch.cuda.get_device_name(like.device) if like.device.type == "cuda" else processor()
    budgets = sum(limits.num_products > most for most in (FEW_PRODUCTS, MANY_PRODUCTS))
    facts = [
        matrix, str(like.numel()), str(like.dtype), device, str(torch.get_num_threads()), torch.__version__, _version(),
        network.loss.name, str(network.loss.mean), network.way, str(network.group), str(budgets),
        str(limits.cap_bytes), str(limits.micro_batch),
        # A loss without a product of its own is multiplied with by autograd.
        str(network.loss.product is None), str(network.loss.root is None), str(network.loss.width),
    ]  # fmt: skip
    for batch in network.batches:
        facts += [str(tuple(tensor.shape)) for tensor in (*tensors_of(batch.inputs), batch.targets)]
    few = few_samples(network)
    with torch.no_grad():
        outputs = network.forward(like.detach(), few.inputs)
        loss = network.loss.total(outputs, few.targets)
    facts += [f"{number:.3e}" for number in (*outputs.flatten()[:64].tolist(), float(loss))]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:24]


_SAYS: Final = "remembered: "


@cache
def _version() -> str:
    try:
        return version("hessbench")
    except PackageNotFoundError:
        return ""


@contextlib.contextmanager
def _alone(key: str) -> Generator[None]:
    """Hold the lock of a key, which the kernel frees on death; without a cache there is none."""
    try:
        folder = cache_folder(FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{key}.lock").open("w")
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

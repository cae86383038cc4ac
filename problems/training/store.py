"""Weights on disk: a folder for each training, named by the hash of all that decides it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, final

from filelock import FileLock, Timeout
from torch import Tensor

from hessbench.files import CACHE_VARIABLE, cache_folder, write_whole
from hessbench.problem import array_hash
from hessbench.problems.training.recipe import Recipe
from hessbench.problems.training.sealed import seal, state_hash, unseal

TRAINING_VERSION: Final = 1
"""Part of every key: raised when the same recipe would give other weights, so that the old ones are not read."""

Say: TypeAlias = Callable[[str], None]

_RESUME: Final = "resume.safetensors"
_LOCK: Final = "lock"


class Point(NamedTuple):
    """How good the weights of a named step are on the data they were trained on, in evaluation mode.

    Attributes:
        step: Updates made.
        loss: Mean of the recipe's loss over the samples.
        accuracy: Share of the samples whose largest output is that of their class.
    """

    step: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class WeightCheckpoint:
    """Weights and buffers of a named step, in float32, and how good they are."""

    point: Point
    state: dict[str, Tensor]


@dataclass(frozen=True)
class Snapshot:
    """What a training needs to go on from a step: parameters, buffers and momentum in float64, by name."""

    step: int
    tensors: dict[str, Tensor]


def training_key(
    architecture: str, initial: Mapping[str, Tensor], inputs: Tensor, labels: Tensor, recipe: Recipe
) -> str:
    """SHA-256 of all that decides the weights of a training.

    Args:
        architecture: Text that names the network and its every option.
        initial: Weights and buffers at step 0, by name.
        inputs: Samples (N, ...).
        labels: Class numbers (N,).
        recipe: How it is trained.
    """
    data = array_hash(inputs.detach().cpu().numpy(), labels.detach().cpu().long().numpy())
    parts = [TRAINING_VERSION, architecture, recipe.content(), state_hash(initial), data]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@final
class WeightStore:
    """The files of one training, in a folder under the user's cache.

    `step-N.safetensors` for each named step, `resume.safetensors` while the training is not finished, and `lock`. Each
    is written whole and read against its digest; nothing in it is code.

    Args:
        key: Of `training_key`.
        recipe: How it is trained, for the record in the files.
    """

    def __init__(self, key: str, recipe: Recipe) -> None:
        self._key = key
        self._recipe = recipe
        self.folder = cache_folder("weights") / key[:32]

    def path(self, step: int) -> Path:
        """The file of a named step."""
        return self.folder / f"step-{step}.safetensors"

    @property
    def resume_path(self) -> Path:
        """The file an unfinished training goes on from."""
        return self.folder / _RESUME

    def read(self, step: int, *, warn: bool = False) -> WeightCheckpoint | None:
        """The weights of a named step; None where they are not there or damaged.

        Args:
            step: Named step.
            warn: Whether to warn of a damaged file, in one sentence.
        """
        found = self._read(self.path(step), "it is trained again" if warn else None, str(step))
        if found is None:
            return None
        tensors, facts = found
        return WeightCheckpoint(Point(step, float(facts["loss"]), float(facts["accuracy"])), tensors)

    def write(self, checkpoint: WeightCheckpoint) -> None:
        """Keep the weights of a named step.

        Raises:
            OSError: In one sentence, if the disk is full or the folder cannot be written; what is there stays valid.
        """
        point = checkpoint.point
        facts = {"loss": repr(point.loss), "accuracy": repr(point.accuracy)}
        self._write(self.path(point.step), point.step, checkpoint.state, facts)

    def read_resume(self) -> Snapshot | None:
        """Where an unfinished training stopped; None, with a warning, where the file is damaged."""
        found = self._read(self.resume_path, "the training begins anew")
        return None if found is None else Snapshot(int(found[1]["step"]), found[0])

    def write_resume(self, snapshot: Snapshot) -> None:
        """Keep what the training needs to go on from here, instead of what was kept before.

        Raises:
            OSError: In one sentence, if the disk is full or the folder cannot be written; what is there stays valid.
        """
        self._write(self.resume_path, snapshot.step, snapshot.tensors, {})

    def drop_resume(self) -> None:
        """Remove what a finished training no longer needs."""
        self.resume_path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, say: Say | None = None) -> Generator[None]:
        """Keep every other process from training the same until the block ends; waits while another one does.

        The kernel frees the lock of a process that dies. The empty file stays: removed, it could be locked by one
        process and made anew by the next.

        Raises:
            OSError: In one sentence, if the folder cannot be written.
        """
        lock = FileLock(self.folder / _LOCK)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout:
            if say:
                say("another process is training the same network; waiting for it")
            lock.acquire()
        except OSError as failure:
            raise OSError(failure.errno, _cannot_keep(failure, 0), str(self.folder)) from failure
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def _sweep(self) -> None:
        """Remove what a killed process left half-written under names of its own; only the lock's holder writes."""
        for partial in self.folder.glob(".*.safetensors.*"):
            partial.unlink(missing_ok=True)

    def _read(
        self, path: Path, remedy: str | None, step: str | None = None
    ) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            tensors, facts = unseal(data)
            if facts["key"] != self._key or (step is not None and facts["step"] != step):
                raise ValueError("belongs to another training")
            if ("loss" in facts) != (step is not None):
                raise ValueError("is another of the same training")
        except ValueError as failure:
            if remedy:
                name = f"{path.parent.name}/{path.name}"
                warnings.warn(f"the file of weights {name} in the cache {failure}; {remedy}", stacklevel=3)
            return None
        return tensors, facts

    def _write(self, path: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
        recorded = {"key": self._key, "recipe": self._recipe.content(), "step": str(step), **facts}
        try:
            write_whole(path, seal(tensors, recorded))
        except OSError as failure:
            raise OSError(failure.errno, _cannot_keep(failure, step), str(path)) from failure


def _cannot_keep(failure: OSError, step: int) -> str:
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full at step {step} of a training: what was kept before stands, "
            "and the same command goes on from there"
        )
    return f"trained weights cannot be kept ({failure.strerror}): name a writable folder by {CACHE_VARIABLE}"

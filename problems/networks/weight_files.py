"""Weight files: read without unpickling, and compared with the module they are meant for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hessbench.files import DAMAGE, read_archive

READ: Final = (".npz", ".safetensors")
PICKLED: Final = (".pt", ".pth", ".th", ".pkl", ".pickle", ".bin", ".ckpt", ".tar")
COUNTER: Final = "num_batches_tracked"


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays by name from a `.npz` or `.safetensors` file. Nothing is ever unpickled.

    bfloat16, which NumPy lacks, is read as float32.

    Raises:
        FileNotFoundError: If there is no such file; with its name, not its path.
        ValueError: If the file is of another kind, empty, truncated or damaged, or holds anything but arrays.
    """
    name, kind = path.name, path.suffix.lower()
    if kind in PICKLED:
        raise ValueError(
            f"{name} is a pickle, which can run any code when read, so it is not accepted: convert it once by "
            "safetensors.torch.save_file(torch.load(file, weights_only=True), 'weights.safetensors')"
        )
    if kind not in READ:
        raise ValueError(f"weights are read from {' or '.join(READ)} files, got {name}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no weight file {name}")
    try:
        arrays = _read_npz(path) if kind == ".npz" else _read_safetensors(path)
    except _DAMAGE as trouble:
        # Their messages hold paths, or nothing of use to a reader.
        raise ValueError(f"the weight file {name} is empty, truncated or damaged") from trouble
    strange = next((key for key, array in arrays.items() if array.dtype.kind not in "fiub"), None)
    if strange is not None:
        raise ValueError(f"the weight file {name} holds {strange}, which is not an array of numbers")
    return arrays


def load_state(model: nn.Module, arrays: Mapping[str, NDArray[Any] | Tensor], who: str) -> dict[str, Tensor]:
    """Weights and statistics by name, float32, in the order of the state dict of a module.

    Args:
        model: Gives names and shapes only, and may live on the meta device.
        arrays: Every tensor of its state dict; the counters of batch norm are not needed and not kept.
        who: What messages call the module.

    Returns:
        Tensors on the CPU, none sharing memory with `arrays`.

    Raises:
        ValueError: If a name is missing or not known, a shape differs, or a value is not a finite floating number;
            naming the array, and the shape that is accepted.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items() if not name.endswith(COUNTER)}
    lacking = next((name for name in wanted if name not in arrays), None)
    if lacking is not None:
        raise ValueError(f"weights of {who} lack the array {lacking} of shape {wanted[lacking]}")
    unknown = next((name for name in arrays if name not in wanted and not name.endswith(COUNTER)), None)
    if unknown is not None:
        found = tuple(arrays[unknown].shape)
        raise ValueError(f"weights of {who} hold the array {unknown} of shape {found}, for which it has no place")
    return {name: _checked(arrays[name], name, shape, who) for name, shape in wanted.items()}


def _checked(array: NDArray[Any] | Tensor, name: str, shape: tuple[int, ...], who: str) -> Tensor:
    found = tuple(array.shape)
    if found != shape:
        raise ValueError(f"the array {name} of {who} must have shape {shape}, got {found}")
    value = array.detach() if isinstance(array, Tensor) else torch.as_tensor(np.array(array))
    if not value.is_floating_point():
        raise ValueError(f"the array {name} of {who}, of shape {shape}, must hold floating numbers, got {array.dtype}")
    value = value.to(device="cpu", dtype=torch.float32, copy=True)
    if not bool(value.isfinite().all()):
        raise ValueError(f"the array {name} of {who}, of shape {shape}, holds values that are not finite in float32")
    return value


_DAMAGE: Final = (safetensors.SafetensorError, *DAMAGE)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as stream:
        return read_archive(stream)


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    tensors = safetensors.torch.load(path.read_bytes())
    return {
        name: (value.float() if value.dtype == torch.bfloat16 else value).numpy() for name, value in tensors.items()
    }

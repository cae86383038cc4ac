"""Settings of a process that reach from one cell into the next, and what a cell left changed."""

from __future__ import annotations

import math
import os
import time

import numpy as np
import torch

from hessbench.counted_factor import CountingFactor
from hessbench.counted_parts import CountingRows, CountingUnits
from hessbench.counting import CountingOperator, Spending
from hessbench.operators import Multiplies
from hessbench.tally import TalliedOperator


def settings() -> dict[str, object]:
    """What decides how tensors are computed here, by name."""
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": str(torch.empty(0).device),
        "gradient mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "precision of float32 products": torch.get_float32_matmul_precision(),
        "TF32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        "cuDNN": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "small numbers": float(torch.full((1,), 1e-40, dtype=torch.float32) * 0.5) > 0,
        "errors of NumPy": str(np.geterr()),
    }


def functions() -> dict[str, object]:
    """What counts and times, by name: a method that replaces one makes the cells after it wrong."""
    found: dict[str, object] = {"perf_counter_ns": time.perf_counter_ns, "getpid": os.getpid, "isnan": math.isnan}
    counting = (Spending, CountingOperator, CountingFactor, CountingRows, CountingUnits, TalliedOperator, Multiplies)
    for counted in counting:
        found |= {f"{counted.__name__}.{name}": value for name, value in vars(counted).items() if callable(value)}
    return found


def changes(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Names whose values differ between two looks."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))

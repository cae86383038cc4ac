"""The conditions a ledger was made under: versions, commit, hardware, flags and load; no names."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil
import torch

from hessbench.processor import processor
from hessbench.redact import redact

_PACKAGES: Final = (
    "hessbench", "torch", "numpy", "scipy", "pandas", "matplotlib", "scikit-learn", "safetensors", "psutil", "click",
    "rich", "jinja2",
)  # fmt: skip
_VOLATILE: Final = frozenset({"load_1min", "command", "memory_available_bytes"})
_OWN: Final = frozenset({"commit", "dirty", "sealing"})
"""Facts of this package and of how it runs methods."""


def capture(device: str = "cpu") -> dict[str, Any]:
    """Describe this machine and this installation.

    Args:
        device: Device the cells run on; its model and driver are added.

    Returns:
        Facts by name. Nothing in it names a host, a user or an absolute path.
    """
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpus_logical": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_available_bytes": psutil.virtual_memory().available,
        "load_1min": round(os.getloadavg()[0], 2),
        "versions": {name: _version(name) for name in _PACKAGES},
        **_commit(),
        "blas": _blas(),
        "threads_default": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        "tf32_cudnn": torch.backends.cudnn.allow_tf32,
        "allocator": {key: redact(value) for key, value in sorted(os.environ.items()) if key.startswith("MALLOC_")},
        "device": _device(device),
        "command": current_command(),
    }


def environment_hash(facts: dict[str, Any]) -> str:
    """SHA-256 of the facts that do not change from run to run, 12 hex digits."""
    stable = {key: value for key, value in facts.items() if key not in _VOLATILE}
    return hashlib.sha256(json.dumps(stable, sort_keys=True).encode()).hexdigest()[:12]


def machine_hash(facts: Mapping[str, Any]) -> str:
    """The hash of an environment without its commit, by which what runs nothing of this package is the same: 12 digits.

    The gradient of a network as its user takes it is such a thing, however often a run was resumed from another commit.
    """
    return environment_hash({name: value for name, value in facts.items() if name not in _OWN})


def current_command() -> str:
    """The command of this process as a user would type it, without absolute paths."""
    return redact(" ".join(_program(sys.argv)))


def library_version(distribution: str) -> str:
    """Version of the library behind a method: hessbench itself where none is named."""
    return f"{distribution or 'hessbench'} {_version(distribution or 'hessbench')}"


def is_loaded(threads: int) -> bool:
    """Whether the machine's load leaves fewer than `threads` processors free."""
    return os.getloadavg()[0] + threads > (os.cpu_count() or 1) + 0.5


def _program(argv: list[str]) -> list[str]:
    """The command as a user would type it."""
    name = Path(argv[0]).name
    return ["hessbench" if name in ("hessbench", "__main__.py") else name, *argv[1:]]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _commit() -> dict[str, Any]:
    """Commit and dirty flag of the checkout this package is run from; null from a wheel."""
    source = Path(__file__).resolve().parents[1]
    if not (source.parent / ".git").exists():
        return {"commit": None, "dirty": None}
    commit = _git(source, "rev-parse", "HEAD")
    changes = _git(source, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    # Without locks: a run killed meanwhile would leave one in the checkout, and the next commit would be refused.
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _blas() -> str:
    """BLAS the tensor library was built with."""
    config = torch.__config__.show()
    for word in ("BLAS_INFO=",):
        if word in config:
            return config.partition(word)[2].partition(",")[0]
    return "unknown"


def _device(device: str) -> dict[str, Any]:
    kind = torch.device(device).type
    if kind != "cuda":
        return {"type": kind}
    if not torch.cuda.is_available():
        return {"type": kind, "available": False}
    facts = torch.cuda.get_device_properties(torch.device(device))
    return {
        "type": kind,
        "model": facts.name,
        "memory_bytes": facts.total_memory,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": _driver(),
    }


def _driver() -> str | None:
    file = Path("/proc/driver/nvidia/version")
    if not file.exists():
        return None
    words = file.read_text(encoding="utf-8", errors="replace").splitlines()[0].split()
    return next((word for word in words if word[0].isdigit()), None)

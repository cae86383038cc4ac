"""Options that `plan`, `run` and `check` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hessbench.cli.quantities import parse_bytes, parse_seconds
from hessbench.running.plan import Conditions
from hessbench.running.suite import check_device, check_dtype, check_threads

F = TypeVar("F", bound=Callable[..., Any])


def condition_options(function: F) -> F:
    """Add --plugin, --device, --dtype, --threads, --timeout, --memory and --shard."""
    for option in reversed(
        (
            click.option(
                "--plugin", "plugins", multiple=True, metavar="FILE", help="Python file with METHODS or PROBLEMS."
            ),
            click.option("--device", help="cpu or cuda; the suite's own by default."),
            click.option("--dtype", help="float32 or float64; the suite's own by default."),
            click.option("--threads", type=int, help="Threads of the tensor library; the suite's own by default."),
            click.option(
                "--timeout", default="none", show_default=True, help="Limit of a cell: 10s or 10, 5m, 1h or none."
            ),
            click.option("--memory", default="none", show_default=True, help="Cap of a cell: 500MiB, 2GiB or none."),
            click.option("--shard", default="1/1", show_default=True, help="Run one part of N, as in 1/4."),
        )
    ):
        function = option(function)
    return function


def read_conditions(
    device: str | None, dtype: str | None, threads: int | None, timeout: str, memory: str
) -> Conditions:
    """Read the shared options.

    Args:
        device: `cpu`, `cuda` or `cuda:N`; None leaves the suite's own.
        dtype: `float32` or `float64`; None leaves the suite's own.
        threads: Threads of the tensor library; None leaves the suite's own.
        timeout: A time such as `10s`, or `none`.
        memory: A size such as `2GiB`, or `none`.

    Returns:
        What they ask for.

    Raises:
        ValueError: If one is not accepted.
    """
    import torch

    if threads is not None:
        check_threads(threads)
    if dtype is not None:
        check_dtype(dtype)
    if device is not None:
        check_device(device)
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ValueError("device cuda asked for, but no CUDA device is usable here; cpu is accepted")
    return Conditions(device, dtype, threads, parse_seconds(timeout), parse_bytes(memory))

"""Seeds as hashes of names: a run's randomness depends on what is asked, never on the order it is asked in."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch

_DOMAIN = "hessbench-seed-1"
_SEEDS = 2**31
"""Seeds that a library is handed: NumPy takes nothing above 2^32, and some add to what they are given."""


def derive_seed(*parts: str) -> int:
    """Hash a sequence of texts to a seed in [0, 2^63).

    Args:
        parts: Any texts; the sequence matters, and ("a", "bc") differs from ("ab", "c").

    Returns:
        The first eight bytes of the SHA-256 of the parts, each with its length, less the sign bit.
    """
    digest = hashlib.sha256()
    for part in (_DOMAIN, *parts):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def cell_seed(problem: str, estimand: str, repeat: int) -> int:
    """Seed of a cell: the method is left out, so that methods are compared in pairs on the same start.

    Args:
        problem: Canonical problem spec.
        estimand: Canonical estimand spec.
        repeat: Number of the repeat, from 0.

    Returns:
        A seed in [0, 2^63).
    """
    return derive_seed("cell", problem, estimand, str(repeat))


def make_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a seeded generator that lives on `device`, so that nothing is drawn elsewhere and copied."""
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    return generator


@contextmanager
def seeded_globally(generator: torch.Generator) -> Generator[int]:
    """Seed the global generators of torch, NumPy and Python from one handed in, and leave them as they were.

    For libraries that draw from them: inside, the same generator state gives the same draws; a second use goes on with
    others, since each takes one number from `generator`. On leaving, by an exception too, every global generator is in
    its state from before, so that the law "no global generator touched" holds. In an anytime method, leave it before
    a `yield`.

    ```python
    with seeded_globally(generator) as seed:
        trace = curvlinops.hutchpp_trace(op, num_matvecs)
    ```

    Args:
        generator: The one a method is handed; torch's on its device is seeded beside the CPU's.

    Yields:
        The seed, below 2^31, for a library that takes one.

    Raises:
        TypeError: If it is no torch generator.
    """
    if not isinstance(generator, torch.Generator):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"generator takes a torch.Generator, got {type(generator).__name__}")
    device = generator.device
    seed = int(torch.randint(_SEEDS, (1,), generator=generator, device=device))
    numpy_state, python_state = np.random.get_state(), random.getstate()
    cpu_state = torch.get_rng_state()
    # Those of every device, since torch.manual_seed, which a library may call, seeds them all.
    device_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        yield seed
    finally:
        torch.set_rng_state(cpu_state)
        if device_states:
            torch.cuda.set_rng_state_all(device_states)
        np.random.set_state(numpy_state)
        random.setstate(python_state)

"""How a published library is called: its own randomness seeded, every setting put back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from warnings import catch_warnings, simplefilter

import torch

from hessbench.seeding import seeded_globally


@contextmanager
def called(generator: torch.Generator, dtype: torch.dtype | None = None) -> Generator[int]:
    """What is inside calls a library: it may draw from the global generators, warn, and make tensors by default dtype.

    Args:
        generator: The one the method is handed, which seeds the global ones.
        dtype: Default dtype inside, for libraries that draw in it; left as it is when None.

    Yields:
        A seed below 2^31, for a library that takes one.
    """
    before = torch.get_default_dtype()
    with seeded_globally(generator) as seed, catch_warnings():
        simplefilter("ignore")
        try:
            if dtype is not None:
                torch.set_default_dtype(dtype)
            yield seed
        finally:
            torch.set_default_dtype(before)

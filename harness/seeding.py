"""Seeds as hashes of names: a run's randomness depends on what is asked, never on the order it is asked in."""

from __future__ import annotations

import hashlib

import torch

_DOMAIN = "hessbench-seed-1"


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

"""Whether a run drew a random number: from the generator it was handed, or a global one."""

from __future__ import annotations

from typing import Any, cast, final

import numpy as np
import torch

from hessbench.seeding import make_generator


@final
class Draws:
    """The randomness of a run that begins.

    Args:
        seed: Of the generator.
        device: Where it lives.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._device = device
        self._streams = _random_states(device)
        self.generator = make_generator(seed, device)
        """What the method is handed."""

    @property
    def happened(self) -> bool:
        """Whether anything was drawn since it was made."""
        untouched = make_generator(self._seed, self._device).get_state()
        if not torch.equal(self.generator.get_state(), untouched):
            return True
        now = _random_states(self._device)
        return any(not np.array_equal(before, after) for before, after in zip(self._streams, now, strict=True))


def _random_states(device: torch.device) -> list[Any]:
    """States of the global generators of torch and NumPy."""
    legacy = cast("tuple[Any, ...]", np.random.get_state())
    states = [torch.get_rng_state().numpy(), legacy[1], np.asarray(legacy[2])]
    return [*states, torch.cuda.get_rng_state(device).numpy()] if device.type == "cuda" else states

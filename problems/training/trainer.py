"""Training by a recipe, kept step by step: what is done is never done again, whatever ended the process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, final

from torch import Tensor, nn

from hessbench.problems.training.descent import Descent, one_thread
from hessbench.problems.training.recipe import Recipe
from hessbench.problems.training.store import Say, WeightStore

Progress: TypeAlias = Callable[[int, int, float], None]

SAVE_EVERY_S: Final = 20.0
_SAY_EVERY_S: Final = 10.0
_SHOW_EVERY_S: Final = 0.1


def train(
    model: nn.Module,
    initial: Mapping[str, Tensor],
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    store: WeightStore,
    say: Say | None = None,
    progress: Progress | None = None,
    save_every: float = SAVE_EVERY_S,
    until: int | None = None,
) -> None:
    """Train a network and keep the weights of every named step that is not kept yet.

    In float64 on one thread, in training mode; the weights are rounded to float32 only where they are kept. It goes
    on from where a process that was killed left off, and then ends in the bits of one that was not. The caller holds
    the store's lock. The network handed in, the number of threads and the global generator stay as they are.

    Args:
        model: The network, in any device and dtype; may live on the meta device.
        initial: Weights and buffers at step 0, by name; counters of batch norm may be missing.
        inputs: Samples (N, ...), floating.
        labels: Class numbers (N,).
        recipe: How it is trained.
        store: Where the weights are kept.
        say: Told now and then in words how far it is.
        progress: Told up to ten times a second the updates made, their number, and the loss of the last minibatch.
        save_every: Seconds after which the state of the training is kept; it also is at each named step.
        until: The last step that is made and kept, named or not; by default the recipe's last.

    Cost: one forward and one backward pass over a minibatch a step, one forward pass over the data a named step.

    Raises:
        ValueError: In one sentence, if data, state, network and recipe do not fit, or the loss is not finite.
        OSError: In one sentence, if the disk is full or the folder cannot be written; what is there stays valid.
    """
    last = recipe.steps if until is None else until
    wanted = sorted({*(step for step in recipe.checkpoints if step < last), last})
    missing = [step for step in wanted if store.read(step, warn=True) is None]
    if missing:
        with one_thread():
            descent = Descent(model, initial, inputs, labels, recipe)
            begun = store.read_resume()
            # A damaged file of an early step is made again from the start, which the later state cannot give back.
            if begun is not None and begun.step <= missing[0]:
                descent.restore(begun)
            _train(descent, missing, store, _Telling(descent.step, missing[-1], say, progress), save_every)
            if last < recipe.steps and (begun is None or begun.step < descent.step):
                store.write_resume(descent.snapshot())  # a later step goes on from here
    if last == recipe.steps:
        store.drop_resume()


def _train(descent: Descent, missing: list[int], store: WeightStore, telling: _Telling, save_every: float) -> None:
    saved = time.monotonic()
    started = descent.step
    while True:
        named = descent.step in missing
        if named:
            checkpoint = descent.checkpoint()
            store.write(checkpoint)
            telling.kept(*checkpoint.point)
        if descent.step == missing[-1]:
            return
        if descent.step > started and (named or time.monotonic() - saved >= save_every):
            store.write_resume(descent.snapshot())
            saved = time.monotonic()
        telling.made(descent.step + 1, descent.advance())


@final
class _Telling:
    """What is told while the training goes on: numbers often, words now and then."""

    def __init__(self, start: int, total: int, say: Say | None, progress: Progress | None) -> None:
        self._start, self._total = start, total
        self._say, self._progress = say, progress
        self._begun = self._said = time.monotonic()
        self._shown = 0.0
        if say and start:
            say(f"going on from step {start} of {total}")

    def made(self, done: int, loss: float) -> None:
        now = time.monotonic()
        if self._progress and (done == self._total or now - self._shown >= _SHOW_EVERY_S):
            self._shown = now
            self._progress(done, self._total, loss)
        if self._say and now - self._said >= _SAY_EVERY_S:
            self._said = now
            left = (now - self._begun) / (done - self._start) * (self._total - done)
            self._say(f"step {done} of {self._total}, loss {loss:.4g}, about {left:.0f} s left")

    def kept(self, step: int, loss: float, accuracy: float) -> None:
        if self._say:
            self._say(f"step {step} of {self._total} kept: loss {loss:.4g}, accuracy {accuracy:.1%} on its own data")

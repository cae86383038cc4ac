"""Attacks on files: ledgers, references, kept arrays, sealed weights, weight files and data files, cut and changed."""

import os
import random
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from record_attacks.place import CELLS, Place, a_sentence, demand, finished
from torch import Tensor, nn

from hessbench import Ledger
from hessbench.ledger.kept_arrays import load_arrays
from hessbench.ledger.merging import merge
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.problems.data import load, num_per_class, unavailable
from hessbench.problems.data.download import _keep
from hessbench.problems.data.files import _sha256
from hessbench.problems.networks import load_state, read_weights
from hessbench.problems.training import is_cached, trained
from hessbench.problems.training.recipe import Recipe
from hessbench.problems.training.store import WeightStore, training_key


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Some bits or bytes changed, a part cut out, lost at the end, doubled or set to zero: seldom nothing at all."""
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at = chance.randrange(len(found)) if found else 0
        # Headers and directories lie at the two ends, and are short.
        if chance.random() < 0.5 and len(found) > 1000:
            at = chance.choice([at % 500, len(found) - 1 - at % 500])
        many = min(chance.choice([1, 8, 64, 512, 4096]), len(found) - at)
        how = chance.choice(["bit", "bit", "bit", "byte", "byte", "cut", "out", "double", "zero"])
        if not found:
            break
        if how == "bit":
            found[at] ^= 1 << chance.randrange(8)
        elif how == "byte":
            found[at] = chance.randrange(256)
        elif how == "cut":
            del found[at:]
        elif how == "out":
            del found[at : at + many]
        elif how == "double":
            found[at:at] = found[at : at + many]
        else:
            found[at : at + many] = bytes(many)
    return bytes(found)


def cuts(place: Place, chance: random.Random, out: Path) -> None:
    """A ledger cut at any byte: what is whole is read, and merging the whole one in brings the rest."""
    file = place.copy(out)
    data = file.read_bytes()
    file.write_bytes(data[: chance.randrange(len(data))])
    ledger = Ledger.read(out)
    demand(len(ledger.terminals) == len(finished(out)), "a whole row is not read")
    demand(ledger.torn <= 1, "more than one row is torn")
    merge([place.whole], out)
    demand(len(Ledger.read(out).terminals) == CELLS, "merging did not bring the rest")


def ledger_bytes(place: Place, chance: random.Random, out: Path) -> None:
    """Some bytes of a ledger changed: read or refused in one sentence, and only the rows hit are lost."""
    from record_attacks.text import read_or_sentence

    file = place.copy(out)
    data = bytearray(file.read_bytes())
    hits = chance.randrange(1, 4)
    for _ in range(hits):
        data[chance.randrange(len(data))] = chance.randrange(256)
    file.write_bytes(bytes(data))
    read_or_sentence(out, least=CELLS - 2 * hits)


def archives(place: Place, chance: random.Random, out: Path) -> None:
    """A reference damaged: absent or exactly what was written. Arrays kept for scoring: refused or exact."""
    place.copy(out)
    file = chance.choice(sorted((out / "references").rglob("*.npz")))
    file.write_bytes(damaged(file.read_bytes(), chance))
    found = ReferenceStore(out).load(file.parent.name, [file.stem])
    true = ReferenceStore(place.whole).load(file.parent.name, [file.stem])[file.stem]
    for reference in found.values():
        demand(reference.bound == true.bound and reference.norm == true.norm, "a damaged number is taken")
        demand(all((reference.arrays[name] == true.arrays[name]).all() for name in true.arrays), "damaged values taken")
    kept = chance.choice(sorted((out / "arrays").rglob("*.npz")))
    whole = load_arrays(out, str(kept.relative_to(out)))
    kept.write_bytes(damaged(kept.read_bytes(), chance))
    try:
        again = load_arrays(out, str(kept.relative_to(out)))
    except ValueError as refusal:
        a_sentence(refusal)
    else:
        demand(all(_equal(again[name], whole[name]) for name in again.keys() & whole.keys()), "damaged arrays taken")
    if chance.random() < 0.01:
        place.call("rescore", str(out), codes=(0, 2))


def _equal(one: Any, other: Any) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)


RECIPE = Recipe(steps=6, batch_size=4, learning_rate=0.05, checkpoints=(0, 3, 6), seed=("attack",))
NETWORK = "attacked"


@cache
def _training() -> tuple[nn.Module, dict[str, Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    initial = {name: torch.randn(value.shape, generator=generator) for name, value in model.named_parameters()}
    labels = torch.arange(12) % 2
    return model, initial, torch.randn(12, 5, generator=generator), labels


@cache
def _sealed(root: Path) -> tuple[dict[str, bytes], dict[int, dict[str, Tensor]]]:
    """Files and weights of a whole training, with the state that one ended half-way has left."""
    model, initial, inputs, labels = _training()
    store = WeightStore(training_key(NETWORK, initial, inputs, labels, RECIPE), RECIPE)
    states = {step: trained(model, initial, NETWORK, inputs, labels, RECIPE, step) for step in RECIPE.checkpoints}
    files = {file.name: file.read_bytes() for file in store.folder.glob("*.safetensors")}
    for file in store.folder.glob("*.safetensors"):
        file.unlink()
    from hessbench.problems.training.trainer import train

    count = 0

    def progress(done: int, total: int, loss: float) -> None:
        nonlocal count
        count += 1
        if store.resume_path.exists():
            raise InterruptedError

    with store.locked():
        try:
            train(model, initial, inputs, labels, RECIPE, store=store, progress=progress, save_every=0)
        except InterruptedError:
            files[store.resume_path.name] = store.resume_path.read_bytes()
    return files, states


def sealed_weights(place: Place, chance: random.Random, out: Path) -> None:
    """Files of a training, whole or half done, damaged, lost or exchanged: the same weights in the end, bit by bit."""
    files, states = _sealed(place.root)
    model, initial, inputs, labels = _training()
    store = WeightStore(training_key(NETWORK, initial, inputs, labels, RECIPE), RECIPE)
    demand("resume.safetensors" in files, "no training was ended half-way")
    for name, data in files.items():
        path = store.folder / name
        what = chance.choice(["whole", "damaged", "damaged", "gone", "another's"])
        if what == "gone":
            path.unlink(missing_ok=True)
        elif what == "another's":
            path.write_bytes(chance.choice(sorted(files.values())))
        else:
            path.write_bytes(data if what == "whole" else damaged(data, chance))
    step = chance.choice(RECIPE.checkpoints)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = trained(model, initial, NETWORK, inputs, labels, RECIPE, step)
    for warning in said:
        demand("\n" not in str(warning.message) and len(str(warning.message)) < 300, "a warning is no sentence")
    demand(all(torch.equal(found[name], value) for name, value in states[step].items()), f"step {step} differs")
    demand(is_cached(initial, NETWORK, inputs, labels, RECIPE, step), "the file is not made again")


def weight_files(place: Place, chance: random.Random, out: Path) -> None:
    """A weight file of the user's, damaged: one sentence, or the weights that were in it.

    The values in a `.safetensors` file have no checksum; there, other numbers of the same form are accepted.
    """
    model, initial, _, _ = _training()
    out.mkdir()
    path = out / chance.choice(["mine.npz", "mine.npz", "mine.safetensors"])
    if path.suffix == ".npz":
        chance.choice([np.savez, np.savez_compressed])(path, **{name: value.numpy() for name, value in initial.items()})
    else:
        safetensors.torch.save_file(initial, path)
    path.write_bytes(damaged(path.read_bytes(), chance))
    try:
        found = load_state(model, read_weights(path), "Mine")
    except ValueError as refusal:
        a_sentence(refusal)
        return
    demand(found.keys() == initial.keys(), "other names")
    demand(all(found[name].shape == value.shape for name, value in initial.items()), "other shapes")
    if path.suffix == ".npz":
        demand(all(torch.equal(found[name], value) for name, value in initial.items()), "damaged values are taken")


PER_CLASS = {"train": 3, "test": 2}


@cache
def _images() -> dict[str, Any]:
    generator = np.random.default_rng(5)
    made: dict[str, Any] = {}
    for split, count in PER_CLASS.items():
        labels = generator.permutation(np.repeat(np.arange(10, dtype=np.uint8), count))
        made |= {
            f"x_{split}": generator.integers(0, 256, (labels.size, 28, 28), dtype=np.uint8) // 9,
            f"y_{split}": labels,
        }
    return made


def data_files(place: Place, chance: random.Random, out: Path) -> None:
    """A file of images or its checksum, damaged: one sentence, or the images that were in it."""
    out.mkdir()
    os.environ["HESSBENCH_DATA"] = str(out)
    try:
        path = out / "mnist.npz"
        signed = chance.random() < 0.4
        if signed:
            _keep(path, _images())
        else:
            chance.choice([np.savez, np.savez_compressed])(path, **_images())
        true = {split: load("mnist", split=split) for split in PER_CLASS}
        hit = path.with_name("mnist.npz.sha256") if signed and chance.random() < 0.3 else path
        before = hit.read_bytes()
        hit.write_bytes(damaged(before, chance))
        # Two files of one size written within one tick of the clock count as one.
        _sha256.cache_clear()
        reason = unavailable("mnist")
        demand(reason is None or ("\n" not in reason and len(reason) < 400 and str(out) not in reason), f"{reason}")
        demand(not (signed and hit == path and reason is None) or hit.read_bytes() == before, "a checksum was not held")
        for split, samples in true.items():
            try:
                found = load("mnist", split=split)
                number = num_per_class("mnist", split)
            except OSError as refusal:
                a_sentence(refusal)
                continue
            demand(reason is None, "what is unavailable is loaded")
            same = torch.equal(found.inputs, samples.inputs) and torch.equal(found.labels, samples.labels)
            demand(same and number == PER_CLASS[split], "other images are taken")
    finally:
        del os.environ["HESSBENCH_DATA"]

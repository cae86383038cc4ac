"""Trained weights: trained once, read back after, told apart by everything that decides them."""

import inspect
import pickle
from dataclasses import replace

import pytest
import torch

from hessbench.problems.training import Point, Recipe, history, is_cached, trained
from hessbench.problems.training.store import WeightStore
from hessbench.problems.training.trainer import train


@pytest.fixture
def ask(task, recipe, small):
    """Asks for a named step of the small training; keywords replace what it is trained from."""

    def call(step, say=None, progress=None, **change):
        given = {
            "model": task.model, "initial": task.initial, "architecture": small.ARCHITECTURE,
            "inputs": task.inputs, "labels": task.labels, "recipe": recipe, **change,
        }  # fmt: skip
        return trained(**given, step=step, say=say, progress=progress)

    return call


@pytest.fixture
def facts(task, recipe, small):
    """What `is_cached` and `history` are asked with."""
    return {
        "initial": task.initial, "architecture": small.ARCHITECTURE,
        "inputs": task.inputs, "labels": task.labels, "recipe": recipe,
    }  # fmt: skip


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


class StoppedError(Exception):
    """Ends a training from within what it tells."""


def stop_at(text):
    def say(said):
        if text in said:
            raise StoppedError

    return say


def test_every_named_step_comes_from_one_training(ask, recipe, facts, cache):
    said = []
    last = ask(40, say=said.append)
    again = {step: ask(step, say=said.append) for step in recipe.checkpoints}
    assert said[0] == "training small-conv: 40 steps on 60 samples"
    assert sum("training small-conv" in text for text in said) == 1
    assert equal(again[40], last)
    assert equal(again[0], facts["initial"])
    assert len({state["5.weight"].sum().item() for state in again.values()}) == 4
    assert {value.dtype for value in last.values()} == {torch.float32}
    assert sorted(path.name for path in cache.rglob("*.*")) == [f"step-{step}.safetensors" for step in (0, 10, 40, 5)]


def test_it_learns(ask, facts):
    ask(40)
    points = history(**facts)
    assert [point.step for point in points] == [0, 5, 10, 40]
    assert points[0].accuracy < 0.5
    assert points[-1].accuracy > 0.9
    assert points[-1].loss < 0.5 * points[0].loss
    assert isinstance(points[0], Point)


def test_nothing_is_cached_before(facts):
    assert history(**facts) == []
    assert not is_cached(**facts, step=0)


def test_a_short_recipe_without_steps_keeps_the_start(ask, facts):
    none = replace(facts["recipe"], steps=0, checkpoints=(0,))
    assert equal(ask(0, recipe=none), facts["initial"])


def test_what_is_cached_needs_no_training(ask, facts):
    first = ask(10)
    assert all(is_cached(**facts, step=step) for step in (0, 5, 10, 40))
    assert equal(ask(10, model=None), first)


@pytest.mark.parametrize(
    "change",
    [
        lambda given: {"architecture": "other"},
        lambda given: {"recipe": replace(given["recipe"], learning_rate=0.06)},
        lambda given: {"initial": {**given["initial"], "5.bias": given["initial"]["5.bias"] + 1e-3}},
        lambda given: {"inputs": given["inputs"] + 1e-3},
        lambda given: {"inputs": given["inputs"].flip(0)},
        lambda given: {"labels": given["labels"].flip(0)},
    ],
    ids=["architecture", "recipe", "initial", "inputs", "order", "labels"],
)
def test_all_that_decides_the_weights_is_in_the_key(change, ask, facts):
    ask(40)
    assert is_cached(**facts, step=40)
    assert not is_cached(**(facts | change(facts)), step=40)


def test_what_decides_nothing_is_not_in_the_key(ask, facts):
    ask(40)
    same = {"labels": facts["labels"].to(torch.uint8), "recipe": replace(facts["recipe"], short=True)}
    same["initial"] = dict(reversed(facts["initial"].items()))
    assert is_cached(**(facts | same), step=40)


def test_another_version_of_the_trainer_finds_nothing(ask, facts, monkeypatch):
    ask(40)
    monkeypatch.setattr("hessbench.problems.training.store.TRAINING_VERSION", 2)
    assert not is_cached(**facts, step=40)


def test_a_step_that_no_training_passes_is_refused_before_anything_runs(ask, facts, cache):
    with pytest.raises(ValueError, match=r"^step must be between 0 and 40, got 41$"):
        ask(41)
    with pytest.raises(ValueError, match=r"^step must be between 0 and 40, got 41$"):
        is_cached(**facts, step=41)
    assert not cache.exists()


def test_a_step_without_a_name_is_trained_up_to_and_is_that_of_the_whole_training(ask, facts, recipe):
    said = []
    seventh = ask(7, say=said.append)
    assert said[0] == "training small-conv: 7 steps on 60 samples"
    assert is_cached(**facts, step=7)
    assert [point.step for point in history(**facts, until=7)] == [0, 5, 7]
    assert not is_cached(**facts, step=10)
    # What follows goes on from there, and a step before it is still to be had.
    ninth = ask(9, say=said.append)
    assert "going on from step 7 of 9" in said
    third, last = ask(3), ask(40)
    assert [point.step for point in history(**facts)] == [0, 5, 10, 40]
    named = {"checkpoints": (0, 3, 5, 7, 9, 10, 40)}
    for step, found in ((3, third), (7, seventh), (9, ninth), (40, last)):
        assert equal(found, ask(step, recipe=replace(recipe, **named)))


def test_progress_is_told_up_to_the_end(ask):
    told = []
    ask(40, progress=lambda done, total, loss: told.append((done, total, loss)))
    assert told[-1][:2] == (40, 40)
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})
    assert all(0 < loss < 10 for _, _, loss in told)


def test_words_say_how_good_the_named_steps_are(ask, facts):
    said = []
    ask(40, say=said.append)
    loss, accuracy = history(**facts)[-1][1:]
    assert said[-1] == f"step 40 of 40 kept: loss {loss:.4g}, accuracy {accuracy:.1%} on its own data"


def test_long_trainings_say_now_and_then_how_far_they_are(ask, monkeypatch):
    monkeypatch.setattr("hessbench.problems.training.trainer._SAY_EVERY_S", 0.0)
    said = []
    ask(40, say=said.append)
    assert sum(text.startswith("step 23 of 40, loss ") and "s left" in text for text in said) == 1


@pytest.mark.parametrize("save_every", [0.0, 1000.0])
@pytest.mark.parametrize("stop", [3, 7, 12, 39])
def test_a_stopped_training_goes_on_and_ends_in_the_same_bits(stop, save_every, task, recipe, store, ask, monkeypatch):
    def progress(done, total, loss):
        if done == stop:
            raise StoppedError

    monkeypatch.setattr("hessbench.problems.training.trainer._SHOW_EVERY_S", 0.0)
    with pytest.raises(StoppedError), store.locked():
        train(
            task.model, task.initial, task.inputs, task.labels, recipe,
            store=store, progress=progress, save_every=save_every,
        )  # fmt: skip
    kept = stop - 1 if save_every == 0 else max((0, 5, 10, 40), key=lambda step: step if step < stop else -1)
    said = []
    found = {step: ask(step, say=said.append) for step in recipe.checkpoints}
    assert (f"going on from step {kept} of 40" in said) == (kept > 0)
    assert not store.resume_path.exists()
    monkeypatch.setenv("HESSBENCH_CACHE", str(store.folder / "whole"))
    assert all(equal(found[step], ask(step)) for step in recipe.checkpoints)


def cut(data):
    return data[: len(data) // 2]


def flipped(data):
    return data[:-9] + bytes([data[-9] ^ 64]) + data[-8:]


class Payload:
    """Reports when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a file was unpickled",)


DAMAGES = {
    "cut": cut,
    "flipped": flipped,
    "empty": lambda data: b"",
    "garbage": lambda data: b"\xa5" * len(data),
    "pickle": lambda data: pickle.dumps(Payload()),
}
damaged = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())


@damaged
@pytest.mark.parametrize("step", [0, 5, 40])
def test_damaged_weights_are_trained_again_with_a_warning(step, damage, ask, store, facts, recipe):
    expected = {named: ask(named) for named in recipe.checkpoints}
    whole = store.path(step).read_bytes()
    store.path(step).write_bytes(damage(whole))
    assert not is_cached(**facts, step=step)
    assert [point.step for point in history(**facts)] == [named for named in (0, 5, 10, 40) if named != step]
    with pytest.warns(UserWarning, match=rf"step-{step}.safetensors in the cache .*; it is trained again$") as warned:
        assert equal(ask(step), expected[step])
    assert len(warned) == 1
    assert all(equal(ask(named), state) for named, state in expected.items())


def test_only_what_is_damaged_is_trained_again(ask, store):
    ask(40)
    store.path(5).write_bytes(b"")
    said = []
    with pytest.warns(UserWarning, match="it is trained again"):
        ask(5, say=said.append)
    assert [text for text in said if "kept" in text] == [text for text in said if text.startswith("step 5 of 5 kept")]


@damaged
def test_a_damaged_state_to_go_on_from_is_left_with_a_warning(damage, ask, store):
    with pytest.raises(StoppedError):
        ask(40, say=stop_at("step 10 of 40 kept"))
    store.resume_path.write_bytes(damage(store.resume_path.read_bytes()))
    said = []
    with pytest.warns(UserWarning, match=r"resume.safetensors in the cache .*; the training begins anew$") as warned:
        found = ask(40, say=said.append)
    assert len(warned) == 1
    assert not any("going on" in text for text in said)
    for path in store.folder.iterdir():
        path.unlink()
    assert equal(ask(40), found)


def test_a_damaged_early_step_of_an_unfinished_training_is_made_again(ask, store, recipe):
    with pytest.raises(StoppedError):
        ask(40, say=stop_at("step 40 of 40 kept"))
    store.path(5).write_bytes(b"")
    store.path(40).unlink()
    with pytest.warns(UserWarning, match="step-5"):
        found = {step: ask(step) for step in (40, 10, 5, 0)}
    for path in store.folder.iterdir():
        path.unlink()
    assert all(equal(ask(step), state) for step, state in found.items())


@pytest.mark.parametrize("other", ["step", "training"])
def test_a_file_in_the_place_of_another_is_not_read(other, ask, store, recipe):
    expected = ask(5)
    if other == "step":
        store.path(5).write_bytes(store.path(10).read_bytes())
    else:
        slower = replace(recipe, learning_rate=0.01)
        ask(5, recipe=slower)
        folders = [path for path in store.folder.parent.iterdir() if path != store.folder]
        store.path(5).write_bytes((folders[0] / store.path(5).name).read_bytes())
    with pytest.warns(UserWarning, match="belongs to another training; it is trained again"):
        assert equal(ask(5), expected)


def test_weights_in_the_place_of_the_state_to_go_on_from_are_not_read(ask, store):
    expected = ask(40)
    store.resume_path.write_bytes(store.path(10).read_bytes())
    store.path(40).unlink()
    with pytest.warns(UserWarning, match="is another of the same training; the training begins anew"):
        assert equal(ask(40), expected)


def test_a_diverging_training_keeps_what_came_before(ask, facts):
    recipe = replace(facts["recipe"], learning_rate=1e200, loss="squared", schedule="step", knots=((0, 0.0), (7, 1.0)))
    for _ in range(2):  # the second goes on from what the first kept
        with pytest.raises(ValueError, match=r"the loss is (inf|nan) at step (8|9)"):
            ask(40, recipe=recipe)
    assert is_cached(**(facts | {"recipe": recipe}), step=5)


def test_a_cache_that_cannot_be_made_is_said_with_the_remedy(ask, cache):
    cache.write_text("in the way")
    with pytest.raises(OSError, match=r"trained weights cannot be kept .*: name a writable folder by HESSBENCH_CACHE"):
        ask(5)


def test_keywords_are_those_that_others_call(small, task):
    assert list(inspect.signature(trained).parameters) == [
        "model", "initial", "architecture", "inputs", "labels", "recipe", "step", "say", "progress",
    ]  # fmt: skip
    assert WeightStore(task.key(small.RECIPE), small.RECIPE).path(5).name == "step-5.safetensors"
    assert Recipe(1, 1, 1.0).short is False

"""The current bests: times in gradients of their own run, classes, places, and what must not pool."""

import dataclasses
import math
from pathlib import Path

import pytest
from planted_ledgers import repeats

from hessbench.catalog import load_catalog
from hessbench.ledger.published import LedgerDescription, PublishedLedger
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Status
from hessbench.reports.leaderboard.gathering import OwnRun, gather_rows
from hessbench.reports.leaderboard.own_place import own_places
from hessbench.reports.leaderboard.problem_classes import PROBLEM_CLASSES, class_of
from hessbench.reports.leaderboard.standings import standings
from hessbench.reports.leaderboard.time_unit import in_gradients


def everything(estimand):
    return bool(estimand)


def price(problem="digits-mlp", seconds=0.002, **fields):
    return {"problem": problem, "device": "cpu", "dtype": "float32", "threads": 1, "environment": "e",
            "gradient_seconds": seconds} | fields  # fmt: skip


def within(from_budget):
    return lambda budget, repeat: 0.001 if budget >= from_budget else 0.5


def rows(method, from_budget=10, **fields):
    return repeats(method, error=within(from_budget), environment="e", suite="tiny-1", **fields)


def published(records, label="tiny-1", folder="ledgers/tiny-1", prices=None):
    prices = (price(),) if prices is None else prices
    said = LedgerDescription(label, "0" * 64, (), 0, 0, "cpu", "float32", 1, None, {}, (), ())
    return PublishedLedger(Path(folder), said, "", Ledger(tuple(records), {"e": {}}, tuple(prices)))


def gathered(*ledgers, own=(), say=None):
    return gather_rows(ledgers, own, say or pytest.fail)


def test_times_are_multiples_of_the_gradient_of_their_own_run():
    found = in_gradients(published(rows("a", wall=0.001, build=0.01)).ledger)
    assert [row.wall_s for row in found[:3]] == pytest.approx([5, 10, 20])
    assert found[3].build_s == pytest.approx(5)
    for prices in (
        (),
        (price(environment="other"),),
        (price(threads=2),),
        (price(problem="mlp"),),
        (price(seconds=0.0),),
    ):
        scaled = in_gradients(published(rows("a"), prices=prices).ledger)
        assert {(row.wall_s, row.build_s) for row in scaled} == {(None, None)}
    # A price from before it named its environment is of the only one there is.
    old = price()
    del old["environment"]
    assert in_gradients(published(rows("a", wall=0.001), prices=(old,)).ledger)[0].wall_s == pytest.approx(5)
    several = Ledger(tuple(rows("a")), {"e": {"cpu": "a"}, "f": {"cpu": "b"}}, (old,))
    assert in_gradients(several)[0].wall_s is None


@pytest.mark.parametrize(("cpu", "counts"), [("a", True), ("b", False)])
def test_a_gradient_of_another_commit_counts_and_one_of_another_machine_does_not(cpu, counts):
    facts = {"e": {"cpu": "a", "commit": "1", "dirty": True}, "f": {"cpu": cpu, "commit": "2", "dirty": False}}
    (first, *_) = in_gradients(Ledger(tuple(rows("a", wall=0.001)), facts, (price(environment="f"),)))
    assert (first.wall_s is not None) is counts


def test_seconds_of_two_runs_compare_by_their_gradients_alone():
    # The own machine is ten times as slow, in its gradient too: in gradients the method is twice as fast.
    slow = Ledger(tuple(rows("mine", wall=0.005, build=0.0)), {"e": {}}, (price(seconds=0.02),))
    all_rows = gathered(
        published(rows("theirs", wall=0.001, build=0.0)), own=[OwnRun("mine", "runs/mine", ("m.py",), slow)]
    )
    (found,) = standings(all_rows, everything)
    answered = found.questions[0].answered["seconds"]
    assert [entry.method for entry in answered.entries] == ["mine", "theirs"]
    assert answered.entries[0].seconds.median == pytest.approx(2.5)
    assert answered.entries[1].ratio.spread.median == pytest.approx(2)
    without = gathered(published(rows("theirs")), own=[OwnRun("mine", "r", (), dataclasses.replace(slow, prices=()))])
    (place,) = own_places(standings(without, everything), without.records)
    assert set(place.method.places) == {"products", "gradients"}


def test_the_best_of_a_class_is_who_reaches_most_of_it_at_the_least_cost():
    records = [
        *rows("broad", 40), *rows("broad", 20, problem="mlp"), *rows("broad", 40, problem="mlp[x=1]"),
        *rows("sharp", 20), *rows("sharp", 20, problem="mlp"), *rows("sharp", 99, problem="mlp[x=1]"),
        *rows("never", 99, problem="digits-mlp"),
    ]  # fmt: skip
    (found,) = standings(gathered(published(records)), everything)
    assert found.problem_class.name == "perceptron, indefinite"
    best = found.best["products"]
    assert (best.method, best.reached, best.first) == ("broad", 3, 2)
    assert (best.runner_up, best.runner_up_reached) == ("sharp", 2)
    assert best.factor == pytest.approx(math.sqrt(0.5))
    assert best.interval == pytest.approx((0.5, 1))
    assert (
        found.best["seconds"].remark == "no gradient was timed in the runs that reached it"
        or found.best["seconds"].method
    )
    assert {it.entry.method: it.places.get("products") for it in found.questions[0].methods} == {
        "sharp": 1, "broad": 2, "never": None,
    }  # fmt: skip


def test_the_factor_has_the_interval_of_its_pairs():
    records = [*rows("a", 10, number=9), *rows("b", 20, number=9)]
    (found,) = standings(gathered(published(records)), everything)
    best = found.best["products"]
    assert (best.method, best.runner_up, best.factor, best.interval) == ("a", "b", 2, (2, 2))
    assert found.questions[0].answered["products"].entries[1].ratio.interval == (2, 2)


def test_every_entry_says_what_replays_it():
    all_rows = gathered(
        published(rows("a"), folder="my ledgers/tiny-1"),
        own=[OwnRun("mine", "runs/mine", ("it's.py",), Ledger(tuple(rows("mine"))))],
    )
    (found,) = standings(all_rows, everything)
    commands = {it.entry.method: it.command for it in found.questions[0].methods}
    cell = rows("a")[0].cell
    assert commands["a"] == f"hessbench replay 'my ledgers/tiny-1' {cell}"
    assert commands["mine"].startswith("hessbench replay runs/mine ")
    assert commands["mine"].endswith(""" '--plugin=it'"'"'s.py'""")


def test_the_latest_version_of_a_suite_counts_and_of_one_version_the_first():
    said = []
    found = gathered(
        published(rows("old")), published(rows("new"), "tiny-2", "ledgers/tiny-2"),
        published(rows("again"), "tiny-2", "ledgers/copy"), published(rows("ten"), "other-10", "ledgers/other"),
        published(rows("nine"), "other-9", "ledgers/nine"), say=said.append,
    )  # fmt: skip
    assert {row.method for row in found.records} == {"new", "ten"}
    assert said == ["tiny-2 is published twice, in tiny-2 and copy: the first counts"]
    assert [it.description.suite for it in found.superseded] == ["tiny-1", "other-9"]


def test_a_cell_that_two_suites_hold_counts_once():
    found = gathered(published(rows("a")), published(rows("a"), "other-1", "ledgers/other"))
    assert len(found.records) == len(rows("a"))


def test_a_method_of_ones_own_with_a_published_name_is_told_apart():
    own = Ledger(tuple(rows("a", 20)), {"e": {}}, (price(),))
    all_rows = gathered(published(rows("a", 10)), own=[OwnRun("a", "runs/mine", (), own)])
    (place,) = own_places(standings(all_rows, everything), all_rows.records)
    assert place.method.entry.method == "a (this run)"
    assert place.method.places["products"] == 2
    assert place.method.command == f"hessbench replay runs/mine {rows('a')[0].cell}"


def test_failures_are_censored_and_never_dropped():
    own = Ledger(
        (*repeats("mine", 2, status=Status.TIMEOUT, came_to=20, environment="e"),
         *(dataclasses.replace(row, repeat=2) for row in rows("mine", number=1))),
        {"e": {}}, (price(),),
    )  # fmt: skip
    theirs = [*rows("a", 10), *repeats("nan", error=lambda budget, repeat: None, environment="e", suite="tiny-1")]
    all_rows = gathered(published(theirs), own=[OwnRun("mine", "runs/mine", (), own)])
    (place,) = own_places(standings(all_rows, everything), all_rows.records)
    # Two of its three repeats came to no answer at the largest budget: the median error is infinite.
    assert (place.error.budget, place.error.error, place.error.place, place.error.of) == (40, math.inf, 2, 3)
    assert (place.error.best, place.error.best_error) == ("a", 0.001)
    lost = Ledger(tuple(repeats("mine", status=Status.ERROR, came_to=0, reason="ValueError: no", environment="e")))
    failed = gathered(published(theirs), own=[OwnRun("mine", "runs/mine", (), lost)])
    (place,) = own_places(standings(failed, everything), failed.records)
    assert place.method.places == {}
    assert place.method.entry.state == "failed"


def test_a_problem_of_other_content_is_left_out_and_said():
    own = Ledger(tuple(rows("mine", problem_hash="q" * 16)), {"e": {}}, (price(),))
    said = []
    all_rows = gathered(published(rows("a")), own=[OwnRun("mine", "runs/mine", (), own)], say=said.append)
    (found,) = standings(all_rows, everything)
    assert [it.entry.method for it in found.questions[0].methods] == ["a"]
    assert said == ["digits-mlp has another content here than in the published rows, such as weights or data: what the "
                    "method did on it is not shown"]  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "name"),
    [("student-t", "synthetic, indefinite"), ("student-t[zero_fraction=0.9]", "synthetic, many zeros"),
     ("spectrum[name=step]", "synthetic, semi-definite"), ("wishart", "synthetic, many zeros"),
     ("wigner", "synthetic, indefinite"), ("digits-mlp[operator=ggn]", "perceptron, semi-definite"),
     ("mlp", "perceptron, indefinite"), ("resnet20-cifar10", "residual network, indefinite"),
     ("resnet18[operator=ggn,weights=random]", "residual network, semi-definite"),
     ("cnn-3c3d[weights=random]", "convolutional network, indefinite"),
     ("vgg11-bn[weights=random]", "convolutional network, indefinite"),
     ("all-cnn-c[weights=random]", "convolutional network, indefinite")],
)  # fmt: skip
def test_every_problem_has_one_class(problem, name):
    made = load_catalog().problem(problem)
    assert class_of(made.name, made.traits).name == name


def test_a_plugins_problem_has_a_class_whatever_it_declares():
    assert class_of("mine", ()).name == "other matrix"
    assert class_of("mine", ("network",)).name == "other network, indefinite"
    assert class_of("mine", ("synthetic", "zeros=many")).name == "synthetic, indefinite"
    assert class_of("mlp-of-mine", ("psd",)).name == "other matrix"
    assert len({it.name for it in PROBLEM_CLASSES}) == len(PROBLEM_CLASSES)

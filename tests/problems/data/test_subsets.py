"""Balanced orders: every prefix, the same every time, and the stored order where it will do."""

import numpy as np
import pytest

from hessbench.problems.data.subsets import balanced_order, rarest, seeded_order

CLASSES = 4


@pytest.fixture
def labels() -> np.ndarray:
    """61 labels, the rarest class 9 times among them."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(CLASSES, dtype=np.uint8), (20, 9, 17, 15)))


@pytest.mark.parametrize("b", range(1, 10))
def test_every_prefix_of_whole_rows_is_balanced(labels, b):
    chosen = labels[balanced_order(labels, CLASSES, "any")[: b * CLASSES]]
    assert np.bincount(chosen, minlength=CLASSES).tolist() == [b] * CLASSES


def test_the_order_is_a_permutation_and_what_is_left_keeps_its_order(labels):
    order = balanced_order(labels, CLASSES, "any")
    assert np.array_equal(np.sort(order), np.arange(labels.size))
    left = order[9 * CLASSES :]
    assert np.array_equal(left, np.sort(left))
    assert 1 not in labels[left]


def test_the_order_depends_on_the_name_and_not_on_the_global_generator(labels):
    np.random.seed(1)
    one = balanced_order(labels, CLASSES, "any")
    np.random.seed(2)
    assert np.array_equal(one, balanced_order(labels, CLASSES, "any"))
    assert not np.array_equal(one, balanced_order(labels, CLASSES, "other"))


def test_rows_are_shuffled(labels):
    rows = labels[balanced_order(labels, CLASSES, "any")[: 9 * CLASSES]].reshape(9, CLASSES)
    assert len({tuple(row) for row in rows.tolist()}) > 3


def test_an_order_that_is_balanced_already_is_kept(labels):
    stored = labels[seeded_order(labels, CLASSES, "any")]
    assert np.array_equal(balanced_order(stored, CLASSES, "any"), np.arange(labels.size))
    assert not np.array_equal(seeded_order(stored, CLASSES, "any"), np.arange(labels.size))


def test_an_order_that_is_balanced_only_at_first_is_not_kept(labels):
    stored = labels[seeded_order(labels, CLASSES, "any")]
    rows = stored[: 9 * CLASSES].reshape(9, CLASSES)
    (here,), (there,) = np.flatnonzero(rows[7] == 0), np.flatnonzero(rows[8] == 1)
    rows[7, here], rows[8, there] = 1, 0
    assert np.bincount(stored, minlength=CLASSES).tolist() == [20, 9, 17, 15]
    assert np.array_equal(balanced_order(stored, CLASSES, "any"), seeded_order(stored, CLASSES, "any"))


def test_the_rarest_class_is_counted_even_when_it_is_absent(labels):
    assert rarest(labels, CLASSES) == 9
    assert rarest(labels, CLASSES + 1) == 0

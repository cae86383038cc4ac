"""Chunks grow with the rows made where rows are short, and what they add up to does not depend on them."""

import itertools

import numpy as np
import pytest
from scipy import stats

from hessbench.methods.rows.growing_chunks import SHARE, largest_chunk, next_chunk, row_widths
from hessbench.methods.rows.heavy_rows import heavy_rows
from hessbench.methods.rows.sampled_rows import sampled_rows
from hessbench.seeding import make_generator

SEEDS = 300


@pytest.mark.parametrize(
    ("made", "dim", "expected"),
    [(0, 2000, 16), (128, 2000, 16), (136, 2000, 17), (4000, 2000, 500), (10**6, 2000, 2097)],
)
def test_short_rows_come_an_eighth_of_those_made_at_a_time(made, dim, expected):
    assert next_chunk(16, made, dim) == expected


@pytest.mark.parametrize("made", [0, 160, 10_000])
def test_long_rows_come_as_many_at_a_time_as_at_first(made):
    assert next_chunk(16, made, 272_474) == 16


def test_no_chunk_is_wider_than_what_is_declared():
    for budget in (17, 100, 1000, 5000):
        made, widths = 0, []
        while made + next_chunk(16, made, 2000) <= budget:
            widths.append(next_chunk(16, made, 2000))
            made += widths[-1]
        assert max(widths) <= largest_chunk(16, budget, 2000) <= max(row_widths(budget, chunk=16)) <= budget
        assert budget - made <= max(16, budget // SHARE)


def test_the_sum_of_the_heaviest_rows_does_not_depend_on_chunks(numbered_ggn):
    ggn = numbered_ggn(decay=1.0)
    runs = [
        {found.diagnostics["rows"]: found for found in (estimate.resolve() for estimate in heavy_rows(
            ggn, num_matvecs=300, generator=make_generator(0), chunk=chunk))}
        for chunk in (2, 60)
    ]  # fmt: skip
    few, many = (sorted(run) for run in runs)
    assert {high - low for low, high in itertools.pairwise(few)} > {2, 3, 4, 10}
    assert many == [60, 120, 180, 240, 300]
    heaviest = ggn.rows.entries[(-ggn.rows.roots).argsort(stable=True)].square().cumsum(0)
    for rows, found in itertools.chain(*(run.items() for run in runs)):
        assert found.value == pytest.approx(float(heaviest[int(rows) - 1]), rel=1e-12)


@pytest.mark.parametrize(("decay", "scatter"), [(0.0, 0.3), (1.0, 0.3)])
def test_draws_in_growing_chunks_are_unbiased_and_their_intervals_hold(numbered_ggn, decay, scatter):
    ggn = numbered_ggn(decay, scatter, 1.0)
    runs = []
    for seed in range(SEEDS):
        steps = sampled_rows(ggn, num_matvecs=250, generator=make_generator(seed), chunk=4)
        runs.append([found for found in (estimate.resolve() for estimate in steps) if found.stderr is not None])
    made = [found.diagnostics["rows"] for found in runs[0]]
    assert max(np.diff(made)) > 12
    for place in (made.index(min(rows for rows in made if rows >= made[0] + 16)), len(made) - 1):
        found = [run[place] for run in runs]
        errors = np.asarray([estimate.value for estimate in found]) - ggn.trace
        assert abs(errors.mean()) < 4 * errors.std() / SEEDS**0.5
        for confidence in (0.95, 0.99):
            misses = sum(abs(estimate.value - ggn.trace) > estimate.half_width(confidence) for estimate in found)
            assert misses <= stats.binom.isf(1e-3, SEEDS, 1 - confidence)

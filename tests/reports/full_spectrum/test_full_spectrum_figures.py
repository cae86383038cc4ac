"""Figures of the full-spectrum study on made-up numbers: each is drawn, small, and has its numbers beside it."""

import numpy as np

from hessbench.reports.claims.measured import measured_of
from hessbench.reports.full_spectrum.figures import figures
from hessbench.reports.full_spectrum.groups import BY_SIZE, MAIN, SHALLOW, SMOOTH
from hessbench.reports.full_spectrum.method_verdicts import BUDGET, BY_LANCZOS, KPM, PLAIN, at_budget

N = 400


def made_up():
    rng = np.random.default_rng(0)
    arrays, rows = {}, []
    for group in dict.fromkeys((*MAIN, *SHALLOW, *SMOOTH, *BY_SIZE)):
        for run in range(2):
            unit = f"{group.name} run={run}"
            bulk = rng.standard_t(3, N - 10) * 0.05
            h = np.concatenate([bulk, np.linspace(2, 6, 10)])
            g = np.abs(h) ** 2
            arrays |= {f"{unit}/h": h, f"{unit}/g": g, f"{unit}/r": rng.standard_t(3, N) * 0.05, f"{unit}/test": 2 * h}
            arrays |= {
                f"{unit}/g-test": g,
                f"{unit}/gap-ratios": rng.uniform(1, 3, 29),
                f"{unit}/gap-largest": np.ones(1),
            }
            grid = np.linspace(-1, 7, 1024)
            flat = np.full(1024, (1 - 10 / N) / 1024)
            arrays[f"{unit}/density {PLAIN} {BUDGET}"] = np.stack([grid, np.full(1024, 1 / 1024)])
            nodes, weights = np.concatenate([h[-10:], grid]), np.concatenate([np.full(10, 1 / N), flat])
            order = np.argsort(nodes)
            arrays[f"{unit}/density {BY_LANCZOS} {BUDGET}"] = np.stack([nodes[order], weights[order]])
            measures = {"tail-exponent": 2.5, "tail-start": 0.1, "tail-count": 60, "gaps-of-g": 3 + run,
                        "trace-share-of-r": 1e-17, "symmetry-p": 0.5}  # fmt: skip
            rows += [
                {"unit": unit, "problem": group.name, "measure": name, "value": value}
                for name, value in measures.items()
            ]
            for method in (PLAIN, BY_LANCZOS, KPM):
                for measure in ("w1", "bulk-w1", "outlier-error"):
                    rows.append({"unit": unit, "problem": group.name, "method": method,
                                 "measure": at_budget(measure, BUDGET), "value": 0.1 + run})  # fmt: skip
    return measured_of(rows, arrays)


def test_every_figure_is_drawn_small_and_with_its_numbers():
    drawn = figures(made_up())
    assert len({it.name for it in drawn}) == len(drawn) == 8
    for it in drawn:
        assert len(it.picture.svg) < 300_000
        assert len(it.frame) > 3


def test_what_was_not_measured_is_not_drawn():
    assert not figures(measured_of([]))

"""Full-size counts of intervals that miss, per spectrum, before and after; see --help."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import scipy.stats
import torch
from scipy.stats import binom

from hessbench.problems.held_out.interval_trials import DRAWS, IntervalTrial, density_trial, interval_trial
from hessbench.problems.held_out.interval_trials import trial_spectrum as drawn
from hessbench.problems.held_out.spectra import KINDS, HeldOutSpectrum, held_out_spectrum
from hessbench.problems.references.trace_interval import Effort, random_signs
from hessbench.seeding import derive_seed, make_generator


def spectra() -> list[str]:
    return [*DRAWS, *(f"held out: {kind}" for kind in KINDS)]


def spectrum(name: str, seed: int) -> HeldOutSpectrum:
    """A named spectrum is rotated anew; a held-out kind is drawn anew."""
    if name in DRAWS:
        return drawn(name, seed)
    place = list(KINDS).index(name.removeprefix("held out: "))
    return held_out_spectrum(seed * len(KINDS) + place, low=30, high=2000)


def student_interval(found: HeldOutSpectrum, seed: int, effort: Effort) -> tuple[bool, float]:
    """What was done before, from the same signs: a t-interval of the samples themselves."""
    op = found.build()
    generator = make_generator(derive_seed("statistical", f"trial {seed}", "trace"))
    width = min(effort.sketch, op.dim)
    Q = torch.linalg.qr(op.matmat(random_signs(op.dim, width, generator))).Q
    exact, n = float((Q.T @ op.matmat(Q)).trace()), effort.samples
    parts: list[torch.Tensor] = []
    for start in range(0, n, 20):
        Z = random_signs(op.dim, min(20, n - start), generator)
        Z.sub_(Q @ (Q.T @ Z))
        parts.append((Z * op.matmat(Z)).sum(dim=0))
    values = torch.cat(parts).numpy()
    half_width = float(scipy.stats.t.ppf(0.995, n - 1) * values.std(ddof=1) / n**0.5)
    gap = abs(exact + float(values.mean()) - float(found.eigenvalues.sum()))
    # The rounding that was not allowed for is another matter, and left to the bound of today.
    return gap <= half_width + 10 * width * 2.0**-52 * found.norm, half_width


def trials(name: str, first: int, count: int, effort: Effort) -> Iterator[tuple[IntervalTrial, bool, float]]:
    for seed in range(first, first + count):
        made = spectrum(name, seed)
        yield interval_trial(made, seed, effort), *student_interval(made, seed, effort)


def verdict(misses: int, count: int) -> str:
    """How likely as many misses or more are at 1 %."""
    chance = float(binom.sf(misses - 1, count, 0.01))
    return f"p = {chance:.3f}{'' if chance > 0.01 else '  BROKEN'}"


def traces(first: int, count: int, effort: Effort) -> None:
    totals, ratios = np.zeros(3, dtype=int), list[float]()
    print(f"traces, {effort.trace_products} products, {count} seeds from {first}: misses before, after, p, width ratio")
    for name in spectra():
        before = after = 0
        widths: list[float] = []
        for found, held, half_width in trials(name, first, count, effort):
            before, after = before + (not held), after + (not found.covers)
            # Where the rest is zero both widths are rounding.
            if half_width > 1e-10 * max(abs(found.truth), half_width):
                widths.append(found.half_width / half_width)
        totals += before, after, count
        ratios += widths
        ratio = f"{np.median(widths):.3f}" if widths else "exact"
        print(f"{name:42} {before:5} {after:5} of {count}  {verdict(after, count)}  {ratio}", flush=True)
    print(f"all: {totals[0]} before ({verdict(int(totals[0]), int(totals[2]))}), {totals[1]} after of {totals[2]} "
          f"({verdict(int(totals[1]), int(totals[2]))}), median width ratio {np.median(ratios):.3f}")  # fmt: skip


def densities(first: int, count: int, effort: Effort) -> None:
    misses = total = 0
    print(
        f"densities, {effort.probes} probes of {effort.steps} steps, {count} seeds from {first}: misses, p, error/bound"
    )
    for name in spectra():
        found = [density_trial(spectrum(name, seed), seed, effort) for seed in range(first, first + count)]
        missed = sum(not trial.covers for trial in found)
        worst = max(trial.value / trial.half_width if trial.half_width else 0.0 for trial in found)
        misses, total = misses + missed, total + count
        print(f"{name:42} {missed:5} of {count}  {verdict(missed, count)}  {worst:.2f}", flush=True)
    print(f"all: {misses} of {total} ({verdict(misses, total)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("trace", "density"))
    parser.add_argument("--seeds", type=int, default=3360, help="of each spectrum")
    parser.add_argument("--first", type=int, default=10_000)
    parser.add_argument("--small", action="store_true", help="a fifth of the products of a reference")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    small = Effort(sketch=20, samples=20, probes=6, steps=15)
    (traces if asked.what == "trace" else densities)(asked.first, asked.seeds, small if asked.small else Effort())


if __name__ == "__main__":
    main()

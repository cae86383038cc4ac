"""Certified references on spectra made to defeat them, by the thousand: `python tests/campaigns/certified.py --help`.

Seeds follow each other until as many references were given as asked for; those refused are counted apart. To hold two
versions of the code against each other, run each with `--save` and the second with `--compare` to the first's file.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from statistics import median

import torch

from hessbench.problems.held_out.certified_trials import CertifiedTrial, certified_trial
from hessbench.problems.held_out.spectra import KINDS, held_out_spectrum

OUTCOMES = ("right", "broken", "refused")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=3000, help="references given, refusals not counted")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--low", type=int, default=90, help="least dimension")
    parser.add_argument("--high", type=int, default=5000, help="largest dimension")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seeds", type=int, help="number of seeds, in place of a number of references")
    parser.add_argument("--save", type=Path, help="file for one JSON line of every trial")
    parser.add_argument("--compare", type=Path, help="such a file of another version")
    return parser.parse_args()


def one_thread() -> None:
    torch.set_num_threads(1)


def tried(job: tuple[int, int, int]) -> CertifiedTrial:
    seed, low, high = job
    return certified_trial(held_out_spectrum(seed, low=low, high=high))


def kind_of(trial: CertifiedTrial) -> str:
    return trial.name.split()[0]


def compare(trials: list[CertifiedTrial], path: Path) -> None:
    """What became of the right answers of another version, and what these cost beside them."""
    before = {row["name"]: row for row in map(json.loads, path.read_text().splitlines())}
    pairs = [(before[trial.name], trial) for trial in trials if trial.name in before]
    right = [(old, new) for old, new in pairs if old["outcome"] == "right"]
    kept = [(old, new) for old, new in right if new.outcome == "right"]
    print(f"before, on the same {len(pairs)} seeds: {dict(Counter(old['outcome'] for old, _ in pairs))}")
    print(f"right before: {len(right)}; of these right now: {len(kept)} ({len(kept) / max(len(right), 1):.2%})")
    if kept:
        ratios = sorted(new.products / old["products"] for old, new in kept)
        print(f"products now over before: median {median(ratios):.3f}, 90 % {ratios[int(0.9 * len(ratios))]:.3f}")
    for _, new in right:
        if new.outcome != "right":
            print(f"  lost: {new.name}: {new.detail}")


def main() -> None:
    asked = arguments()
    trials: list[CertifiedTrial] = []
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    start = time.monotonic()
    limit = asked.seeds or 10 * asked.count
    jobs = ((seed, asked.low, asked.high) for seed in range(asked.first_seed, asked.first_seed + limit))
    context = multiprocessing.get_context("spawn")
    with context.Pool(asked.jobs, one_thread) as pool, Path(asked.save or os.devnull).open("w") as saved:
        for trial in pool.imap(tried, jobs):
            trials.append(trial)
            print(json.dumps(asdict(trial)), file=saved, flush=True)
            counts[kind_of(trial)][trial.outcome] += 1
            if trial.outcome == "broken":
                print(f"broken: {trial.name}: error {trial.error:.3e}, bound {trial.bound:.3e}: {trial.detail}")
            if not asked.seeds and len(trials) - sum(row["refused"] for row in counts.values()) == asked.count:
                break
        pool.terminate()
    print(f"{'kind':<22}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES) + "   median products")
    for kind, row in counts.items():
        spent = [trial.products for trial in trials if kind_of(trial) == kind and trial.outcome != "refused"]
        print(f"{kind:<22}" + "".join(f"{row[outcome]:>9}" for outcome in OUTCOMES) + f"{median(spent or [0]):>18.0f}")
    total = sum(counts.values(), Counter())
    print(f"{'all':<22}" + "".join(f"{total[outcome]:>9}" for outcome in OUTCOMES))
    print(f"{len(trials)} seeds from {asked.first_seed} in {time.monotonic() - start:.0f} s")
    if asked.compare:
        compare(trials, asked.compare)


if __name__ == "__main__":
    main()

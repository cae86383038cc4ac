"""Products and references of every held-out architecture: `python tests/campaigns/architectures.py --help`.

All architectures, losses, operators and engines by default, which takes hours; globs choose among them. One line is
printed for each wrong trial, then counts by engine and operator, and the refusals by their sentence.
"""

import argparse
import fnmatch
import json
import multiprocessing
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import torch

from hessbench.problems.curvature.engines.table import AUTO, engine_names
from hessbench.problems.curvature.matrices import OPERATORS
from hessbench.problems.held_out.architectures import held_out_models
from hessbench.problems.held_out.losses import losses_of
from hessbench.problems.held_out.model_trials import ModelTrial, held_out_trial, model_trial

OUTCOMES = ("right", "wrong", "refused")
COMPILED = "compiled"
MODELS = {model.name: model for model in held_out_models()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", default="*", help="globs of architectures, with commas")
    parser.add_argument("--losses", default="*", help="globs of losses, with commas")
    parser.add_argument("--operators", default="*", help="globs of operators, with commas")
    parser.add_argument("--engines", default="*", help="globs of engines, with commas; compiled only by its name")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data")
    parser.add_argument("--sample", type=int, help="in place of all, so many trials drawn as the self-check does")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--save", type=Path, help="file for one JSON line of every trial")
    return parser.parse_args()


def chosen(name: str, globs: str) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs.split(","))


def trials(job: tuple[str, argparse.Namespace]) -> list[ModelTrial]:
    """All trials of one architecture."""
    name, asked = job
    model = MODELS[name]
    found: list[ModelTrial] = []
    for loss in losses_of(model.outputs):
        if not chosen(loss.name, asked.losses):
            continue
        for operator in OPERATORS:
            if not chosen(operator, asked.operators):
                continue
            for engine in engine_names(operator):
                if chosen(engine, asked.engines) and (engine != COMPILED or asked.engines == COMPILED):
                    found.append(model_trial(model, loss, operator, engine, asked.seed, references=engine == AUTO))
    return found


def drawn(seed: int) -> list[ModelTrial]:
    return [held_out_trial(seed)]


def one_thread() -> None:
    torch.set_num_threads(1)


def table(counts: dict[str, Counter[str]], what: str) -> None:
    print(f"\n{what:<26}{'tried':>8}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES))
    for key, row in counts.items():
        print(f"{key:<26}{sum(row.values()):>8}" + "".join(f"{row[outcome]:>9}" for outcome in OUTCOMES))


def main() -> None:
    asked = arguments()
    start = time.monotonic()
    every: list[ModelTrial] = []
    jobs = [(name, asked) for name in MODELS if chosen(name, asked.models)]
    seeds = range(asked.seed, asked.seed + (asked.sample or 0))
    by_engine: dict[str, Counter[str]] = {}
    by_operator: dict[str, Counter[str]] = {}
    refusals: dict[str, list[str]] = {}
    with multiprocessing.get_context("spawn").Pool(asked.jobs, one_thread) as pool:
        for found in pool.imap(drawn, seeds) if asked.sample else pool.imap(trials, jobs):
            for trial in found:
                operator, engine = trial.name.split()[2:4]
                by_engine.setdefault(engine, Counter())[trial.outcome] += 1
                by_operator.setdefault(operator, Counter())[trial.outcome] += 1
                if trial.outcome == "wrong":
                    print(f"wrong: {trial.name}: {trial.error:.2g}: {trial.detail}", flush=True)
                if trial.outcome == "refused":
                    refusals.setdefault(trial.detail, []).append(trial.name)
            every += found
    if asked.save:
        asked.save.write_text("".join(json.dumps(asdict(trial)) + "\n" for trial in every))
    table(by_engine, "engine")
    table(by_operator, "operator")
    total = Counter(trial.outcome for trial in every)
    table({"all": total}, "")
    print("\nrefused:")
    for sentence, names in sorted(refusals.items(), key=lambda row: -len(row[1])):
        print(f"{len(names):>6}  {sentence}\n        {'; '.join(names[:3])}{' ...' if len(names) > 3 else ''}")
    print(f"{len(every)} trials in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()

"""The study of advice in parts, each of them kept, and on problems whose truth takes minutes; see --help."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from hessbench.catalog import load_catalog
from hessbench.reports.advice.page import summary, write_advice_study
from hessbench.reports.advice.results import AdviceStudyResults, AdviceTrial
from hessbench.studies.advice import LARGE, QUESTIONS, AdviceDesign, advice_trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, required=True, help="File of the trials, one a line; it is added to.")
    parser.add_argument("--large", action="store_true", help="The problems whose truth takes minutes, too.")
    parser.add_argument("--seconds", type=float, default=200.0, help="Begin no further question after so long.")
    parser.add_argument("--budget", type=float, default=60.0, help="Seconds of each question.")
    parser.add_argument("--page", type=Path, help="Write the page of all trials that are kept.")
    asked = parser.parse_args()
    design = AdviceDesign(questions=(*QUESTIONS, *LARGE) if asked.large else QUESTIONS, budget_s=asked.budget)
    begin = time.perf_counter()
    kept = read(asked.kept)
    catalog = load_catalog()
    # In an order that mixes the estimands, so that a part is one of all.
    for place in sorted(range(len(design.questions)), key=lambda it: it * 7 % len(design.questions)):
        problem, estimand, within = design.questions[place]
        if place in kept or time.perf_counter() - begin > asked.seconds:
            continue
        trial = advice_trial(catalog, problem, estimand, within, design)
        kept[place] = trial
        with asked.kept.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"place": place, **asdict(trial)}) + "\n")
        print(f"{place} {trial.problem} {estimand} {within:g}: {trial.method} {trial.budget} {trial.verdict}, "
              f"error {trial.error:.2g}, {time.perf_counter() - begin:.0f} s", flush=True)  # fmt: skip
    results = AdviceStudyResults(tuple(kept[place] for place in sorted(kept)), design.budget_s)
    print(f"{len(kept)} of {len(design.questions)}", *summary(results), sep="\n")
    if asked.page:
        print(write_advice_study(results, asked.page, "hessbench study advice"))


def read(file: Path) -> dict[int, AdviceTrial]:
    """Trials that are kept, by the place of their question."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {row.pop("place"): AdviceTrial(**row) for row in rows}


if __name__ == "__main__":
    main()

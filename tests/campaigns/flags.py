"""Count what is said to have converged and has not: python tests/campaigns/flags.py --help.

Every built-in method that says so of top eigenvalues, with its presets, on spectra made to defeat it, in both dtypes,
every checkpoint included. The records are lines `seed spec dtype spent right`; with --before those of an earlier run
are compared flag by flag, and the share of its right flags that are still given is printed.
"""

from __future__ import annotations

import argparse
import inspect
from collections import Counter
from pathlib import Path

import torch

from hessbench.catalog import load_catalog
from hessbench.laws.flag_trials import flags
from hessbench.problems.held_out.spectra import HeldOutSpectrum, held_out_spectrum

CATALOG = load_catalog()
DTYPES = (torch.float32, torch.float64)
SPECS = (
    "lanczos",
    "lanczos[reorth=periodic]",
    "lanczos[reorth=selective]",
    "thick-restart-lanczos",
    "thick-restart-lanczos[basis=16]",
    "block-krylov",
    "block-krylov[block=2]",
    "block-krylov[block=10]",
    "simultaneous-iteration",
    "simultaneous-iteration[eigenvalue=norm]",
    "simultaneous-iteration[eigenvalue=ritz]",
    "power-iteration",
    "power-iteration[stopping=pyhessian]",
    "sketch-and-refine[refine=rayleigh]",
    "sketch-and-refine[refine=davidson]",
    "sketch-and-refine[refine=lobpcg]",
    "sketch-and-refine[oversampling=4,refine=lobpcg]",
)


def tolerance_of(method: str, dtype: torch.dtype) -> float | None:
    """Error in units of the norm where a flag is not about residuals of eps^(3/4) of the norm: relative ones."""
    if method == "power-iteration":
        return 2 * 1e-3**0.5
    return float(torch.finfo(dtype).eps) ** 0.5 if method == "sketch-and-refine" else None


def records(spectrum: HeldOutSpectrum, seed: int, spec: str, dtype: torch.dtype) -> list[tuple[str, bool, str]]:
    """What a run says to have converged: a key, whether it is right, and a line about it."""
    method, estimand = CATALOG.methods.entry_of(spec), spectrum.estimand
    if "which" not in inspect.signature(method.run).parameters and estimand.which != "magnitude":
        return []
    bound = method.bind(spec, estimand)
    n = spectrum.eigenvalues.size
    if ("basis=16" in spec and estimand.k + 2 > 16) or bound.min_matvecs(n) > 3 * n:
        return []
    given = flags(
        bound,
        spectrum.build(dtype),
        spectrum.truth,
        norm=spectrum.norm,
        num_matvecs=3 * n,
        seed=seed,
        tolerance=tolerance_of(method.name, dtype),
    )
    name = str(dtype).removeprefix("torch.")
    return [
        (f"{seed} {spec} {name} {flag.spent}", flag.is_right, f"{spectrum.name} {flag.error:.3g} > {flag.limit:.3g}")
        for flag in given
    ]


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 120), metavar=("FIRST", "END"))
    parser.add_argument("--low", type=int, default=24)
    parser.add_argument("--high", type=int, default=100)
    parser.add_argument("--max-k", type=int, default=12)
    parser.add_argument("--spec", action="append", help="a method; by default every one")
    parser.add_argument("--out", type=Path, required=True, help="file of records")
    parser.add_argument("--before", type=Path, help="records of an earlier run with the same seeds")
    asked = parser.parse_args()
    specs = tuple(asked.spec or SPECS)
    right: set[str] = set()
    wrong: dict[str, str] = {}
    with asked.out.open("w", encoding="utf-8") as out:
        for seed in range(*asked.seeds):
            spectrum = held_out_spectrum(seed, low=asked.low, high=asked.high, max_k=asked.max_k)
            for spec in specs:
                for dtype in DTYPES:
                    for key, is_right, line in records(spectrum, seed, spec, dtype):
                        if is_right:
                            right.add(key)
                        else:
                            wrong[key] = line
                        out.write(f"{key} {int(is_right)} {'' if is_right else line}\n")
            out.flush()
    for key, line in wrong.items():
        print("wrong:", key, line)
    report(right, set(wrong), read(asked.before) if asked.before else None, asked.seeds, specs)


def read(path: Path) -> set[str]:
    """Keys of the right flags of an earlier run."""
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {" ".join(row[:4]) for row in rows if row[4] == "1"}


def report(
    right: set[str], wrong: set[str], before: set[str] | None, seeds: tuple[int, int], specs: tuple[str, ...]
) -> None:
    """Print counts for each method, and all."""
    known = {key for key in before or () if int(key.split()[0]) in range(*seeds) and key.split()[1] in specs}
    columns = [Counter(key.split()[1] for key in keys) for keys in (right, wrong, known, known & right)]
    for spec in (*specs, "all"):
        good, bad, earlier, kept = (c.total() if spec == "all" else c[spec] for c in columns)
        share = f", {kept} of {earlier} right ones kept ({kept / max(earlier, 1):.1%})" if before is not None else ""
        print(f"{spec}: {good + bad} given, {good} right, {bad} wrong{share}")


if __name__ == "__main__":
    main()

"""Plant faults in copies of this tree and see which are flagged by what CI runs: regressions.py --help.

    OMP_NUM_THREADS=1 python tests/campaigns/regressions.py --unchanged 5 --output flagged.json

What CI runs is `hessbench compare` of two ledgers of `quick`, the series of asv with the thresholds of asv.conf.json,
and `compare --interleaved` of the two trees. The first copy is left as it is and is what the others are compared with;
so are some more, in which nothing should be flagged. The table is written after every copy; run again in the folder,
ledgers and series that are there are kept. Times want a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tree_copy import ROOT, Copy, copied

PARTS: Final = ("ledger", "asv", "seconds")
BASE: Final = "base"
HUNDREDFOLD: Final = "six-methods-100-times-worse"
WORSE: Final = ("hutchinson", "hutchpp", "sketch", "slq", "kpm", "randomized-eigh")

SERIES: Final = """
import json, re, sys
import asv_suite.answers, asv_suite.ledger, asv_suite.times

def main():
    found = {}
    for texts in (asv_suite.ledger.CELLS, asv_suite.answers.CELLS, asv_suite.times.PRODUCTS, asv_suite.times.CELLS):
        texts[:] = [text for text in texts if re.search(sys.argv[2], text)]
    for kind in (asv_suite.ledger.Cell, asv_suite.answers.Answer, asv_suite.times.Product, asv_suite.times.Time):
        made = kind()
        cache = (made.setup_cache(),) if hasattr(made, "setup_cache") else ()
        for name in sorted(name for name in dir(kind) if name.startswith("track_")):
            for text in kind.params[0]:
                if hasattr(made, "setup"):
                    made.setup(*cache, text)
                try:
                    value = float(getattr(made, name)(*cache, text))
                except Exception as failure:
                    value = f"failed: {failure}"
                found[f"{kind.__name__}.{name}({text})"] = None if value != value else value
    json.dump(found, open(sys.argv[1], "w"))

if __name__ == "__main__":
    main()
"""


@dataclass(frozen=True)
class Plant:
    """A fault: `snippet` stands once in `file`."""

    name: str
    file: str
    snippet: str
    replacement: str


PLANTS: Final = (
    Plant(
        "doubled-product-count",
        "harness/spending.py",
        "        self.matvecs += columns\n",
        "        self.matvecs += 2 * columns\n",
    ),
    Plant(
        "engine-40-percent-slower",
        "problems/curvature/engines/operator.py",
        "        return self._product(block.detach())\n",
        "        import time\n\n"
        "        begin = time.process_time()\n"
        "        product = self._product(block.detach())\n"
        "        until = time.process_time() + 0.4 * (time.process_time() - begin)\n"
        "        while time.process_time() < until:\n"
        "            pass\n"
        "        return product\n",
    ),
    Plant(
        "hutchpp-with-a-quarter-of-its-sketch",
        "methods/probes.py",
        "    s = min(num_matvecs // 3, op.dim)\n    Q",
        "    s = min(num_matvecs // 12, op.dim)\n    Q",
    ),
    Plant(
        "sketch-four-times-smaller",
        "methods/eigenvalues/sketch.py",
        "    m = num_matvecs\n",
        "    m = max(wanted, num_matvecs // 4)\n",
    ),
    Plant(
        "leak-of-50-MB",
        "harness/spending.py",
        "        self.calls += 1\n",
        "        self.calls += 1\n"
        "        if self.calls == 1:\n"
        "            globals().setdefault('_leaked', []).append(b'x' * 50_000_000)\n",
    ),
)


def planted(folder: Path, plant: Plant | None) -> Copy:
    """A copy of the tree with a fault in it, or without one."""
    copy = copied(folder)
    if plant is not None:
        path = copy.tree / plant.file
        text = path.read_text(encoding="utf-8")
        if text.count(plant.snippet) != 1:
            raise SystemExit(f"{plant.name}: its text does not stand once in {plant.file}")
        path.write_text(text.replace(plant.snippet, plant.replacement), encoding="utf-8")
    return copy


class Campaign:
    """Copies in a folder, and what was flagged in each."""

    def __init__(self, folder: Path, parts: tuple[str, ...], suite: str, series: str) -> None:
        self._folder, self._parts, self._suite, self._series = folder, parts, suite, series
        self.flagged: dict[str, dict[str, list[str]]] = {}
        limits = re.sub(r"^\s*//.*$", "", (ROOT / "asv.conf.json").read_text(encoding="utf-8"), flags=re.MULTILINE)
        self._limits: Mapping[str, float] = json.loads(limits)["regressions_thresholds"]

    def measure(self, name: str, plant: Plant | None) -> None:
        """Run what CI runs in a copy, and hold it against the first."""
        folder = self._folder / name
        copy = Copy(folder) if (folder / "link").is_dir() else planted(folder, plant)
        found: dict[str, list[str]] = {}
        for part in self._parts:
            begin = time.monotonic()
            flagged = list(getattr(self, f"_{part}")(name, copy))
            if name != BASE:
                found[part] = flagged
            print(f"{name}: {part}: {len(flagged)} flagged ({time.monotonic() - begin:.0f} s)", flush=True)
            for line in flagged[:6]:
                print(f"    {line}", flush=True)
        self.flagged[name] = found

    def hundredfold(self) -> None:
        """The errors of six methods in the first copy's ledger times 100."""
        folder = self._folder / HUNDREDFOLD / "run" / "ledger"
        folder.mkdir(parents=True, exist_ok=True)
        for file in (self._folder / BASE / "run" / "ledger").glob("*.jsonl"):
            rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
            for row in rows:
                if row.get("method") in WORSE and row.get("error") is not None:
                    row["error"] *= 100
            (folder / file.name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        flagged = list(self._compared(HUNDREDFOLD, Copy(self._folder / BASE)))
        self.flagged[HUNDREDFOLD] = {"ledger": flagged}
        print(f"{HUNDREDFOLD}: ledger: {len(flagged)} flagged", flush=True)

    def _ledger(self, name: str, copy: Copy) -> Iterator[str]:
        out = self._folder / name / "run"
        _run(copy, "-m", "hessbench", "run", self._suite, "--out", str(out), "--no-prices", "--no-report")
        if name != BASE:
            yield from self._compared(name, copy)

    def _compared(self, name: str, copy: Copy) -> Iterator[str]:
        runs = (str(self._folder / which / "run") for which in (BASE, name))
        said = _run(copy, "-m", "hessbench", "compare", *runs, "--format", "json", accepted=(0, 1))
        yield from _regressions(json.loads(said))

    def _seconds(self, name: str, copy: Copy) -> Iterator[str]:
        if name == BASE:
            return
        trees = str(Copy(self._folder / BASE).tree), str(copy.tree)
        options = ("--suite", self._suite, "--format", "json")
        said = _run(copy, "-m", "hessbench", "compare", "--interleaved", *trees, *options, accepted=(0, 1))
        yield from _regressions(json.loads(said))

    def _asv(self, name: str, copy: Copy) -> Iterator[str]:
        out = self._folder / name / "asv.json"
        if not out.is_file():
            script = self._folder / name / "series.py"
            script.write_text(SERIES, encoding="utf-8")
            _run(copy, str(script), str(out), self._series, path=copy.tree / "tests")
        if name != BASE:
            before = json.loads((self._folder / BASE / "asv.json").read_text(encoding="utf-8"))
            yield from self._worse(before, json.loads(out.read_text(encoding="utf-8")))

    def _worse(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        """Series that are worse by more than the threshold of asv.conf.json, or failed, as asv would say."""
        for series, was in before.items():
            now = after.get(series)
            if isinstance(now, str) and not isinstance(was, str):
                yield f"{series}: {now}"
            elif isinstance(was, float) and isinstance(now, float):
                limit = next(limit for pattern, limit in self._limits.items() if re.match(pattern, series))
                if now > was * (1 + limit) + 1e-12:
                    yield f"{series}: {was:.4g}, now {now:.4g} ({now / was if was else math.inf:.2f})"


def _regressions(comparison: Mapping[str, Any]) -> Iterator[str]:
    for line in comparison["lines"]:
        if line["verdict"] == "regression":
            yield f"{line['where']}: {line['text']}"


def _run(copy: Copy, *arguments: str, accepted: tuple[int, ...] = (0,), path: Path | None = None) -> str:
    environment = copy.environment
    if path is not None:
        environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}:{path}"
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, cwd=copy.folder, check=False, text=True, capture_output=True)
    if done.returncode not in accepted:
        raise SystemExit(f"{' '.join(arguments)[:200]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("regressions"), help="where the copies are made and kept")
    parser.add_argument("--output", type=Path, default=Path("flagged.json"))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--suite", default="quick", help="what the ledgers are of")
    parser.add_argument("--unchanged", type=int, default=5, help="copies without a fault")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these faults; none for no fault at all")
    parser.add_argument("--series", default="", metavar="REGEX", help="these series of asv; all by default")
    asked = parser.parse_args()
    suite = str(Path(asked.suite).resolve()) if asked.suite.endswith(".toml") else asked.suite
    campaign = Campaign(asked.folder.resolve(), tuple(asked.parts), suite, asked.series)
    campaign.measure(BASE, None)
    if "ledger" in asked.parts:
        campaign.hundredfold()
    todo = [(plant.name, plant) for plant in PLANTS if not asked.only or plant.name in asked.only]
    for name, plant in [*todo, *((f"unchanged-{number}", None) for number in range(1, asked.unchanged + 1))]:
        campaign.measure(name, plant)
        asked.output.write_text(json.dumps(campaign.flagged, indent=1), encoding="utf-8")
    for name, parts in campaign.flagged.items():
        print(f"{name}: {', '.join(f'{part} {len(lines)}' for part, lines in parts.items())}")


if __name__ == "__main__":
    main()

"""What `hessbench spectrum` is pointed at: a run's folder, a problem, or a file with a problem in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hessbench.catalog import Catalog, load_catalog, load_plugin
from hessbench.ledger.reading import LedgerTail
from hessbench.specs import suggest


@dataclass(frozen=True)
class ProblemTarget:
    """A problem, where its name is looked up, and the plugin files that define it."""

    spec: str
    catalog: Catalog
    plugins: tuple[str, ...]


def find_target(target: str, plugins: Sequence[str] = ()) -> Path | ProblemTarget:
    """A folder with a ledger, or the problem that a spec or a file names.

    Args:
        target: A folder; a spec such as `digits-mlp[operator=ggn]`; a Python file that lists one problem in PROBLEMS;
            or FILE:NAME, one of several.
        plugins: Plugin files whose problems a spec may name.

    Raises:
        ValueError: If it is none of these.
    """
    folder = Path(target)
    if folder.is_dir():
        if not LedgerTail(folder).files():
            raise ValueError(f"{folder.name or target} holds no ledger; a run's folder with ledger/*.jsonl is accepted")
        return folder
    file, colon, name = target.rpartition(":")
    if target.endswith(".py") or (colon and file.endswith(".py")):
        return _of_file(target if target.endswith(".py") else file, "" if target.endswith(".py") else name, plugins)
    if "/" in target.partition("[")[0]:
        raise ValueError(
            f"there is no folder {folder.name!r}; a run's folder, a problem such as digits-mlp[operator=ggn] or a "
            "Python file with PROBLEMS is accepted"
        )
    catalog = load_catalog(tuple(plugins))
    return ProblemTarget(catalog.problem(target).name, catalog, tuple(plugins))


def _of_file(file: str, name: str, plugins: Sequence[str]) -> ProblemTarget:
    every = tuple(dict.fromkeys((*plugins, file)))
    catalog = load_catalog(every)
    listed = [problem.name for problem in getattr(load_plugin(file), "PROBLEMS", [])]
    shown = Path(file).name
    if not listed:
        raise ValueError(f"{shown} lists no problem; PROBLEMS = [...] with one is accepted, as from_model makes it")
    if not name and len(listed) > 1:
        raise ValueError(f"{shown} lists several problems: name one, as in {shown}:{listed[0]}; {', '.join(listed)}")
    wanted = name or listed[0]
    if wanted.partition("[")[0] not in listed:
        known = ", ".join(listed)
        raise ValueError(f"{shown} lists no problem {wanted!r}{suggest(wanted, listed)}; it lists: {known}")
    return ProblemTarget(catalog.problem(wanted).name, catalog, every)

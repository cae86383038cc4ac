"""The catalog: every registered problem and method, from entry points and plugin files."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from hessbench.estimand.base import Estimand
from hessbench.exceptions import named_line
from hessbench.method import BoundMethod, Method
from hessbench.problem import Problem, ProblemFamily
from hessbench.registry import Registry
from hessbench.specs import Spec


@dataclass(frozen=True)
class Catalog:
    """Problems and methods by name."""

    problems: Registry[ProblemFamily]
    methods: Registry[Method]
    files: dict[str, str] = field(default_factory=dict[str, str])
    """The plugin file that lists a method, by its name; installed methods have none."""

    def problem(self, spec: Spec | str) -> Problem:
        """Make the problem a spec names.

        Raises:
            ValueError: If the name or a parameter is not accepted.
        """
        return self.problems.entry_of(spec).problem(spec)

    def method(self, spec: Spec | str, estimand: Estimand) -> BoundMethod:
        """Bind the method a spec names.

        Raises:
            ValueError: If the name or a parameter is not accepted, or the method does not answer the estimand.
        """
        return self.methods.entry_of(spec).bind(spec, estimand)

    def file_of(self, spec: Spec | str) -> str:
        """The plugin file that lists the method a spec names; empty where it is installed."""
        return self.files.get(self.methods.entry_of(spec).name, "")

    def add(
        self, *, problems: Iterable[Any] = (), methods: Iterable[Any] = (), source: str, file: str | Path = ""
    ) -> None:
        """Add what a plugin lists.

        Args:
            problems: `Problem` or `ProblemFamily` objects.
            methods: `Method` objects.
            source: Named in messages.
            file: The plugin file that lists them; empty where they are installed.

        Raises:
            ValueError: If an entry is of another type or its name is taken.
        """
        for problem in problems:
            if not isinstance(problem, Problem | ProblemFamily):
                raise ValueError(
                    f"{source}: PROBLEMS holds a {type(problem).__name__}; Problem and ProblemFamily are accepted"
                )
            self.problems.add(problem if isinstance(problem, ProblemFamily) else family_of(problem))
        for method in methods:
            if not isinstance(method, Method):
                raise ValueError(f"{source}: METHODS holds a {type(method).__name__}; Method is accepted")
            self.methods.add(method)
            if file:
                self.files[method.name] = str(Path(file).resolve())


def family_of(problem: Problem) -> ProblemFamily:
    """A family without parameters for one problem."""

    def make() -> Problem:
        return problem

    return ProblemFamily(problem.name, make)


def load_catalog(plugins: Sequence[str | Path] = ()) -> Catalog:
    """Collect every entry point of `hessbench.problems` and `hessbench.methods`, then plugin files.

    Args:
        plugins: Python files that define `METHODS = [...]`, `PROBLEMS = [...]` or both.

    Raises:
        ValueError: If a plugin is missing, fails to import, or lists something else.
    """
    catalog = Catalog(Registry("problem"), Registry("method"))
    for group in ("problems", "methods"):
        for point in sorted(entry_points(group=f"hessbench.{group}"), key=lambda p: (p.name != "built-in", p.name)):
            owner = point.dist.name if point.dist else point.value
            try:
                listed: Any = point.load()
            except Exception as failure:
                raise ValueError(
                    f"entry point {point.name} of {owner} failed to load: {named_line(failure)}"
                ) from failure
            own = {"problems": [], "methods": [], group: _listed(listed, owner)}
            catalog.add(problems=own["problems"], methods=own["methods"], source=owner)
    for path in plugins:
        module = load_plugin(path)
        found = {key.lower(): _listed(getattr(module, key, []), Path(path).name) for key in ("PROBLEMS", "METHODS")}
        if not any(found.values()):
            raise ValueError(f"plugin {Path(path).name} defines neither METHODS = [...] nor PROBLEMS = [...]")
        catalog.add(problems=found["problems"], methods=found["methods"], source=Path(path).name, file=path)
    return catalog


def load_plugin(path: str | Path) -> ModuleType:
    """Import a file by its path, under a name made from its content.

    Raises:
        ValueError: If it is missing or its import raises.
        KeyboardInterrupt: If someone wants to stop.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"plugin file {file.name} does not exist; a path to a Python file is accepted")
    name = f"hessbench_plugin_{file.stem}_{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"plugin {file.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:
        del sys.modules[name]
        raise ValueError(f"plugin {file.name} failed to import: {named_line(failure)}") from failure
    return module


def _listed(found: object, source: str) -> list[Any]:
    if not isinstance(found, list | tuple):
        raise ValueError(f"{source}: an explicit list is accepted, got {type(found).__name__}")
    return list(cast("list[Any]", found))

"""Which tests are nearest to a module: those that name it, those that name what imports it, and so on."""

from __future__ import annotations

import ast
import re
from collections import deque
from pathlib import Path

from tree_copy import ROOT

FOLDERS = {"harness": "hessbench", **{name: f"hessbench.{name}" for name in ("problems", "methods", "reports")}}
FAR = 99


def sources() -> dict[str, Path]:
    """Modules of the package by their dotted names."""
    found: dict[str, Path] = {}
    for folder, name in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([name, *(part for part in parts if part != "__init__")])] = path
    return found


def tests() -> list[Path]:
    """Test files of the tree."""
    return sorted((ROOT / "tests").rglob("test_*.py"))


class Imports:
    """Who imports whom, a name that a package hands on counting for the module it comes from."""

    def __init__(self) -> None:
        self.modules = sources()
        self._exports: dict[str, dict[str, str]] = {}
        for name, path in self.modules.items():
            if path.name == "__init__.py":
                self._exports[name] = {
                    alias.asname or alias.name: f"{node.module}"
                    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                    if isinstance(node, ast.ImportFrom)
                    for alias in node.names
                }
        self.importers: dict[str, set[str]] = {name: set() for name in self.modules}
        for name, path in self.modules.items():
            for imported in self.named(path):
                self.importers[imported].add(name)
        self.by_test = {path: self.named(path) for path in tests()}

    def named(self, path: Path) -> set[str]:
        """Modules that a file names: by its imports, and in texts."""
        text = path.read_text(encoding="utf-8")
        found = set(re.findall(r"hessbench(?:\.\w+)+", text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {self._origin(node.module, alias.name) for alias in node.names}
        return found & self.modules.keys()

    def _origin(self, module: str, name: str) -> str:
        if f"{module}.{name}" in self.modules:
            return f"{module}.{name}"
        inner = self._exports.get(module, {}).get(name)
        return module if inner is None or inner == module else self._origin(inner, name)

    def steps_to(self, module: str) -> dict[str, int]:
        """Steps of imports from other modules to this one."""
        steps, waiting = {module: 0}, deque([module])
        while waiting:
            here = waiting.popleft()
            for importer in self.importers[here] - steps.keys():
                steps[importer] = steps[here] + 1
                waiting.append(importer)
        return steps


def ordered(imports: Imports, module: str) -> tuple[list[str], int]:
    """Every test file, nearest to a module first, and how many of them are its own.

    Its own are those that name it, or whose path mirrors it. Where there are none: those nearest by imports, and the
    conformance tests of what is in problems or methods; or, of what is only loaded by its name, the mirrored folder.
    Tests of methods that speak of a method are its own too.
    """
    steps = imports.steps_to(module)
    path = imports.modules[module].relative_to(ROOT)
    folder = ROOT / "tests" / path.parent

    def distance(test: Path) -> int:
        if test == folder / f"test_{path.stem}.py":
            return -1
        # Tests of the whole tree name many modules and use few.
        named = set[str]() if test.parent == ROOT / "tests" else imports.by_test[test]
        return min((steps.get(name, FAR) for name in named), default=FAR)

    distances = {test: distance(test) for test in imports.by_test}
    least = max(0, min(distances.values()))
    own = {test for test, far in distances.items() if far <= least < FAR}
    if least > 0 and path.parts[0] in ("problems", "methods"):
        own |= {test for test in distances if test.parent.name == "conformance"}
    said = {test: set(re.findall(r"[\w-]+", test.read_text(encoding="utf-8"))) for test in distances}
    words = _words(imports.modules[module])
    spoken = {test: len(words & said[test]) for test in distances}
    if path.parts[0] == "methods":  # tests have them from the catalog, by their names
        own |= {test for test in distances if "methods" in test.parts and path.stem.replace("_", "-") in said[test]}
    if not own:
        own = {test for test in distances if test.parent == folder} or set(distances)

    def key(test: Path) -> tuple[bool, int, bool, int, int, Path]:
        near = min(distances[test], 0) if test in own else distances[test]
        akin = test.stem.removeprefix("test_").split("_")[0] == path.stem.split("_")[0]
        shared = len(set(test.parent.relative_to(ROOT / "tests").parts) & set(path.parent.parts))
        return test not in own, near, not akin, -spoken[test], -shared, test

    return [str(test.relative_to(ROOT)) for test in sorted(distances, key=key)], len(own)


def _words(path: Path) -> set[str]:
    """Names that a module defines, and its own, as specs write them too: what tests of it speak of."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, kinds) and not node.name.startswith("_")}
    found.add(path.stem)
    return found | {name.replace("_", "-") for name in found}

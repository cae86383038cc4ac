"""The methods of plugin files in a sealed run, as a confined process of each describes them: none is imported here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, cast, final

from hessbench.catalog import Catalog, load_catalog
from hessbench.method import Method
from hessbench.redact import redact
from hessbench.running.options import Options
from hessbench.sealing import values
from hessbench.sealing.description import stand_in
from hessbench.sealing.introduction import Introduction
from hessbench.sealing.line import Gone, SealedLine
from hessbench.source_files import source_files
from hessbench.workers.sealed_methods import SealedMethods, StartedMethod

_ANSWER_S: Final = 60.0


@contextmanager
def catalog_for(options: Options, out: Path, given: Catalog | None = None) -> Generator[Catalog]:
    """The catalog of a run: in a sealed one, stand-ins for the methods of its plugins.

    Args:
        options: How it is run.
        out: Folder of the run, which no plugin may read.
        given: The catalog of the caller's process, where there is one.

    Raises:
        ValueError: If a plugin is missing, fails to import, or lists something else.
    """
    if given is not None or not options.sealed:
        yield given or load_catalog((*options.plugins, *options.trusted))
        return
    catalog = load_catalog(options.trusted)
    for plugin in options.plugins:
        if not Path(plugin).is_file():
            raise ValueError(f"plugin file {Path(plugin).name} does not exist; a path to a Python file is accepted")
    if not options.plugins:
        yield catalog
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hessbench-plugins-")))
        methods = SealedMethods([str(out.resolve())], folder, [])
        stack.callback(methods.close)
        for plugin in options.plugins:
            described = stack.enter_context(_described(plugin, methods))
            catalog.add(methods=described, source=Path(plugin).name, file=plugin)
        yield catalog


@contextmanager
def _described(plugin: str, methods: SealedMethods) -> Generator[list[Method]]:
    """The methods a plugin lists, whose own functions are asked for in its process as long as this goes on.

    Raises:
        ValueError: If it is no plugin that a sealed run takes.
    """
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        started = methods.start(null)
    finally:
        os.close(null)
    asker = _Asker(started, str(Path(plugin).resolve()))
    try:
        yield asker.methods()
    finally:
        methods.ended(started, 0)


@final
class _Asker:
    """Asks the process of one plugin."""

    def __init__(self, started: StartedMethod, plugin: str) -> None:
        started.door.settimeout(_ANSWER_S)
        self._line = SealedLine(started.door, gives=True)
        self._plugin = plugin

    def methods(self) -> list[Method]:
        """Stand-ins for the methods it lists.

        Raises:
            ValueError: If it lists none, or problems too.
        """
        name = Path(self._plugin).name
        told = Introduction("", "", 1, "float32", "cpu", 1, (), 0.0, 1, self._plugin)
        self._say({"do": "introduce", **vars(told), "traits": [], "id": ""}, "here")
        said, _ = self._say({"do": "describe"}, "described")
        if said.get("problems"):
            raise ValueError(
                f"plugin {name} lists PROBLEMS: name it as a trusted plugin, which a sealed run imports beside the "
                "operator; methods come from other files"
            )
        listed, files = said.get("methods"), source_files(Path(self._plugin))
        if not isinstance(listed, list) or not listed:
            raise ValueError(f"plugin {name} defines no METHODS = [...], which a sealed run takes from it")
        return [stand_in(method, self._asked, files) for method in cast("list[Any]", listed)]

    def _asked(self, method: str, what: str, arguments: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        message = {"do": "ask", "method": method, "what": what, "with": values.written((arguments, settings), [])}
        said, tensors = self._say(message, "answered")
        return values.read(said.get("value"), tensors)

    def _say(self, message: dict[str, Any], wanted: str) -> tuple[dict[str, Any], list[Any]]:
        name = Path(self._plugin).name
        try:
            self._line.send(message)
            said, tensors = self._line.receive()
        except Gone:
            raise ValueError(f"plugin {name} failed to import: its process ended, or took too long") from None
        if said.get("say") == "raised":
            raise ValueError(f"plugin {name}: {redact(str(said.get('reason', ''))[:1000])}")
        if said.get("say") != wanted:
            raise ValueError(f"plugin {name}: its process said something else than it was asked")
        return said, tensors


def trusted_files(options: Options) -> tuple[str, ...]:
    """The plugin files that may be imported in this process."""
    return options.trusted if options.sealed else (*options.plugins, *options.trusted)

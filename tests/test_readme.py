"""The README is run: its commands in order, its Python blocks in between, and every make target it names exists."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

import click
import pytest

from hessbench.catalog import load_catalog
from hessbench.cli import main
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Status
from hessbench.running.plan import plan
from hessbench.running.suite import Suite

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

SHELL = frozenset({"bash", "console"})
# Written to the file a block names, as in "python file=mine.py", and run where it is Python.
FILES = frozenset({"python", "toml"})
SHOWN = frozenset({"text"})  # output and formulas: nothing to run


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it names, its text and the line it starts on."""

    language: str
    file: str
    text: str
    line: int

    def commands(self) -> Iterator[str]:
        """Commands of a shell block, without prompts, continued lines joined; lines of output are left out."""
        for line in re.sub(r"\\\n\s*", "", self.text).splitlines():
            if self.language == "console" and not line.startswith("$ "):
                continue
            command = line.removeprefix("$ ").strip()
            if command and not command.startswith("#"):
                yield command


def blocks(text: str) -> list[Block]:
    found = re.finditer(r"^```(\w*)(?: file=([\w.-]+))?\n(.*?)^```\s*$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2] or "", m[3], text.count("\n", 0, m.start()) + 1) for m in found]


def exit_code(command: str) -> int:
    """The exit code a command's comment promises; 0 without one."""
    promised = re.search(r"#.*\bexits (\d+)", command)
    return int(promised[1]) if promised else 0


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_block_has_a_language_this_test_knows() -> None:
    known = SHELL | FILES | SHOWN
    text = README.read_text(encoding="utf-8")
    assert [block.line for block in blocks(text) if block.language not in known] == []
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(blocks(text))


def test_every_make_target_named_exists() -> None:
    text = README.read_text(encoding="utf-8")
    commands = [c for block in blocks(text) if block.language in SHELL for c in block.commands()]
    in_blocks = {
        word
        for c in commands
        if c.startswith("make ")
        for word in re.findall(r" ([a-z][a-z-]*)\b(?!=)", c.split("#")[0])
    }
    in_text = set(re.findall(r"`make ([a-z-]+)`", text))
    assert in_blocks | in_text <= make_targets()


def run_command(command: str, folder: Path) -> str:
    """What went wrong with a command, or nothing."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=os.environ | {"PATH": path}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return "" if done.returncode == exit_code(command) else f"exit code {done.returncode}\n{done.stdout[-2000:]}"


def refusal(command: str) -> str:
    """Why the command line would not take it, or nothing; its verb is not run."""
    _, *arguments = shlex.split(command, comments=True)
    verbs = cast("click.Group", main)
    verb = verbs.get_command(click.Context(verbs), arguments[0])
    try:
        assert verb is not None, f"no verb {arguments[0]}"
        verb.make_context(arguments[0], arguments[1:])
    except click.ClickException as failure:
        return failure.format_message()
    return ""


def test_every_command_is_one_that_the_command_line_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(README.read_text(encoding="utf-8"))
    for block in found:
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
            if block.language == "toml":
                Suite.load(block.file)
    # What the commands before it would have made.
    Path("runs/demo").mkdir(parents=True)
    Path("runs/mine").mkdir()
    lines = [c for block in found if block.language in SHELL for c in block.commands() if c.startswith("hessbench ")]
    assert len(lines) > 10
    assert {line: wrong for line in lines if not line.startswith("hessbench --") and (wrong := refusal(line))} == {}


@pytest.mark.slow
def test_every_command_and_python_block_works_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As written, in a shell."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    plugins: list[Path] = []
    for block in blocks(README.read_text(encoding="utf-8")):
        if block.language in SHELL:
            for command in block.commands():
                if command.startswith("hessbench "):
                    wrong = run_command(command, tmp_path)
                    assert not wrong, f"line {block.line}: {command}: {wrong}"
        elif block.language in FILES:
            # In a file under any name, so that a method's source can be read back from it.
            file = tmp_path / (block.file or f"block_{block.line}.{block.language}")
            file.write_text(block.text, encoding="utf-8")
            if block.language == "python":
                exec(compile(block.text, str(file), "exec"), names)
            else:
                assert plan(Suite.load(file), load_catalog(plugins))
            if block.language == "python" and block.file:
                plugins.append(file)
    statuses = {
        folder.name: {row.status for row in Ledger.read(folder).terminals.values()}
        for folder in Path("runs").glob("*/")
    }
    assert Status.OK in statuses.pop("advice")  # a pilot tries methods that may not answer
    assert statuses == {name: {Status.OK} for name in ("demo", "functions", "mine", "rows", "spectrum")}


EXAMPLE = """# Title
```bash
make install
hessbench run quick \\
    --out runs/demo   # a comment
hessbench compare a b  # exits 1
```
```console
$ hessbench list
lanczos
```
```python file=mine.py
X = 1
```
"""


def test_a_shell_block_gives_its_commands() -> None:
    bash, console, python = blocks(EXAMPLE)
    install, run, compare = bash.commands()
    assert (install, run) == ("make install", "hessbench run quick --out runs/demo   # a comment")
    assert [exit_code(command) for command in (run, compare)] == [0, 1]
    assert list(console.commands()) == ["hessbench list"]
    assert (python.language, python.file, python.line) == ("python", "mine.py", 12)


def test_functions_that_the_tables_name_are_in_the_modules_they_name():
    rows = [line for line in README.read_text().splitlines() if line.startswith("|") and "in `hessbench." in line]
    named = [
        (module, name)
        for row in rows
        for names, module in re.findall(r"((?:`\w+`(?:, | of it )?)+) ?in `(hessbench[\w.]+)`", row)
        for name in re.findall(r"`(\w+)`", names)
    ]
    assert len(named) >= 30
    assert [(module, name) for module, name in named if not callable(getattr(import_module(module), name, None))] == []

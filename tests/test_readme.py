"""The README is run: its commands in order, its Python blocks in between, and every make target it names exists."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

SHELL = frozenset({"bash", "console"})
# Written to a file where the first line is a comment with its name, such as `# mine.py`.
FILES = frozenset({"python", "toml"})
SHOWN = frozenset({"text"})  # output and formulas: nothing to run


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and the line it starts on."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """Name its first line gives it, or nothing."""
        named = re.match(r"# ([\w.-]+\.(?:py|toml))\s*\n", self.text)
        return named[1] if named else ""

    def commands(self) -> Iterator[str]:
        """Commands of a shell block, without prompts, continued lines joined; lines of output are left out."""
        for line in re.sub(r"\\\n\s*", "", self.text).splitlines():
            if self.language == "console" and not line.startswith("$ "):
                continue
            command = line.removeprefix("$ ").strip()
            if command and not command.startswith("#"):
                yield command


def blocks(text: str) -> list[Block]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```\s*$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in found]


def exit_code(command: str) -> int:
    """The exit code a command's comment promises; 0 without one."""
    promised = re.search(r"#.*\bexits (\d+)", command)
    return int(promised[1]) if promised else 0


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_block_has_a_language_this_test_knows() -> None:
    known = SHELL | FILES | SHOWN
    assert [block.line for block in blocks(README.read_text(encoding="utf-8")) if block.language not in known] == []


def test_every_make_target_named_exists() -> None:
    text = README.read_text(encoding="utf-8")
    commands = [c for block in blocks(text) if block.language in SHELL for c in block.commands()]
    in_blocks = {word for c in commands if c.startswith("make ") for word in re.findall(r" ([a-z][a-z-]*)\b(?!=)", c.split("#")[0])}
    in_text = set(re.findall(r"`make ([a-z-]+)`", text))
    assert in_blocks | in_text <= make_targets()


@pytest.mark.slow
def test_every_command_and_python_block_works_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {"__name__": "__main__"}
    for block in blocks(README.read_text(encoding="utf-8")):
        if block.language in SHELL:
            for command in block.commands():
                if shlex.split(command)[0] == "hessbench":
                    done = subprocess.run(
                        ["bash", "-c", command], cwd=tmp_path, env=os.environ | {"PATH": path},
                        capture_output=True, text=True, check=False,
                    )  # fmt: skip
                    said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
                    assert done.returncode == exit_code(command), f"line {block.line}: {command}\n{said}"
        elif block.language in FILES:
            # In a file under any name, so that a method's source can be read back from it.
            file = tmp_path / (block.file or f"readme_line_{block.line}.{'py' if block.language == 'python' else 'toml'}")
            file.write_text(block.text, encoding="utf-8")
            if block.language == "python":
                exec(compile(block.text, str(file), "exec"), names)


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
```python
# mine.py
X = 1
```
"""


def test_a_shell_block_gives_its_commands() -> None:
    bash, console, python = blocks(EXAMPLE)
    install, run, compare = bash.commands()
    assert (install, run) == ("make install", "hessbench run quick --out runs/demo   # a comment")
    assert [exit_code(command) for command in (run, compare)] == [0, 1]
    assert list(console.commands()) == ["hessbench list"]
    assert (python.file, python.line) == ("mine.py", 12)

"""Writing that fails without a full disk: the k-th write, flush, rename or new file below a folder, or all from it."""

import builtins
import errno
import io
import os
from pathlib import Path
from types import TracebackType
from typing import Any

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT)
NEVER = 10**9


class Faults:
    """While it is entered, calls that write below a folder are counted, and some fail.

    Args:
        root: The folder.
        at: Number of the first call that fails, from 1.
        error: Error number.
        ever: Whether every later call fails too.
        torn: Whether a write that fails has written its first half.
    """

    def __init__(self, root: Path, at: int, error: int = errno.ENOSPC, *, ever: bool = True, torn: bool = True) -> None:
        self.root, self.at, self.error, self.ever, self.torn = os.path.realpath(root), at, error, ever, torn
        self.calls = 0
        self._real = {name: getattr(os, name) for name in ("write", "fsync", "replace", "rename", "open")}
        self._opened = builtins.open

    def __enter__(self) -> "Faults":
        for name in self._real:
            setattr(os, name, getattr(self, f"_{name}"))
        builtins.open = io.open = self._file  # type: ignore[assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)
        builtins.open = io.open = self._opened

    def below(self, path: Any) -> bool:
        if isinstance(path, int):
            try:
                path = Path(f"/proc/self/fd/{path}").readlink()
            except OSError:
                return False
        # Not resolved: what is looked at may not be there yet.
        return os.path.abspath(os.fsdecode(path)).startswith(self.root + "/")  # noqa: PTH100

    def fails(self) -> bool:
        self.calls += 1
        return self.calls == self.at or (self.ever and self.calls > self.at)

    def refusal(self, path: Any = None) -> OSError:
        return OSError(self.error, os.strerror(self.error), *([] if path is None else [os.fspath(path)]))

    def _write(self, descriptor: int, data: Any) -> int:
        if self.below(descriptor) and self.fails():
            if self.torn:
                self._real["write"](descriptor, bytes(data)[: len(data) // 2])
            raise self.refusal()
        return self._real["write"](descriptor, data)

    def _fsync(self, descriptor: int) -> None:
        if self.below(descriptor) and self.fails():
            raise self.refusal()
        self._real["fsync"](descriptor)

    def _replace(self, source: Any, target: Any, **more: Any) -> None:
        self._moved("replace", source, target, more)

    def _rename(self, source: Any, target: Any, **more: Any) -> None:
        self._moved("rename", source, target, more)

    def _moved(self, name: str, source: Any, target: Any, more: dict[str, Any]) -> None:
        if self.below(target) and self.fails():
            raise self.refusal(target)
        self._real[name](source, target, **more)

    def _open(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and self.below(path) and self.fails():
            raise self.refusal(path)
        return self._real["open"](path, flags, *rest, **more)

    def _file(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        newline: str | None = None, closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        if not set(mode) & set("wax") or "+" in mode or not self.below(file):
            return self._opened(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if self.fails():
            raise self.refusal(file)
        raw = _Failing(self, file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if not buffering:
            return raw
        stream = io.BufferedWriter(raw)
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding or "utf-8", errors, newline)


class _Failing(io.FileIO):
    def __init__(self, faults: Faults, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._faults = faults

    def write(self, data: Any) -> int:
        if self._faults.fails():
            if self._faults.torn:
                super().write(bytes(data)[: len(data) // 2])
            raise self._faults.refusal()
        return super().write(data) or 0

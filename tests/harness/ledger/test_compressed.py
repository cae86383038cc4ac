"""Rows compressed: every part below the limit, no group parted, and whatever is no part refused."""

import lzma
import random

import pytest

from hessbench.ledger import compressed
from hessbench.ledger.compressed import packed, unpacked


def test_parts_stay_below_the_limit_and_hold_every_group_whole():
    draws = random.Random(0)
    groups = [f"{number}:{draws.getrandbits(400)}\n{number}:end" for number in range(200)]
    parts = packed(groups, 3000)
    assert len(parts) > 3
    assert all(len(part) < 3000 for _, part in parts)
    assert b"".join(rows for rows, _ in parts).decode() == "".join(f"{group}\n" for group in groups)
    assert all(rows.endswith(b":end\n") for rows, _ in parts)
    assert [lzma.decompress(part) for _, part in parts] == [rows for rows, _ in parts]
    assert packed([]) == []


def test_a_group_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="the rows of a cell take"):
        packed(["a", f"{random.Random(0).getrandbits(80_000):x}"], 3000)


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "torn"), (b"{}\n" * 9, "no archive"), (lzma.compress(b"{}\n")[:-9], "torn"),
     (lzma.compress(b"{}\n") * 2, "more than one"), (lzma.compress(b"{}\n") + b"tail", "more than one"),
     (b"\xfd7zXZ\x00" + b"\0" * 40, "no archive"), (lzma.compress(bytes(10**6)), "torn")],
)  # fmt: skip
def test_what_is_no_archive_of_rows_is_refused(data, says, tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "_MOST_UNPACKED", 1000)
    file = tmp_path / "rows.jsonl.xz"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=says):
        unpacked(file)

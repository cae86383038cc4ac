"""Times, sizes and shards as people write them."""

import pytest

from hessbench.cli.quantities import parse_bytes, parse_seconds, parse_shard


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("0.5s", 0.5), ("2m", 120), ("1.5h", 5400), ("60", 60), ("0.5", 0.5), (" 3s ", 3), ("none", None)],
)
def test_times(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("500MiB", 500 * 2**20), ("2GiB", 2**31), ("0.5GiB", 2**29), ("none", None)]
)
def test_sizes(text, size):
    assert parse_bytes(text) == size
    assert size is None or type(parse_bytes(text)) is int


@pytest.mark.parametrize(
    "text", ["", "0", "10x", "s", "-1s", "0s", "1d", "1e3s", "10 s", "nones", "inf", "9" * 400 + "s"]
)
def test_what_is_no_time_is_refused_with_what_is_accepted(text):
    with pytest.raises(ValueError, match="a time such as 10s"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["", "500", "500MB", "-1MiB", "0GiB", "MiB", "9" * 400 + "GiB"])
def test_what_is_no_size_is_refused_with_what_is_accepted(text):
    with pytest.raises(ValueError, match="a size such as 500MiB"):
        parse_bytes(text)


def test_shards():
    assert parse_shard("1/4") == (1, 4)
    assert parse_shard("4/4") == (4, 4)


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "a/b", "-1/4", "1/4/2"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ValueError, match="I/N"):
        parse_shard(text)

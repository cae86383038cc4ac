"""What went wrong, in one line."""

import pytest
import torch

from hessbench.exceptions import asked_of, first_line, is_out_of_memory, named_line


@pytest.mark.parametrize(
    ("failure", "line", "named"),
    [
        (ValueError("too few\nlines follow"), "too few", "ValueError: too few"),
        (RuntimeError("\n  padded\nmore"), "padded", "RuntimeError: "),
        (KeyError(), "KeyError", "KeyError: "),
        (OSError("  "), "OSError", "OSError:   "),
    ],
)
def test_a_failure_is_told_in_its_first_line(failure, line, named):
    assert first_line(failure) == line
    assert named_line(failure) == named


def test_a_failure_that_says_nothing_is_told_in_other_words():
    assert first_line(KeyError(), "no message") == "no message"
    assert first_line(ValueError("own"), "no message") == "own"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_failures(failure, expected):
    assert is_out_of_memory(failure) is expected


def test_what_a_plugin_declares_fails_in_a_sentence_that_names_it():
    def fails():
        raise ZeroDivisionError("by nothing\nat all")

    with pytest.raises(ValueError, match=r"^method own: refuses raised ZeroDivisionError: by nothing$"):
        asked_of("method own", "refuses", fails)
    assert asked_of("method own", "refuses", lambda: "no") == "no"

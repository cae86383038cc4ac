"""How memory is allocated where peaks are taken."""

from __future__ import annotations

from typing import Final

MEMORY_ALLOCATOR: Final = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Settings under which freed memory goes back at once, so that a resident peak is a true peak. They slow the clock."""

"""Memory that the allocator keeps for the next block in place of handing it back to the kernel."""

from __future__ import annotations

import torch


def keep_pages() -> None:
    """Let the allocator of glibc keep what is freed.

    It hands memory back to the kernel at once, and every product then pays for the same pages again (5 to 30 % of its
    time), until the process has freed one block of up to 32 MiB: it then keeps up to 64 MiB. The block is never touched
    and so costs nothing; other allocators take no notice, nor does glibc where its thresholds are set by hand.
    """
    torch.empty(2**25 - 2**15, dtype=torch.uint8)

"""What the C library does with memory that arrays come and go in: keeps it, instead of giving it back each time.

glibc hands what is freed at the end of its heap back to the system, and asks for it again, page by page, for the next
array of a few hundred kilobytes: a sixth of what a forecast takes. It keeps more once a large block has been freed (the
dynamic threshold of mallopt(3)): up to twice that block's size, and no more.
"""

from __future__ import annotations

__all__ = ["keep_pages"]

_BLOCK = 8 << 20


def keep_pages() -> None:
    """For a process that makes forecasts: call it once, at its start. Other C libraries take no notice."""
    bytearray(_BLOCK)  # made and freed: that is the sign

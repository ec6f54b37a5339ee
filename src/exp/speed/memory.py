"""What the C library does with memory that a step frees."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 32 << 20  # bytes; glibc takes no more


def keep_freed_memory() -> bool:
    """Blocks of up to 32 MB stay with the process, for its next step; False where the C library is not glibc.

    Otherwise glibc gives them back to the system, which maps and zeroes the same pages again at the next step.
    """
    try:
        library = ctypes.CDLL("libc.so.6")
        return bool(library.mallopt(M_MMAP_THRESHOLD, LARGEST) and library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
    except (OSError, AttributeError):
        return False


def release_freed_memory() -> bool:
    """Gives memory that lies free between blocks in use back to the system; False where the C library is not glibc."""
    try:
        return bool(ctypes.CDLL("libc.so.6").malloc_trim(0))
    except (OSError, AttributeError):
        return False

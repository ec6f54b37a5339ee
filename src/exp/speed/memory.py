"""Where numbers lie in memory: weights, and what a step frees."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

ALIGNMENT = 64  # bytes; torch begins each of its own blocks at a multiple
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


def align(model: nn.Module) -> int:
    """Gives weights that lie at odd addresses memory of torch's own; returns how many.

    safetensors maps files, so that loaded weights begin at any multiple of their size. MKL's AVX2 kernels then round
    sums in another order: a saved model gave other last bits than its training.
    """
    moved = 0
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNMENT:
            tensor.data = tensor.data.clone()
            moved += 1
    return moved

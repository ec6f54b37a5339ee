"""Techniques that make a step faster, each a setting of its own; what does not fit machine or model is left out."""

from __future__ import annotations

import ctypes
import logging
import platform
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger("exp")


@dataclass(frozen=True)
class Speed:
    compile: bool | str  # true | false | auto: on CUDA alone
    pad_to_multiple_of: int | str | None  # tokens; auto: 8 on a GPU, else none
    pooled_dropout: bool
    keep_memory: bool

    def pads_to(self, device: str) -> int | None:
        if self.pad_to_multiple_of == "auto":
            return 8 if device == "cuda" else None
        assert not isinstance(self.pad_to_multiple_of, str), self.pad_to_multiple_of
        return self.pad_to_multiple_of

    def apply(self, model: PreTrainedModel, device: str, seed: int) -> None:
        """Changes `model` in place. `seed` fills the pool, so that a resumed run cuts from the same one."""
        if self.pooled_dropout:
            if device == "cpu":
                from exp.loop.dropout import pool_dropout

                pool_dropout(model, seed)
            else:
                log.info("speed: pooled_dropout left out, a GPU draws its masks fast")
        if self.compile is True or (self.compile == "auto" and device == "cuda"):
            if device == "cpu" and shutil.which("g++") is None:
                log.info("speed: compile left out, it needs a C++ compiler (g++) on a CPU")
            else:
                model.compile(dynamic=True)
        if self.keep_memory and device == "cpu" and not _keep_freed_memory():
            log.info("speed: keep_memory left out, it needs glibc")


def _keep_freed_memory() -> bool:
    """Tells glibc's malloc not to hand freed memory back to the kernel, for the rest of the process.

    Large tensors, as an embedding's gradient, are otherwise mapped, zeroed page by page and unmapped at every step.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    return bool(mallopt(m_mmap_max, 0)) and bool(mallopt(m_trim_threshold, 2**31 - 1))

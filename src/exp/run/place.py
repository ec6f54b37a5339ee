"""This process's rank among the processes of a run, from the variables that torchrun and accelerate launch set."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exp.errors import ExpError


@dataclass(frozen=True)
class Place:
    rank: int
    size: int  # processes of the run, on all hosts
    local_rank: int  # on this host

    @property
    def first(self) -> bool:
        return self.rank == 0


def place(environ: Mapping[str, str]) -> Place:
    """Raises ExpError for variables that contradict each other, and for a launcher that started too few."""
    size = _number(environ, "WORLD_SIZE", 1)
    if size <= 1:
        _check_launcher(environ)
        return Place(0, 1, 0)
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if name not in environ:
            raise ExpError(
                f"WORLD_SIZE={size} says that {size} processes train this run, and {name} is not set: start them with "
                f"torchrun or accelerate launch, which set both, or unset WORLD_SIZE for one process"
            )
    rank = _number(environ, "RANK", 0)
    if not 0 <= rank < size:
        raise ExpError(f"RANK={rank} must be at least 0 and below WORLD_SIZE={size}")
    return Place(rank, size, _number(environ, "LOCAL_RANK", rank))


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(environ.get(name, default))
    except ValueError:
        raise ExpError(f"{name}={environ[name]} must be a whole number; a launcher sets it") from None


def _check_launcher(environ: Mapping[str, str]) -> None:
    """`accelerate launch --cpu --num_processes 2` starts one process and says nothing (accelerate 1.15)."""
    if not any(name.startswith("ACCELERATE_") for name in environ):
        return
    words = _parent_words()
    asked = re.search(r"--num[_-]processes[ =](\d+)", " ".join(words))
    if asked and int(asked[1]) > 1 and any("accelerate" in word for word in words):
        raise ExpError(
            f"accelerate launch --num_processes {asked[1]} started one process: on a CPU it starts several only with "
            f"--multi_gpu (no GPU is needed for it); or use torchrun --nproc-per-node {asked[1]} -m exp.train ..."
        )


def _parent_words() -> list[str]:
    """The command line of the process that started this one; empty where the system does not tell."""
    if sys.platform != "linux":
        return []
    try:
        return Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []

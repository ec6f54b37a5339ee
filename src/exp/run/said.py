"""Commands and paths as people are told them: they run as printed, in a POSIX shell."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

MOST = 12  # labels in one line


def command(name: str, *words: str | Path, processes: int = 1) -> str:
    """`exp NAME WORDS`, or `python -m exp.NAME WORDS` where the process was started so; every word is quoted.

    Args:
        name: of the command, such as "train".
        words: as the command takes them.
        processes: that do it together; torchrun starts several.
    """
    start = ["exp", name] if sys.argv[:1] and sys.argv[0].startswith("exp ") else ["python", "-m", f"exp.{name}"]
    if processes > 1:
        start = ["torchrun", "--nproc-per-node", str(processes), "-m", f"exp.{name}"]
    return shlex.join([*start, *map(str, words)])


def near(path: Path | str) -> str:
    """Relative where it lies below the working folder."""
    whole = Path(path).absolute()
    return os.path.relpath(whole) if whole.is_relative_to(Path.cwd()) else str(whole)


def counted(count: int, thing: str, things: str | None = None) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def shown_scores(scores: Mapping[str, float]) -> str:
    """`neg 0.954, pos 0.948`; of many the worst and the best."""
    ordered = sorted(scores.items(), key=lambda item: item[1]) if len(scores) > MOST else list(scores.items())
    return few([f"{name} {score:.3f}" for name, score in ordered])


def few(told: list[str]) -> str:
    """Words of labels in one line; of many the first and the last."""
    if len(told) > MOST:
        told = [*told[: MOST - 3], f"... ({len(told)} labels)", *told[-2:]]
    return ", ".join(told)

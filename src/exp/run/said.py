"""Commands and paths as people are told them: they run as printed, in a POSIX shell."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path


def command(name: str, *words: str | Path) -> str:
    """`exp NAME WORDS`, or `python -m exp.NAME WORDS` where the process was started so; every word is quoted.

    Args:
        name: of the command, such as "train".
        words: as the command takes them.
    """
    start = ["exp", name] if sys.argv[:1] and sys.argv[0].startswith("exp ") else ["python", "-m", f"exp.{name}"]
    return shlex.join([*start, *map(str, words)])


def near(path: Path | str) -> str:
    """Relative where it lies below the working folder."""
    whole = Path(path).absolute()
    return os.path.relpath(whole) if whole.is_relative_to(Path.cwd()) else str(whole)


def counted(count: int, thing: str, things: str | None = None) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"

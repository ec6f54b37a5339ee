"""Where hostile things are made, and what they would leave if they had their way.

Code that runs makes the file `mark`; a file that is written outside of the thing changes `outside`, which its links and
paths lead to.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """`good` is a completed run of this user."""

    root: Path
    good: Path

    @property
    def mark(self) -> Path:
        return self.root / "code_ran"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def write(self) -> dict[str, Any]:
        return {"_target_": "exp.run.files.write_atomic", "path": str(self.mark), "text": "x"}

    @property
    def pickled(self) -> bytes:
        """Makes the mark when it is loaded."""
        return pickle.dumps(Loaded(str(self.mark)))

    @property
    def code(self) -> str:
        return f"open({str(self.mark)!r}, 'w').close()\n"

    def run(self, name: str) -> Path:
        """A copy of the good run that was interrupted, so that it can be gone on with too."""
        folder = self.root / name
        shutil.copytree(self.good, folder, symlinks=True, copy_function=copied)
        change(folder / "run.json", lambda record: record.update(status="interrupted", cwd=str(self.root / "work")))
        return folder


def copied(source: str, target: str) -> None:
    """Large files, which are only replaced as a whole, as hard links."""
    (os.link if os.path.getsize(source) > 100_000 else shutil.copy2)(source, target)  # noqa: PTH202


class Loaded:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.mark, "w"))


def put(path: Path, content: str | bytes) -> None:
    """In place of what is there; a hard link to a file of the good run is cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def change(path: Path, how: Callable[[Any], Any]) -> None:
    held = json.loads(path.read_text())
    how(held)
    put(path, json.dumps(held))


def link(path: Path, target: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)

"""Links in a run folder that lead out of it: what is written through one would change files of others."""

from __future__ import annotations

import os
from pathlib import Path

from exp.errors import ExpError


def check_inside(folder: Path) -> None:
    """Raises ExpError for the first link below `folder`, a run folder that is about to be written, that leads out."""
    home = folder.resolve()
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                raise ExpError(
                    f"{path} is a link that leads out of the run folder, to {path.resolve()}, and nothing is written "
                    f"through it: move what it leads to to where the link is"
                )

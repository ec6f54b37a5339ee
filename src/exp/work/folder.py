"""One folder, one study or table: study.json says which."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exp.errors import ExpError
from exp.run.files import create_once
from exp.run.secrets import redacted

MARK = "study.json"


def make_folder(folder: Path, name: str, storage: str | None, kind: str, known: frozenset[str] = frozenset()) -> None:
    """Makes the folder and its mark.

    Args:
        storage: Where the study is kept; the mark says it without its password.
        kind: What the command is, in its user's words: search or table.
        known: What may lie in a folder that holds no mark yet.

    Raises:
        ExpError: The folder belongs to another study or to something else, or cannot be written.
    """
    mark = folder / MARK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.exists():
            if strange := sorted(
                path.name
                for path in folder.iterdir()
                if not path.name.startswith((".", "journal.log")) and path.name not in known
            ):
                raise ExpError(
                    f"{folder} exists and is no study's folder (it holds {strange[0]} and no {MARK}); choose "
                    f"another with {_mend(kind)}"
                )
            create_once(mark, json.dumps({"study_name": name, "storage": redacted(storage)}) + "\n")
        held = json.loads(mark.read_text(encoding="utf-8")).get("study_name")
        if held != name:
            raise ExpError(
                f"{folder} holds the study {held}, and this {kind} is another one ({name}): choose another folder "
                f"with {_mend(kind)}, or leave it out"
            )
        (folder / "workers").mkdir(exist_ok=True)
        (folder / "workers" / ".probe").write_text("")
        (folder / "workers" / ".probe").unlink()
    except ExpError:
        raise
    except (ValueError, AttributeError):
        raise ExpError(f"{mark} is damaged; choose another folder with {_mend(kind)}") from None
    except OSError as error:
        raise ExpError(
            f"cannot write the {kind}'s folder {folder}: {error.strerror}; choose another with {_mend(kind)}"
        ) from None


@contextmanager
def gone_unless_opened(folder: Path) -> Iterator[None]:
    """Around the first opening of a study's storage: where it fails, a folder in which nothing began goes again.

    Its mark names the storage, and would send `exp runs` there.
    """
    try:
        yield
    except Exception:
        begun = {path.name for path in folder.iterdir()} - {MARK, "workers", "study.claim"}
        if not begun and not any((folder / "workers").iterdir()):
            shutil.rmtree(folder)
        raise


def _mend(kind: str) -> str:
    return "folder=..." if kind == "table" else "hydra.sweep.dir=..."

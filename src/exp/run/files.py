"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exp.errors import ExpError

ONE_NAME = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # what a system without hard links says


def write_atomic(path: Path, text: str) -> None:
    """Written beside `path`, synced, then renamed over it; but a device, such as /dev/stdout, is written to.

    An OSError names `path`.
    """
    if not path.name or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and path.absolute().parts[1] in ("dev", "proc"):  # a rename would put a file in its place
        path.write_text(text, encoding="utf-8")
        return
    try:
        with replacing(path) as scratch, scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end. A link there is replaced, and what it leads to is kept."""
    scratch = path.with_name(f".{os.getpid()}.{path.name}")  # the ending says what a picture is
    try:
        yield scratch
        scratch.replace(path)
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def create_once(path: Path, text: str) -> bool:
    """Makes `path` with its whole text by one atomic act; False where it exists.

    Where a file can have one name only (exFAT, a drive of a cloud), it is made first and then written.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # other machines may do the same
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(scratch, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in ONE_NAME:
            raise
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return False
    finally:
        scratch.unlink(missing_ok=True)
    return True


def user_path(text: str) -> Path:
    """`text` with ~ for the user's home folder; raises ExpError where there is none."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ExpError(f"{text}: {str(error).rstrip('.')}; set HOME, or EXP_CACHE for exp's own files") from None


def disk_trouble(error: BaseException) -> str | None:
    """Why `error` means that a disk cannot be written, or None where it means something else.

    safetensors and torch say it in errors of their own: torch only that its position in the file is wrong.
    """
    if isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
    ):
        return os.strerror(error.errno)
    if any(words in str(error) for words in ("No space left", "unexpected pos", "failed writing file")):
        return os.strerror(errno.ENOSPC)
    return None


class NoRoom(ExpError):
    """The disk is full: no trial can run until there is room."""


def no_room(error: BaseException | None) -> bool:
    """Whether `error`, or what caused it, says that a disk is full or has become read-only."""
    full = {os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)}
    while error is not None:
        if disk_trouble(error) in full:
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, json.dumps(finite(value), indent=2, ensure_ascii=False) + "\n")


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity as None: JSON has no word for them, and many readers refuse ours."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value

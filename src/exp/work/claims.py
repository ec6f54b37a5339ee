"""Which process works on which run: files in a folder that any number of machines may share.

A claim is a file that only one can create. Its holder touches it every few seconds; one that nobody has touched for
`STALE` seconds, or whose process on this machine is gone, is taken over.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT, STALE = 10.0, 60.0  # seconds; six missed beats, as in a study


def take(folder: Path, name: str) -> Path | None:
    """The claim, or None while another holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with _locked(folder):
        if path.exists() and not _stale(path):
            return None
        path.unlink(missing_ok=True)
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump({"host": socket.gethostname(), "pid": os.getpid()}, file)
        except FileExistsError:  # a file system without locks
            return None
    return path


def is_held(folder: Path, name: str) -> bool:
    path = folder / name
    return path.exists() and not _stale(path)


def release(path: Path) -> None:
    path.unlink(missing_ok=True)


@contextmanager
def kept_alive(path: Path) -> Iterator[None]:
    """The claim becomes this process's, and is touched until the end."""
    path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}), encoding="utf-8")
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT):
            try:
                os.utime(path)
            except OSError:
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        release(path)


def _stale(path: Path) -> bool:
    try:
        text, touched = path.read_text(encoding="utf-8"), path.stat().st_mtime
    except FileNotFoundError:
        return True
    try:
        holder = json.loads(text)
    except ValueError:
        holder = {}
    if holder.get("host") == socket.gethostname() and isinstance(holder.get("pid"), int):
        return not Path(f"/proc/{holder['pid']}").exists() if Path("/proc/self").exists() else _gone(holder["pid"])
    return _now(path.parent) - touched > STALE


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _now(folder: Path) -> float:
    """By the clock of the file system, which all machines share."""
    probe = folder / f".now-{socket.gethostname()}-{os.getpid()}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time looks at a claim and replaces it. Without locks the file's creation alone decides."""
    with (folder / ".lock").open("a") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

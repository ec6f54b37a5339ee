"""Run folders packed into one file and back, and removed."""

from __future__ import annotations

import contextlib
import errno
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from exp.errors import ExpError
from exp.run.folder import read_record

LARGE = ("checkpoints", "model", "predictions", "wandb")  # what `pack` can leave out of a run


def pack(folders: list[Path], target: Path, without: list[str]) -> None:
    """A gzipped tar; paths in it begin below the folders' common parent. `without` names parts of a run.

    Links are left out: those in a run only repeat what lies beside them.

    Raises ExpError where `target` exists. The file appears under its name only when it is whole.
    """
    if target.exists():
        raise ExpError(f"{target} exists; name another file")
    root = Path(os.path.commonpath([folder.parent for folder in folders]))
    scratch = target.with_name(f".{target.name}.{os.getpid()}")

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(scratch, "w:gz") as tar:
            for folder in folders:
                name = folder.relative_to(root)
                left_out = {str(name / part) for part in without}
                tar.add(folder, str(name), filter=lambda item: None if item.issym() or item.name in left_out else item)  # noqa: B023
        scratch.replace(target)
    except OSError as error:
        raise ExpError(f"cannot write {target}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):  # it may never have been
            scratch.unlink()


def unpack(file: Path, target: Path) -> list[Path]:
    """The run folders it wrote: all that the archive holds, or none.

    Raises ExpError where one exists already, and for members that no archive of exp has: links, devices, paths that
    lead outside, files that belong to no run.
    """
    if not file.exists():
        raise ExpError(f"there is no {file}")
    scratch, was_there = target / f".restoring.{os.getpid()}", target.exists()
    try:
        with tarfile.open(file) as tar:
            members = _members(tar, file)
            runs = _runs(members, file)
            taken = [target / run for run in runs if os.path.lexists(target / run)]
            if taken:
                raise ExpError(f"{taken[0]} exists; restore into another folder with to=...")
            scratch.mkdir(parents=True)
            tar.extractall(scratch, members, filter="data")
        for run in runs:
            read_record(scratch / run)
        return _move(runs, scratch, target)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, ExpError):
            raise
        told = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ExpError(f"{file} cannot be unpacked into {target}: {told}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if not was_there:
            with contextlib.suppress(OSError):  # what holds runs stays
                target.rmdir()


def _members(tar: tarfile.TarFile, file: Path) -> list[tarfile.TarInfo]:
    """Files and folders; links between a run's own checkpoints or logs, which earlier archives hold, are left out."""
    kept = []
    for item in tar.getmembers():
        path = PurePosixPath(item.name)
        if path.is_absolute() or ".." in path.parts:
            raise ExpError(f"{file} is no archive of runs: {item.name} leads out of the folder")
        if not item.name.isprintable():
            raise ExpError(f"{file} is no archive of runs: {item.name!r} holds signs that no name of exp has")
        if item.issym() and "/" not in item.linkname and {"checkpoints", "wandb"} & set(path.parts[:-1]):
            continue
        if not (item.isreg() or item.isdir()):
            raise ExpError(f"{file} is no archive of runs: {item.name} is a link or a device, and a run has none")
        kept.append(item)
    return kept


def _runs(members: Sequence[tarfile.TarInfo], file: Path) -> list[PurePosixPath]:
    """The outermost folders with a run.json; every file has to lie in one of them."""
    marked = {PurePosixPath(item.name).parent for item in members if PurePosixPath(item.name).name == "run.json"}
    runs = sorted(run for run in marked if run.parts and not marked & set(run.parents))
    if not runs:
        raise ExpError(f"{file} holds no runs")
    for item in members:
        path = PurePosixPath(item.name)
        if item.isreg() and not set(runs) & set(path.parents):
            raise ExpError(f"{file} is no archive of runs: {item.name} belongs to no run in it")
    return runs


def _move(runs: Sequence[PurePosixPath], scratch: Path, target: Path) -> list[Path]:
    """By renaming; where one fails, those before it are taken back."""
    moved: list[Path] = []
    try:
        for run in runs:
            (target / run).parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(target / run):
                raise FileExistsError(errno.EEXIST, "it exists", str(target / run))
            (scratch / run).rename(target / run)
            moved.append(target / run)
    except BaseException:
        for folder in moved:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return moved


def remove(folder: Path) -> None:
    """Raises ExpError unless `folder` is a run folder."""
    if not (folder / "run.json").exists():
        raise ExpError(f"{folder} is no run folder: it holds no run.json")
    shutil.rmtree(folder)


def megabytes(folder: Path) -> float:
    return sum(item.stat().st_size for item in folder.rglob("*") if item.is_file()) / 1e6

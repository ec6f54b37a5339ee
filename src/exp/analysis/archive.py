"""Run folders packed into one file and back, and removed."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

from exp.errors import ExpError


def pack(folders: list[Path], target: Path, without: list[str]) -> None:
    """A gzipped tar; paths in it begin below the folders' common parent. `without` names parts of a run.

    Raises ExpError where `target` exists. The file appears under its name only when it is whole.
    """
    if target.exists():
        raise ExpError(f"{target} exists; name another file")
    root = Path(os.path.commonpath([folder.parent for folder in folders]))
    scratch = target.with_name(f".{target.name}.{os.getpid()}")

    def kept(item: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if set(Path(item.name).parts) & set(without) else item

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(scratch, "w:gz") as tar:
            for folder in folders:
                tar.add(folder, arcname=str(folder.relative_to(root)), filter=kept)
        scratch.replace(target)
    except OSError as error:
        raise ExpError(f"cannot write {target}: {error.strerror}") from error
    finally:
        scratch.unlink(missing_ok=True)


def unpack(file: Path, target: Path) -> list[Path]:
    """The run folders it wrote. Raises ExpError where one would be overwritten, or for a path that leads outside."""
    try:
        with tarfile.open(file) as tar:
            runs = [target / Path(name).parent for name in tar.getnames() if Path(name).name == "run.json"]
            taken = [folder for folder in runs if folder.exists()]
            if taken:
                raise ExpError(f"{taken[0]} exists; restore into another folder with --to")
            if not runs:
                raise ExpError(f"{file} holds no runs")
            target.mkdir(parents=True, exist_ok=True)
            tar.extractall(target, filter="data")
    except FileNotFoundError:
        raise ExpError(f"there is no {file}") from None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ExpError(f"{file} cannot be unpacked: {error}") from error
    return runs


def remove(folder: Path) -> None:
    """Raises ExpError unless `folder` is a run folder."""
    if not (folder / "run.json").exists():
        raise ExpError(f"{folder} is no run folder: it holds no run.json")
    shutil.rmtree(folder)


def megabytes(folder: Path) -> float:
    return sum(item.stat().st_size for item in folder.rglob("*") if item.is_file()) / 1e6

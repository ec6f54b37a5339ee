"""A run's or sweep's folder, taken by one atomic act, and what exp writes into it first: the words and the config."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from exp.config.hydra_node import SUBDIR
from exp.errors import ExpError
from exp.run import lock
from exp.run.files import create_once, write_atomic
from exp.run.folder import read_record
from exp.run.links import check_inside
from exp.run.secrets import redacted

OVERRIDES = "overrides.yaml"
TIME = "${now:"  # in the name of an output folder: the folder is ours to number
SWEEP_MARK = "multirun.yaml"  # every sweeper of Hydra writes it


def written_dir(config: DictConfig, kind: str) -> str:
    """The folder's name as the YAML has it, before the time is filled in."""
    node: Any = OmegaConf.to_container(config.hydra[kind], resolve=False)
    return node["dir"]


def claim_run(folder: Path, movable: bool) -> Path:
    """Makes `folder` and in it .hydra; two callers never get one.

    Args:
        folder: Absolute.
        movable: Take the first free of `folder-1`, `folder-2` ... where `folder` is taken.

    Raises:
        ExpError: The folder holds anything and is not movable, or cannot be written.
    """
    taken = _claim(folder, movable, {SUBDIR, "train.log"})
    (taken / SUBDIR).mkdir(exist_ok=True)
    return taken


def release_run(folder: Path) -> None:
    """A run that was refused before it had a plan leaves nothing: its rows or its parts do not fit."""
    with suppress(OSError, ExpError):
        if not (folder / "run.json").exists() or "plan" not in read_record(folder):
            shutil.rmtree(folder)


def claim_sweep(folder: Path, movable: bool) -> Path:
    """As `claim_run`, for a sweep's folder, which holds multirun.yaml."""
    taken = _claim(folder, movable, {SWEEP_MARK})
    (taken / SWEEP_MARK).touch()
    return taken


def release_sweep(folder: Path) -> None:
    """A sweep that started no run leaves nothing; what Hydra wrote of any other holds no password."""
    mark = folder / SWEEP_MARK
    if not mark.exists():
        return
    if {path.name for path in folder.iterdir()} <= {SWEEP_MARK, lock.LOCK}:
        shutil.rmtree(folder)
    else:
        write_atomic(mark, redacted(mark.read_text(encoding="utf-8")))


def claim_job(folder: Path, config: DictConfig, hydra: DictConfig) -> None:
    """The folder of one run of a sweep, whose launcher has made it.

    A job that is started again (by SLURM, or because its worker died) has the same overrides and gets its folder.
    The overrides, written whole by one atomic act, decide: a start that was killed before has claimed nothing.

    Raises:
        ExpError: Another job has the folder.
    """
    with _disk_errors(folder):
        mine, begun = _overrides(hydra), (folder / "run.json").exists() and (folder / SUBDIR).exists()
        (folder / SUBDIR).mkdir(parents=True, exist_ok=True)
        if begun or not create_once(folder / SUBDIR / OVERRIDES, mine):
            saved = _saved_overrides(folder)
            if saved != yaml.safe_load(mine) and (begun or saved is not None):  # None: nobody came to write them
                raise ExpError(
                    f"{folder} is the folder of another run of this sweep, and is never overwritten: "
                    f"hydra.sweep.subdir has to give each run a folder of its own, e.g. '${{hydra.job.num}}'"
                )
            if begun:
                check_inside(folder)
                return  # it goes on with what it was started with
        save(folder, config, hydra)


def save(folder: Path, config: DictConfig, hydra: DictConfig) -> None:
    """Writes .hydra as Hydra would: the config as it was composed, Hydra's own settings, the words."""
    own = OmegaConf.create({"hydra": OmegaConf.to_container(hydra, resolve=False)})
    texts = {
        "config.yaml": redacted(OmegaConf.to_yaml(config)),
        "hydra.yaml": redacted(OmegaConf.to_yaml(own)),
        OVERRIDES: _overrides(hydra),
    }
    for name, text in texts.items():
        write_atomic(folder / SUBDIR / name, text)


def _overrides(hydra: DictConfig) -> str:
    return redacted(OmegaConf.to_yaml(hydra.overrides.task))


def _saved_overrides(folder: Path) -> list[str] | None:
    try:
        return yaml.safe_load((folder / SUBDIR / OVERRIDES).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _claim(folder: Path, movable: bool, left: set[str]) -> Path:
    """`left`: what a start that was killed at once leaves behind, beside its lock."""
    with _disk_errors(folder):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # a file stands where a folder should
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        for count in itertools.count():
            attempt = folder.with_name(f"{folder.name}-{count}") if count else folder
            if _taken(attempt, left):
                return attempt
            if not movable:
                break
    go_on = f"go on with it (resume={folder}), " if (folder / "run.json").exists() else ""
    raise ExpError(f"{folder} exists already and is never overwritten: choose another folder, {go_on}or remove it")


def _taken(folder: Path, left: set[str]) -> bool:
    """Writing this process into the lock decides: it is one act of the file system, whoever made the folder."""
    try:
        folder.mkdir()
    except FileExistsError:
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
        if names and not (lock.LOCK in names and names <= {lock.LOCK, *left}):
            return False
    return lock.claim(folder)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExpError(
            f"cannot make the output folder {folder}: {error.strerror}; "
            f"choose another with hydra.run.dir=... (or hydra.sweep.dir=... of a sweep)"
        ) from None

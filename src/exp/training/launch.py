"""From a command line to a task with a checked config and a run folder of its own."""

from __future__ import annotations

import errno
import functools
import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from exp.config.command_line import TIME, literal, plain, quoted, resume_argv, written_dir
from exp.config.confdir import conf_dir
from exp.distributed import ranks
from exp.errors import ExpError
from exp.run import exits, lock
from exp.run.files import write_atomic
from exp.run.interrupts import Interrupted, pass_on
from exp.run.secrets import redacted
from exp.training import hydra_files
from exp.training.resume import check_goes_on, check_same, told_where_started
from exp.work.launchers import check_launcher, told

# What a `_target_` may name. A security boundary: a config can come from anywhere, this list only from here.
WHITELIST = ("exp.*", "hydra_plugins.*", "optuna.samplers.*", "optuna.pruners.*")


def main(task: TaskFunction, config_name: str = "train") -> None:
    """Composes the config from sys.argv, checks it and calls `task(cfg)` in a run folder.

    Ends the process with one message and code 2 for bad input, with 130 for Ctrl-C. HYDRA_FULL_ERROR=1 shows
    the traceback of bad input as well.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        with ranks.joined():
            _compose_and_run(task, config_name)
        return
    # The inner one ends a run of several processes, which then still agree on who speaks.
    with exits.plain_exits(), ranks.joined(), exits.plain_exits(), _hydra_raises():
        _compose_and_run(task, config_name)


def _compose_and_run(task: TaskFunction, config_name: str) -> None:
    from exp.config.explain import COMPOSING, explained, while_composing

    given = sys.argv
    started = False

    @functools.wraps(task)
    def job(cfg: DictConfig) -> Any:
        nonlocal started
        started = True
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            # Claim saw the config without the swept values; a wrong one fails its job, not the sweep.
            from exp.config.check import check

            check(cfg, HydraConfig.get().runtime.choices)
        hydra_files.write(cfg)
        try:
            return task(cfg)
        except Interrupted as error:
            pass_on(error.reason)
            raise

    entry = hydra.main(config_path=str(conf_dir()), config_name=config_name, execution_whitelist=WHITELIST)(job)
    try:
        sys.argv = [given[0], *resume_argv(given[1:])]
        entry()
    except (*COMPOSING, ValueError) as error:
        if started or not while_composing(error):
            raise
        words = [word for word in given[1:] if not word.startswith("-")]
        raise explained(error, config_name, words) from error
    except Exception as error:
        refused = told(error)
        if refused is None:
            raise
        raise refused from error
    finally:
        sys.argv = given


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Hydra prints what goes wrong in its own words and exits with 1; here it raises.

    HYDRA_FULL_ERROR=1 would do the same, but every process that a run starts would inherit it.
    """
    from hydra._internal import utils

    reporting = utils.run_and_report
    utils.run_and_report = lambda func: func()
    try:
        yield
    finally:
        utils.run_and_report = reporting


class Claim(Callback):
    """Checks the config and claims the output folder, before Hydra writes anything.

    Hydra turns an exception of a callback into a warning, so bad input exits right here.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        with _ends_here():
            _check(config)
            _check_processes(config)
            folder = Path(ranks.current.get().decide("folder", lambda: str(_claimed(config))))
            _set_folder(config, "run", folder)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        with _ends_here():
            _check(config)
            if ranks.current.get().place.size > 1:
                raise ExpError(
                    "--multirun starts processes of its own, and torchrun or accelerate launch has started several: "
                    "train one run with them, or leave the launcher out"
                )
            check_launcher(config)
            folder, movable = _folder(config, "sweep")
            if config.hydra.runtime.choices.get("hydra/sweeper") == "study":
                return  # it names its folder itself, and goes on in it with any number of workers
            from exp.study.direction import check_plain_sweeper

            check_plain_sweeper(config)
            _set_folder(config, "sweep", claim(folder, movable))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """A sweep whose first job could not even be composed leaves nothing; what Hydra wrote holds no password."""
        folder = Path(config.hydra.sweep.dir)
        written = folder / "multirun.yaml"
        if written.exists() and {path.name for path in folder.iterdir()} <= {written.name, lock.LOCK}:
            shutil.rmtree(folder)
        elif written.exists():
            write_atomic(written, redacted(written.read_text(encoding="utf-8")))


def _check_processes(config: DictConfig) -> None:
    """As many as the config says, and all with the same config."""
    from exp.distributed.options import check

    together = ranks.current.get()
    if "distributed" in config:  # a run that goes on may be older than the group
        check(config.distributed, together.place.size, goes_on=_goes_on(config))
        with read_write(config), open_dict(config):
            # A resume under another launcher reads what this one started.
            config.distributed.processes = int(config.distributed.processes)
    elif together.place.size > 1:
        raise ExpError("this run was started before exp trained with several processes; go on with it in one")
    check_same(together.collect("config", plain(config)))


def _goes_on(config: DictConfig) -> bool:
    """Whether `resume` names a run; resume=auto that found none begins a new one."""
    return config.get("resume") not in (None, "auto")


def _claimed(config: DictConfig) -> Path:
    folder, movable = _folder(config, "run")
    if not _goes_on(config):
        return claim(folder, movable)
    check_goes_on(folder, plain(config))
    return folder


def claim(folder: Path, movable: bool) -> Path:
    """Makes `folder`, or if movable the first free of `folder-1`, `folder-2` ...; two callers never get one.

    Raises ExpError if the folder holds anything and is not movable, or cannot be written.
    """
    with _told(folder):
        _make_parents(folder)
        for count in itertools.count():
            attempt = folder.with_name(f"{folder.name}-{count}") if count else folder
            try:
                attempt.mkdir()
            except FileExistsError:
                if movable:
                    continue
                _check_free(folder)
            if lock.claim(attempt):
                return attempt
            if not movable:
                raise FileExistsError
    raise AssertionError("unreachable")


def _check_free(folder: Path) -> None:
    """Raises ExpError unless `folder` is empty, or holds only what a start left that was killed at once."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    if names and not (lock.LOCK in names and names <= {lock.LOCK, ".hydra", "train.log"}):
        go_on = f"go on with it (resume={folder}), " if "run.json" in names else ""
        raise ExpError(f"{folder} exists already and is never overwritten: choose another folder, {go_on}or remove it")


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise ExpError(f"{folder} was taken by another run just now; choose another folder, or remove it") from None
    except OSError as error:
        raise ExpError(
            f"cannot make the output folder {folder}: {error.strerror}; "
            f"choose another with hydra.run.dir=... (or hydra.sweep.dir=... of a sweep)"
        ) from None


def _make_parents(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # a file stands where a folder should
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def _check(config: DictConfig) -> None:
    from exp.config.check import check

    HydraConfig.instance().set_config(config)  # for ${hydra:...} in the config
    if config.hydra.output_subdir not in (None, ".hydra"):
        raise ExpError(
            f"hydra.output_subdir={config.hydra.output_subdir}: a run keeps its config in .hydra; leave it out"
        )
    with told_where_started(Path(config.hydra.run.dir) if _goes_on(config) else None):
        check(config, config.hydra.runtime.choices)
    if config.hydra.mode != RunMode.MULTIRUN and config.hydra.runtime.choices.get("sweep"):
        preset = config.hydra.runtime.choices.sweep
        raise ExpError(f"sweep={preset} is a search over many runs: add --multirun")


def _folder(config: DictConfig, kind: str) -> tuple[Path, bool]:
    """The folder that Hydra would use, and whether its name is ours to change (it holds a time)."""
    return Path(config.hydra[kind].dir).absolute(), TIME in written_dir(config, kind)


def _set_folder(config: DictConfig, kind: str, folder: Path) -> None:
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.output_subdir = None  # a saved config has no train.yaml that says so; see hydra_files
        config.hydra[kind].dir = literal(folder)
        if kind == "sweep":  # a sweep's jobs are composed again, from the overrides
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")


@contextmanager
def _ends_here() -> Iterator[None]:
    try:
        yield
    except ExpError as error:
        exits.complain(error)
        raise SystemExit(exits.BAD_INPUT) from None

"""From a command line to a task with a checked config and a run folder of its own.

The config is composed, checked and its folder claimed here, before Hydra acts. Every exception on the way ends the
process, and nothing is overwritten.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log
from hydra.types import RunMode
from hydra.utils import execution_whitelist
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from exp.compat.hydra import context, quiet_failures, show
from exp.config.command_line import Command, read
from exp.config.compose import Composer, composer, own, plain
from exp.config.explain import explained, unresolved, while_composing
from exp.config.grammar import literal, quoted
from exp.config.hydra_node import check_hydra, check_job
from exp.config.launchers import check_launcher, engine_error
from exp.distributed.joined_ranks import joined
from exp.errors import ExpError
from exp.loop.trial import NoTrial, Trial
from exp.options import trust
from exp.run import exits, ranks
from exp.run.interrupts import Interrupted, pass_on
from exp.training import sweep_table
from exp.training.claim import (
    TIME,
    claim_job,
    claim_run,
    claim_sweep,
    release_run,
    release_sweep,
    save,
    written_dir,
)
from exp.training.go_on import resumed
from exp.training.resume import check_goes_on, check_same, told_where_started
from exp.training.sweep_points import jobs_to_check

Task = Callable[[DictConfig, Trial], Any]


def main(task: Task) -> None:
    """Composes the config from sys.argv, checks it and calls `task(cfg, trial)` in a run folder.

    Ends the process with one message and code 2 for bad input, with 130 for Ctrl-C. HYDRA_FULL_ERROR=1 shows
    the traceback of bad input as well.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        with joined():
            launch(task, sys.argv[1:])
        return
    # The inner one ends a run of several processes, which then still agree on who speaks.
    with exits.plain_exits(), joined(), exits.plain_exits():
        launch(task, sys.argv[1:])


OUTSIDE = NoTrial()  # of a study


@dataclass(frozen=True)
class Job:
    """The task as launchers and sweepers get it, with what has to come before it."""

    task: Task
    trial: Trial = OUTSIDE
    imports: ClassVar[str] = "exp.training.shared_imports"

    def of_trial(self, trial: Trial) -> Job:
        return replace(self, trial=trial)

    def check(self, cfg: DictConfig) -> None:
        """Raises ExpError for a config with Hydra's node that cannot be run."""
        check_job(cfg.hydra)
        check_config(cfg)

    def __call__(self, cfg: DictConfig) -> Any:
        node: Any = HydraConfig.get()
        if node.mode == RunMode.MULTIRUN:
            check_job(node)
            _check_parts(cfg, node.runtime.choices)
            self._claim(Path(node.runtime.output_dir), cfg, node)
        try:
            return self.task(cfg, self.trial)
        except Interrupted as error:
            pass_on(error.reason)
            raise

    def _claim(self, folder: Path, cfg: DictConfig, node: Any) -> None:
        """The first of several processes does it; the others wait for it."""
        from exp.distributed.options import check

        together = ranks.current.get()
        if "distributed" in cfg:
            check(cfg.distributed, together.place.size, goes_on=(folder / "run.json").exists())
        together.decide("job", lambda: claim_job(folder, cfg, node))


def check_config(cfg: DictConfig) -> None:
    """Everything that a composed config alone shows to be wrong. Raises ExpError for the first thing."""
    _check_parts(cfg, cfg.hydra.runtime.choices)
    if cfg.hydra.mode != RunMode.MULTIRUN and cfg.hydra.runtime.choices.get("sweep"):
        raise ExpError(f"sweep={cfg.hydra.runtime.choices.sweep} is a search over many runs: add --multirun")


def _check_parts(cfg: DictConfig, choices: Any) -> None:
    from exp.config.check import check

    try:
        config = plain(cfg)
    except (InterpolationToMissingValueError, RecursionError):
        config = None  # `check` says which value is not given
    except OmegaConfBaseException as error:
        raise unresolved(error) or error from error
    if config is not None:
        trust.check(config)  # first, because `check` imports what it finds
    check(cfg, choices)
    if config is None:
        trust.check(plain(cfg))


def launch(task: Task, argv: list[str]) -> Path | None:
    """Runs what the words ask for. Returns the run's or sweep's folder; None where they only show something.

    Raises ExpError for bad input, and Interrupted for a run that was stopped and has saved.
    """
    command = resumed(read(argv))
    with composer(config_dir=command.config_dir, name=command.config_name, saved=command.saved) as made:
        if command.shows:
            with made.explaining(command.words):
                made.check_options(command.words)
                command.shows.overrides = made.with_defaults(command.words)
                show(made.name, command.shows)
            return None
        cfg = made.compose(command.words, command.multirun)
        with made.explaining(command.words):
            check_hydra(cfg)
            if command.multirun:
                _prepare_sweep(cfg, made, command.detach)
            else:
                _prepare_run(cfg, command)
        if command.multirun:
            _sweep(Job(task), cfg, made)
            return Path(cfg.hydra.sweep.dir)
        folder = Path(cfg.hydra.run.dir)
        try:
            _run(Job(task), cfg)
        except ExpError:
            if not command.goes_on and ranks.current.get().place.size == 1:  # others write their logs there
                release_run(folder)
            raise
        return folder


def _prepare_run(cfg: DictConfig, command: Command) -> None:
    with told_where_started(command.saved if command.goes_on else None):
        check_config(cfg)
    _check_processes(cfg, command)
    _set_folder(cfg, "run", Path(ranks.current.get().decide("folder", lambda: str(_run_folder(cfg, command)))))


def _run(job: Job, cfg: DictConfig) -> None:
    with read_write(cfg.hydra), open_dict(cfg.hydra):
        cfg.hydra.runtime.output_dir = literal(Path(cfg.hydra.run.dir))
    HydraConfig.instance().set_config(cfg)
    configure_log(cfg.hydra.job_logging, cfg.hydra.verbose)
    with execution_whitelist(trust.whitelist()):
        job(own(cfg))


def _prepare_sweep(cfg: DictConfig, made: Composer, detach: bool) -> None:
    if ranks.current.get().place.size > 1:
        raise ExpError(
            "--multirun starts processes of its own, and torchrun or accelerate launch has started several: "
            "train one run with them, or leave the launcher out"
        )
    check_launcher(cfg)
    study = cfg.hydra.runtime.choices.get("hydra/sweeper") == "study"
    if detach and not study:
        raise ExpError("--detach: only a study goes on without this command; add hydra/sweeper=study, or sweep=...")
    if study:
        if detach:  # as an override, too: a trial's config may not differ from the sweep's
            with read_write(cfg.hydra), open_dict(cfg.hydra):
                cfg.hydra.sweeper.detach = True
                cfg.hydra.overrides.hydra.append("hydra.sweeper.detach=true")
        return  # it checks its trials and names its folder itself, and goes on in it with any number of workers
    from exp.study.direction import check_plain_sweeper

    for words in jobs_to_check(cfg, made.loader):
        point = made.compose_job(cfg, words)
        check_hydra(point)
        check_config(point)
    HydraConfig.instance().set_config(cfg)
    check_plain_sweeper(cfg)
    folder, movable = _folder(cfg, "sweep")
    if "${" in str(folder):
        raise ExpError(f"hydra.sweep.dir={folder}: Hydra cannot sweep in a folder with ${{ in its name; choose another")
    _set_folder(cfg, "sweep", claim_sweep(folder, movable))


def _sweep(job: Job, cfg: DictConfig, made: Composer) -> None:
    no_hydra_files(cfg)
    began = time.time()
    sweeper = Plugins.instance().instantiate_sweeper(
        hydra_context=context(made.loader, trust.whitelist()), task_function=job, config=cfg
    )
    try:
        with quiet_failures():
            sweeper.sweep(arguments=list(cfg.hydra.overrides.task))
    except Exception as error:
        refused = engine_error(error)
        if refused is not None:
            raise refused from error
        if isinstance(error, ExpError) or not while_composing(error) or in_job(error):
            raise
        raise explained(error, list(cfg.hydra.overrides.task), made) from error
    finally:
        release_sweep(Path(cfg.hydra.sweep.dir))
        if cfg.hydra.runtime.choices.get("hydra/sweeper") != "study":  # a study tells its trials itself
            print(sweep_table.told(Path(cfg.hydra.sweep.dir), began), flush=True)


def in_job(error: BaseException) -> bool:
    """Whether a run raised `error`, and not what composed it."""
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code is not Job.__call__.__code__:
        at = at.tb_next
    return at is not None


def _check_processes(cfg: DictConfig, command: Command) -> None:
    """As many as the config says, and all with the same config."""
    from exp.distributed.options import check

    together = ranks.current.get()
    if "distributed" in cfg:  # a run that goes on may be older than the group
        check(cfg.distributed, together.place.size, goes_on=command.goes_on)
        with read_write(cfg), open_dict(cfg):
            # A resume under another launcher reads what this one started.
            cfg.distributed.processes = int(cfg.distributed.processes)
    elif together.place.size > 1:
        raise ExpError("this run was started before exp trained with several processes; go on with it in one")
    check_same(together.collect("config", plain(cfg)))


def _run_folder(cfg: DictConfig, command: Command) -> Path:
    """A new folder with the config in it; or that of the run that goes on, whose files stay as they are."""
    if command.goes_on:
        from exp.run.links import check_inside

        assert command.saved is not None
        check_inside(command.saved)
        check_goes_on(command.saved, plain(cfg))
        return command.saved
    folder = claim_run(*_folder(cfg, "run"))
    _set_folder(cfg, "run", folder)
    save(folder, own(cfg), cfg.hydra)
    return folder


def _folder(cfg: DictConfig, kind: str) -> tuple[Path, bool]:
    """The folder that Hydra would use, and whether its name is ours to change (it holds a time)."""
    return Path(cfg.hydra[kind].dir).absolute(), TIME in written_dir(cfg, kind)


def _set_folder(cfg: DictConfig, kind: str, folder: Path) -> None:
    with read_write(cfg.hydra), open_dict(cfg.hydra):
        cfg.hydra[kind].dir = literal(folder)
        if kind == "sweep":  # a sweep's jobs are composed again, from the overrides
            cfg.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")


def no_hydra_files(cfg: DictConfig) -> None:
    """Hydra would write .hydra over what is there; exp.training.claim writes it once."""
    with read_write(cfg.hydra), open_dict(cfg.hydra):
        cfg.hydra.output_subdir = None
        cfg.hydra.overrides.hydra.append("hydra.output_subdir=null")

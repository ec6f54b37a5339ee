"""From a sweep's command to a running study: checks the command, makes or finds the study, starts the coordinator.

Nothing here imports torch. Workers claim trials by themselves, so the same command can be started a second time, here
or on another machine, and joins the study.
"""

from __future__ import annotations

import math
import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from exp.config.grammar import literal, quoted
from exp.errors import ExpError
from exp.options.calls import SEARCH, check_function
from exp.options.project import homes
from exp.run.environment import cores, gpus
from exp.run.said import counted
from exp.run.secrets import redacted
from exp.study import frozen_config, identity
from exp.study.check_configs import check_configs, group_names
from exp.study.direction import check_objectives, directions, objective_names
from exp.study.objective import Objective, read_constraints
from exp.study.plan import StudyPlan
from exp.study.progress import make_progress
from exp.study.recipe import StudyRecipe
from exp.study.report import report
from exp.study.samplers import make_pruner, make_sampler
from exp.study.settings import StudySettings, read_settings
from exp.study.space import Space
from exp.study.space_words import read_space
from exp.work.coordinator import Coordinator
from exp.work.detached import is_detached, leave_to_background
from exp.work.folder import gone_unless_opened, make_folder
from exp.work.forks import forked
from exp.work.hydra_jobs import HydraJobs
from exp.work.launcher_workers import by_launcher, runs_here
from exp.work.locks import ClaimLock
from exp.work.settings import processes_word
from exp.work.storage import open_storage, opening_errors, quiet_optuna
from exp.work.storage_file import check_storage
from exp.work.trial_queue import code_commit, open_queue
from exp.work.worker import Worker

INTERRUPTED = 130  # the exit code after Ctrl-C


def run(
    given: Mapping[str, Any], context: HydraContext, task: TaskFunction, config: DictConfig, arguments: list[str]
) -> None:
    """Raises SystemExit 130 after Ctrl-C, ExpError where too many trials failed."""
    settings = read_settings(given)
    _check_sampler_and_pruner(settings, config)
    arguments = [*arguments, *processes_word(config, settings.processes_per_trial)]
    space, plain = _space(settings, config, arguments)
    objective = _objective(settings, plain)
    name = settings.study_name or identity.derive_name(config, plain, space, objective)
    folder = _folder(config, name)
    total = _total(settings, space)
    here = runs_here(config)
    if here:
        settings.work.check_fits(cores(), gpus())
    started = StudyPreparation(settings, config, context, space, objective, name, folder, total, arguments, plain)
    with quiet_optuna(), forked(settings.work, task if here else None) as server:
        plan, jobs = started.prepare(task)
        _print_header(settings, plan)
        recipe = StudyRecipe(plan)
        queue, worker = open_queue(plan, recipe.pruner()), Worker(plan, jobs, recipe)
        if settings.detach and not is_detached():
            leave_to_background(queue, folder)
            return
        fixed = [f"{key}={value}" for key, value in space.fixed.items()]
        progress = make_progress(plan)
        launched = by_launcher(worker, settings.work, fixed)
        try:
            request, problem = Coordinator(queue, worker, settings.work, launched, progress, server).run()
        finally:
            progress.close()
        report(queue, plan, jobs, identity.program_command(settings.processes_per_trial), settings.pictures)
        if problem is not None:
            raise problem
        if request:
            print("stopped; the same command goes on")
            raise SystemExit(INTERRUPTED)


class StudyPreparation:
    """The steps from a checked command to an existing study. Each step may raise ExpError."""

    def __init__(
        self,
        settings: StudySettings,
        config: DictConfig,
        context: HydraContext,
        space: Space,
        objective: Objective,
        name: str,
        folder: Path,
        total: int,
        arguments: Sequence[str],
        plain: Mapping[str, Any],
    ) -> None:
        self.settings, self.config, self.context = settings, config, context
        self.space, self.objective = space, objective
        self.name, self.folder, self.total, self.arguments = name, folder, total, arguments
        self.plain = plain

    def prepare(self, task: TaskFunction) -> tuple[StudyPlan, HydraJobs]:
        loader = self.context.config_loader
        check_configs(loader, self.config, self.space, group_names(loader, self.config), getattr(task, "check", None))
        if not self.space.params and not self.settings.custom_search_space:
            raise ExpError("there is nothing to search: give hydra.sweeper.params, or ranges on the command line")
        guesses = [self.space.enqueued_params(guess) for guess in self.settings.enqueue or ()]
        if len(guesses) > self.total:
            raise ExpError(f"enqueue holds {len(guesses)} guesses, and n_trials={self.total} runs fewer")
        check_storage(self.settings.storage, self.folder)
        make_folder(self.folder, self.name, self.settings.storage, "search")
        study = self._study(guesses)
        files = frozen_config.restore(study)
        assert files is not None
        frozen = frozen_config.frozen_loader(loader, files, self.folder / "config")
        context = replace(self.context, config_loader=frozen)
        return self._plan(), HydraJobs(self.config, context, task, self.settings.processes_per_trial)

    def _plan(self) -> StudyPlan:
        settings = self.settings
        extra = {"tracker.wandb.group": self.name}
        # Unless it was asked for, the runs keep the condition that they have outside a sweep.
        if settings.objective and not self.objective.names[0].startswith(("cost/", "train/")):
            extra["metric_for_best_model"] = self.objective.names[0]
        return StudyPlan(
            study_name=self.name,
            storage=settings.storage,
            folder=self.folder,
            n_trials=self.total,
            only=None,
            retries=settings.retries,
            beat_every=settings.beat_every,
            stale_after=settings.stale_after,
            max_failure_rate=settings.max_failure_rate,
            sampler=settings.sampler,
            pruner=settings.pruner,
            seeds=tuple(settings.seeds or ()),
            space=self.space,
            custom=settings.custom_search_space,
            objective=self.objective,
            run_equal_trials=settings.run_equal_trials,
            extra={key: value for key, value in extra.items() if key not in self.space.fixed},
        )

    def _study(self, guesses: Sequence[Mapping[str, Any]]) -> optuna.Study:
        """The study of that name, made if it does not exist. Under the lock, so that two starts make one."""
        storage_of = self.settings.storage
        with opening_errors(storage_of, self.folder):
            with gone_unless_opened(self.folder):
                storage = open_storage(storage_of, self.folder)
            with ClaimLock(storage_of, self.folder, self.name):
                study = optuna.create_study(
                    study_name=self.name,
                    storage=storage,
                    directions=list(self.objective.directions),  # type: ignore[arg-type]
                    load_if_exists=True,
                )
                if "table" in study.user_attrs:
                    raise ExpError(
                        f"study {self.name} holds the table {study.user_attrs['table']}, and this is a search: give it "
                        "another name with hydra.sweeper.study_name=..."
                    )
                files = frozen_config.read_files(self.context.config_loader)
                if frozen_config.restore(study) is not None:
                    identity.check_same(study, self.space, self.objective, self.settings, self.plain)
                    identity.warn_changes(study, files, guesses)
                    return study
                if run := next(self.folder.glob("[0-9]*/.hydra"), None):
                    raise ExpError(
                        f"{run.parent} is a trial of the study {self.name}, and its storage knows none: give the "
                        "storage that it was begun with, or begin anew in another folder with hydra.sweep.dir=..."
                    )
                # Ours to describe, or one whose maker died half way.
                for key, value in identity.describe(self.space, self.objective, self.settings, self.plain).items():
                    study.set_user_attr(key, value)
                study.set_user_attr("commit", code_commit())
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    if self.objective.names:  # what the dashboard calls the values
                        study.set_metric_names(list(self.objective.names))
                for guess in guesses[len(study.get_trials(deepcopy=False)) :]:
                    study.enqueue_trial(dict(guess))
                frozen_config.store(study, files)
                return study


def _check_sampler_and_pruner(settings: StudySettings, config: DictConfig) -> None:
    """Makes pruner and sampler once, so that a value they refuse is reported before the first trial."""
    if settings.seeds and "seed" not in config:
        raise ExpError("hydra.sweeper.seeds: this config has no key seed")
    makers: dict[str, Callable[[], Any]] = {"pruner": lambda: make_pruner(settings.pruner)}
    if not settings.is_grid:
        makers["sampler"] = lambda: make_sampler(settings.sampler, "", 0, None)
    for what, make in makers.items():
        check_made(what, make)


def check_made(what: str, make: Callable[[], Any]) -> None:
    """Raises ExpError where `make` fails, or makes no pruner or sampler (`what`) that Optuna can call."""
    kind = {"pruner": BasePruner, "sampler": BaseSampler}[what]
    where = f"hydra/sweeper/{what}"
    try:
        made = make()
    except Exception as error:  # Hydra wraps whatever the constructor raises
        cause = error.__cause__ or error
        raise ExpError(f"{where}: {' '.join(str(cause).split())}") from error
    if not isinstance(made, kind):
        raise ExpError(f"{where}: a {type(made).__name__} is no optuna.{what}s.{kind.__name__}")
    for method, words in SEARCH[what].items():
        check_function(getattr(made, method), words, f"{where}: {type(made).__name__}.{method}")


def _space(settings: StudySettings, config: DictConfig, arguments: Sequence[str]) -> tuple[Space, dict[str, Any]]:
    choices = OmegaConf.to_container(config.hydra.runtime.choices)
    known = {str(key): str(value) for key, value in choices.items()}  # type: ignore[union-attr]
    space = read_space(settings.params, settings.when, settings.link, arguments, known)
    return space, identity.plain_config(config)


def _objective(settings: StudySettings, plain: Mapping[str, Any]) -> Objective:
    names = objective_names(settings.objective, plain)
    check_objectives(names, plain)
    ways = directions(settings.direction, names, plain)
    if settings.prunes and len(ways) > 1:
        raise ExpError(
            f"a pruner cannot weigh {len(ways)} objectives against each other: set hydra/sweeper/pruner=none"
        )
    if settings.objective_from == "best" and len(ways) > 1:
        print(
            "note: with several objectives each one's best may come from another step; objective_from=last "
            "takes all from the end"
        )
    return Objective(
        names=tuple(names),
        directions=tuple(ways),
        take=settings.objective_from,
        reduce=settings.seeds_reduce,
        bound_errors=settings.bound_errors,
        constraints=read_constraints(settings.constraints),
    )


def _total(settings: StudySettings, space: Space) -> int:
    if not settings.is_grid:
        assert settings.n_trials is not None
        return settings.n_trials
    cells = math.prod(len(values) for values in space.grid().values())
    return cells if settings.n_trials is None else min(cells, settings.n_trials)


def _folder(config: DictConfig, name: str) -> Path:
    """multirun/<study_name>, unless the command line names another; Hydra's dated folder would be new each time."""
    given = [word for word in config.hydra.overrides.hydra if word.startswith("hydra.sweep.dir=")]
    folder = Path(str(config.hydra.sweep.dir)) if given else homes()[1] / name
    folder = folder.absolute()
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.dir = literal(folder)
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")
    return folder


def _print_header(settings: StudySettings, plan: StudyPlan) -> None:
    print(f"study {plan.study_name}: {counted(plan.n_trials, 'trial')} in {plan.folder}")
    shown = redacted(plan.storage) or f"journal://{plan.folder / 'journal.log'}"
    dashboard = redacted(plan.storage) or plan.folder / "journal.log"
    print(f"  storage {shown}; look at it with: optuna-dashboard {shlex.quote(str(dashboard))}", flush=True)

"""A worker: takes a trial, composes its config, runs it, tells the result, until the total is reached.

It is a task function: any Hydra launcher can run it (SLURM, Ray, joblib), and so can a process of our own.
"""

from __future__ import annotations

import gc
import os
import platform
import select
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict
from optuna.trial import FrozenTrial, TrialState

from exp.compat.hydra import returned
from exp.errors import ExpError
from exp.run.files import no_room
from exp.run.result import read_result
from exp.study import trial as current_trial
from exp.study.failures import SAME, failing
from exp.study.live_trial import LiveTrial
from exp.study.objective import Objective
from exp.study.samplers import make_pruner, make_sampler
from exp.study.space import Space
from exp.work.board import INTERRUPTED as INTERRUPTED_ATTR
from exp.work.board import Board, Heart, commit_now
from exp.work.storage import ClaimLock, open_storage, patiently, quiet

PATIENCE = 300.0  # seconds that a storage may be away before a worker gives up
INTERRUPTED = 75  # the code that a run exits with when a signal asked it to end


class NoRoom(ExpError):
    """The disk is full: no trial can run until there is room."""


@dataclass(frozen=True)
class StudyPlan:
    """Everything about a study that its workers need, in plain values."""

    study_name: str
    storage: str | None
    folder: Path  # the sweep's
    n_trials: int
    retries: int
    beat_every: float  # seconds
    stale_after: float  # seconds
    max_failure_rate: float  # share of n_trials
    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    seeds: tuple[int, ...]
    space: Space
    custom: str | None  # dotted path of a function of (config, trial) that suggests more
    objective: Objective
    extra: Mapping[str, str]  # overrides of every trial where its config has the key


@dataclass
class TrialWorker:
    """Callable as Hydra's task function; the config that it gets as such is not used."""

    plan: StudyPlan
    master: DictConfig
    context: HydraContext
    task: TaskFunction
    name: str
    leash: str | None = None  # the coordinator that launched it, elsewhere; it says in the storage when to stop

    def __call__(self, cfg: Any = None) -> int:
        """The number of trials that it ran."""
        plan = self.plan
        _take_own_gpu()
        name = f"{self.name}-{platform.node()}-{os.getpid()}"
        commit = commit_now()
        with quiet(), Heart(plan.storage, plan.folder, plan.study_name, name, plan.beat_every):
            board = open_board(plan)
            errors: list[str | None] = []
            while not self._told_to_stop(board) and failing(board.trials(), plan) is None:
                mine = board.claim(name, commit=commit, sweep=str(plan.folder))
                if mine is None:
                    break
                errors.append(self._run(board, mine, name))
                if len(errors) == SAME and errors[0] is not None and len(set(errors)) == 1:
                    break  # the coordinator decides whether another worker is to try
        return len(errors)

    def _told_to_stop(self, board: Board) -> bool:
        """A coordinator beside us holds the other end of standard input, and closes it to stop us, or by dying."""
        if self.leash is not None and stop_key(self.leash) in board.patiently(lambda: board.study.user_attrs):
            return True
        if os.environ.get("EXP_STUDY_LEASH") != "stdin":
            return False
        ready, _, _ = select.select([sys.stdin], [], [], 0)
        return bool(ready) and not os.read(sys.stdin.fileno(), 1)

    def _metrics(self, number: int) -> Path:
        return self.plan.folder / str(number) / "metrics.jsonl"

    def _run(self, board: Board, mine: FrozenTrial, name: str) -> str | None:
        """Why the trial failed; None where it did not."""
        plan, study, number = self.plan, board.study, mine.number
        study.sampler = make_sampler(plan.sampler, plan.study_name, number, plan.space)
        trial = board.patiently(lambda: optuna.Trial(study, mine._trial_id))
        attrs: dict[str, Any] = {}
        try:
            chosen = board.patiently(lambda: plan.space.suggest(trial))
            overrides = [*plan.space.overrides(chosen), *self._suggest_more(trial, chosen)]
            values, pruned, task_seconds = self._evaluate(board, trial, overrides)
            attrs["task_seconds"] = round(task_seconds, 3)
            state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        except SystemExit as error:
            if error.code == INTERRUPTED:
                board.put_back(mine._trial_id, name)
                print(f"trial {number} was interrupted and has saved; it waits to be gone on with", flush=True)
                raise
            values, state = None, TrialState.FAIL
            attrs["error"] = f"SystemExit: {error.code}"
        except Exception as error:
            if no_room(error):  # no fault of the trial's: it keeps its slot for when there is room
                print(f"trial {number} waits to be run again: {error}", flush=True)
                board.put_back(mine._trial_id, name)
                raise NoRoom(str(error)) from error
            traceback.print_exc()
            values, state = None, TrialState.FAIL
            attrs["error"] = f"{type(error).__name__}: {error}"[:500]
            _free_memory()
        if values is not None and state == TrialState.PRUNED:
            values = None  # Optuna takes the last report
        if not board.tell(trial, name, state, values, **attrs):
            print(f"trial {number} was given to another worker meanwhile; its result here is dropped", flush=True)
        return attrs.get("error")

    def _evaluate(
        self, board: Board, trial: optuna.Trial, overrides: list[str]
    ) -> tuple[list[float] | None, bool, float]:
        """Objective values, whether the trial was pruned, and the seconds inside the task."""
        plan = self.plan
        if not plan.seeds:
            live = LiveTrial(trial, board.patiently, len(plan.objective.directions) == 1, self._metrics(trial.number))
            job, seconds = self._job(overrides, trial.number, None, live)
            folder = Path(job.hydra_cfg.hydra.runtime.output_dir)  # type: ignore[union-attr]
            self._constrain(board, trial, [folder], live.pruned)
            return (None if live.pruned else plan.objective.values(folder, job.return_value)), live.pruned, seconds
        rows: list[list[float]] = []
        folders, total = [], 0.0
        for index, seed in enumerate(plan.seeds):
            done = plan.folder / str(trial.number) / f"seed_{seed}"
            returned = None
            # An interrupted trial goes on after the seeds that it had finished.
            finished = INTERRUPTED_ATTR in trial.user_attrs and read_result(done / "result.json") is not None
            if not (finished and plan.objective.names):
                job, seconds = self._job([*overrides, f"seed={seed}"], trial.number, seed, current_trial.NoTrial())
                total += seconds
                done = Path(job.hydra_cfg.hydra.runtime.output_dir)  # type: ignore[union-attr]
                returned = job.return_value
            folders.append(done)
            rows.append(plan.objective.values(done, returned))
            if len(plan.objective.directions) == 1:
                value = rows[-1][0]
                board.patiently(lambda value=value, index=index: trial.report(value, index))  # type: ignore[misc]
                if index + 1 < len(plan.seeds) and board.patiently(trial.should_prune):
                    return None, True, total
        self._constrain(board, trial, folders, False)
        board.patiently(lambda: trial.set_user_attr("values_by_seed", rows))
        return plan.objective.over_seeds(rows), False, total

    def _constrain(self, board: Board, trial: optuna.Trial, folders: list[Path], pruned: bool) -> None:
        if pruned and not all((folder / "result.json").exists() for folder in folders):
            return
        for key, off in self.plan.objective.violations(folders).items():
            board.patiently(lambda key=key, off=off: trial.set_constraint(key, off))  # type: ignore[misc]

    def _suggest_more(self, trial: optuna.Trial, chosen: Mapping[str, Any]) -> list[str]:
        """By the user's own function, as hydra-optuna-sweeper calls it: fixed overrides are the trial's user_attrs."""
        if self.plan.custom is None:
            return []
        for key, value in self.plan.space.fixed.items():
            trial.set_user_attr(key, value)
        whitelist = self.context.execution_whitelist
        extend = instantiate({"_target_": self.plan.custom, "_partial_": True}, _execution_whitelist_=whitelist)
        extend(self.master, trial)
        return [f"{key}={value}" for key, value in trial.params.items() if key not in chosen]

    def _job(self, overrides: list[str], number: int, seed: int | None, live: Any) -> tuple[JobReturn, float]:
        if seed is not None:
            overrides = [*overrides, f"hydra.sweep.subdir={number}/seed_{seed}"]
        config = self.context.config_loader.load_sweep_config(
            self.master, [*overrides, *extra_overrides(self.plan.extra, self.master, number)]
        )
        with open_dict(config.hydra.job):
            config.hydra.job.id = f"{self.plan.study_name}-{number}"
            config.hydra.job.num = number
        if (check := getattr(self.task, "check", None)) is not None:
            check(config)  # it was composed from the study's files, which others can write
        seconds = 0.0

        def timed(cfg: DictConfig) -> Any:
            nonlocal seconds
            begun = time.perf_counter()
            try:
                return self.task(cfg)
            finally:
                seconds = time.perf_counter() - begun

        token, study = current_trial.current.set(live), current_trial.study.set(self.plan.study_name)
        try:
            job = run_job(
                hydra_context=self.context,
                task_function=timed,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        finally:
            current_trial.current.reset(token)
            current_trial.study.reset(study)
        returned(job)
        return job, seconds


def extra_overrides(extra: Mapping[str, str], master: DictConfig, number: int) -> list[str]:
    from omegaconf import OmegaConf

    return [
        f"{key}={value.format(number=number)}"
        for key, value in extra.items()
        if OmegaConf.select(master, key.rpartition(".")[0] or key, default=None) is not None
        or ("." not in key and key in master)
    ]


def open_board(plan: StudyPlan) -> Board:
    storage = patiently(lambda: open_storage(plan.storage, plan.folder), PATIENCE)
    study = patiently(
        lambda: optuna.load_study(
            study_name=plan.study_name, storage=storage, pruner=make_pruner(plan.pruner), sampler=_placeholder()
        ),
        PATIENCE,
    )
    lock = ClaimLock(plan.storage, plan.folder, plan.study_name)
    return Board(study, lock, plan.n_trials, plan.retries, plan.stale_after, PATIENCE)


def _placeholder() -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler()  # each trial gets a sampler of its own


def stop_key(leash: str) -> str:
    return f"stop {leash}"


def _take_own_gpu() -> None:
    """One of the node's GPUs, where SLURM starts several workers on a node and shows all of them to each."""
    mine, seen = os.environ.get("SLURM_LOCALID"), os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if mine is not None and len(seen) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[int(mine) % len(seen)]


def _free_memory() -> None:
    """So that one trial's out-of-memory does not become the next one's."""
    gc.collect()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

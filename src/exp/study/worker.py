"""A worker claims a trial, composes its config, runs it and tells the result, until the study has its total.

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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict
from optuna.trial import FrozenTrial, TrialState

from exp.compat.hydra import returned
from exp.compat.optuna import trial_id
from exp.loop import trial as current_trial
from exp.run.files import NoRoom, no_room
from exp.run.result import read_result
from exp.study.failures import SAME_FAILURES, reason_to_stop
from exp.study.live_trial import LiveTrial
from exp.study.plan import StudyPlan
from exp.study.samplers import make_pruner, make_sampler
from exp.work.storage import ClaimLock, open_storage, quiet_optuna, retrying
from exp.work.trial_queue import INTERRUPTED as INTERRUPTED_ATTR
from exp.work.trial_queue import Heartbeat, TrialQueue, code_commit, stop_key

RETRY_SECONDS = 300.0  # seconds without an answer of the storage until a worker gives up
INTERRUPTED = 75  # the code that a run exits with when a signal asked it to end


@dataclass
class TrialWorker:
    """A task function of Hydra, so that launchers can run it. It ignores the config that a launcher passes."""

    plan: StudyPlan
    master: DictConfig
    context: HydraContext
    task: TaskFunction
    name: str
    coordinator: str | None = None  # that launched it on another machine; it says in the storage when to stop

    def named(self, name: str, coordinator: str) -> TrialWorker:
        return replace(self, name=name, coordinator=coordinator)

    def __call__(self, cfg: Any = None) -> int:
        """The number of trials that it ran."""
        plan = self.plan
        _take_own_gpu()
        name = f"{self.name}-{platform.node()}-{os.getpid()}"
        commit = code_commit()
        with quiet_optuna(), Heartbeat(plan.storage, plan.folder, plan.study_name, name, plan.beat_every):
            queue = open_queue(plan)
            errors: list[str | None] = []
            while not self._should_stop(queue) and reason_to_stop(queue.trials(), plan) is None:
                claimed = queue.claim(name, commit=commit, sweep=str(plan.folder))
                if claimed is None:
                    break
                errors.append(self._run_trial(queue, claimed, name))
                if len(errors) == SAME_FAILURES and errors[0] is not None and len(set(errors)) == 1:
                    break  # the coordinator decides whether another worker is to try
        return len(errors)

    def _should_stop(self, queue: TrialQueue) -> bool:
        """A local coordinator holds the other end of our standard input. It closes it to stop us, or when it dies."""
        if self.coordinator is not None and stop_key(self.coordinator) in queue.retrying(
            lambda: queue.study.user_attrs
        ):
            return True
        if os.environ.get("EXP_STUDY_COORDINATOR") != "stdin":
            return False
        ready, _, _ = select.select([sys.stdin], [], [], 0)
        return bool(ready) and not os.read(sys.stdin.fileno(), 1)

    def _metrics(self, number: int) -> Path:
        return self.plan.folder / str(number) / "metrics.jsonl"

    def _run_trial(self, queue: TrialQueue, claimed: FrozenTrial, name: str) -> str | None:
        """Why the trial failed; None where it did not."""
        plan, study, number = self.plan, queue.study, claimed.number
        study.sampler = make_sampler(plan.sampler, plan.study_name, number, plan.space)
        trial = queue.retrying(lambda: optuna.Trial(study, trial_id(claimed)))
        attrs: dict[str, Any] = {}
        try:
            chosen = queue.retrying(lambda: plan.space.suggest(trial))
            overrides = [*plan.space.overrides(chosen), *self._suggest_custom(trial, chosen)]
            values, pruned, task_seconds = self._evaluate(queue, trial, overrides)
            attrs["task_seconds"] = round(task_seconds, 3)
            state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        except SystemExit as error:
            if error.code == INTERRUPTED:
                queue.put_back(claimed, name)
                print(f"trial {number} was interrupted and has saved; it waits to be gone on with", flush=True)
                raise
            values, state = None, TrialState.FAIL
            attrs["error"] = f"SystemExit: {error.code}"
        except Exception as error:
            if no_room(error):  # no fault of the trial's: it keeps its slot for when there is room
                print(f"trial {number} waits to be run again: {error}", flush=True)
                queue.put_back(claimed, name)
                raise NoRoom(str(error)) from error
            traceback.print_exc()
            values, state = None, TrialState.FAIL
            attrs["error"] = f"{type(error).__name__}: {error}"[:500]
            _free_memory()
        if values is not None and state == TrialState.PRUNED:
            values = None  # Optuna takes the last report
        if not queue.tell(trial, name, state, values, **attrs):
            print(f"trial {number} was given to another worker meanwhile; its result here is dropped", flush=True)
        return attrs.get("error")

    def _evaluate(
        self, queue: TrialQueue, trial: optuna.Trial, overrides: list[str]
    ) -> tuple[list[float] | None, bool, float]:
        """Objective values, whether the trial was pruned, and the seconds inside the task."""
        plan = self.plan
        if not plan.seeds:
            live = LiveTrial(trial, queue.retrying, len(plan.objective.directions) == 1, self._metrics(trial.number))
            job, seconds = self._run_job(overrides, trial.number, None, live)
            folder = Path(job.hydra_cfg.hydra.runtime.output_dir)  # type: ignore[union-attr]
            self._record_constraints(queue, trial, [folder], live.pruned)
            return (None if live.pruned else plan.objective.values(folder, job.return_value)), live.pruned, seconds
        rows: list[list[float]] = []
        folders, total = [], 0.0
        for index, seed in enumerate(plan.seeds):
            done = plan.folder / str(trial.number) / f"seed_{seed}"
            returned = None
            # An interrupted trial skips the seeds that it has finished.
            finished = INTERRUPTED_ATTR in trial.user_attrs and read_result(done / "result.json") is not None
            if not (finished and plan.objective.names):
                job, seconds = self._run_job([*overrides, f"seed={seed}"], trial.number, seed, current_trial.NoTrial())
                total += seconds
                done = Path(job.hydra_cfg.hydra.runtime.output_dir)  # type: ignore[union-attr]
                returned = job.return_value
            folders.append(done)
            rows.append(plan.objective.values(done, returned))
            if len(plan.objective.directions) == 1:
                value = rows[-1][0]
                queue.retrying(lambda value=value, index=index: trial.report(value, index))  # type: ignore[misc]
                if index + 1 < len(plan.seeds) and queue.retrying(trial.should_prune):
                    return None, True, total
        self._record_constraints(queue, trial, folders, False)
        queue.retrying(lambda: trial.set_user_attr("values_by_seed", rows))
        return plan.objective.over_seeds(rows), False, total

    def _record_constraints(self, queue: TrialQueue, trial: optuna.Trial, folders: list[Path], pruned: bool) -> None:
        if pruned and not all((folder / "result.json").exists() for folder in folders):
            return
        for key, off in self.plan.objective.violations(folders).items():
            queue.retrying(lambda key=key, off=off: trial.set_constraint(key, off))  # type: ignore[misc]

    def _suggest_custom(self, trial: optuna.Trial, chosen: Mapping[str, Any]) -> list[str]:
        """By the user's own function, as hydra-optuna-sweeper calls it: fixed overrides are the trial's user_attrs."""
        if self.plan.custom is None:
            return []
        for key, value in self.plan.space.fixed.items():
            trial.set_user_attr(key, value)
        whitelist = self.context.execution_whitelist
        extend = instantiate({"_target_": self.plan.custom, "_partial_": True}, _execution_whitelist_=whitelist)
        extend(self.master, trial)
        return [f"{key}={value}" for key, value in trial.params.items() if key not in chosen]

    def _run_job(self, overrides: list[str], number: int, seed: int | None, live: Any) -> tuple[JobReturn, float]:
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


def open_queue(plan: StudyPlan) -> TrialQueue:
    storage = retrying(lambda: open_storage(plan.storage, plan.folder), RETRY_SECONDS)
    study = retrying(
        lambda: optuna.load_study(
            study_name=plan.study_name, storage=storage, pruner=make_pruner(plan.pruner), sampler=_unused_sampler()
        ),
        RETRY_SECONDS,
    )
    lock = ClaimLock(plan.storage, plan.folder, plan.study_name)
    return TrialQueue(study, lock, plan.n_trials, plan.retries, plan.stale_after, RETRY_SECONDS)


def _unused_sampler() -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler()  # each trial gets a sampler of its own


def _take_own_gpu() -> None:
    """Takes one of the node's GPUs, where SLURM starts several workers on a node and shows every GPU to each."""
    local_rank, seen = os.environ.get("SLURM_LOCALID"), os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if local_rank is not None and len(seen) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[int(local_rank) % len(seen)]


def _free_memory() -> None:
    """Frees memory after a failed trial; else the next trial may run out of memory too."""
    gc.collect()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

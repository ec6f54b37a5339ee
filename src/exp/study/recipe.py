"""How a study's worker turns a claimed trial into runs: draws parameters, trains once a seed, reads the objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from exp.compat.optuna import read_once
from exp.errors import ExpError
from exp.loop.trial import NoTrial
from exp.run.result import read_result
from exp.study.equal_trials import SEEDS, taken_over
from exp.study.failures import reason_to_stop
from exp.study.live_trial import LiveTrial
from exp.study.plan import StudyPlan
from exp.study.samplers import make_pruner, make_sampler
from exp.work.hydra_jobs import HydraJobs
from exp.work.trial_queue import INTERRUPTED, TrialQueue
from exp.work.worker import Outcome


@dataclass(frozen=True)
class StudyRecipe:
    """See exp.work.worker.Recipe."""

    plan: StudyPlan

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        return make_sampler(self.plan.sampler, self.plan.study_name, number, self.plan.space)

    def pruner(self) -> optuna.pruners.BasePruner:
        return make_pruner(self.plan.pruner)

    def problem(self, trials: Sequence[FrozenTrial]) -> ExpError | None:
        return reason_to_stop(trials, self.plan)

    def run(self, jobs: HydraJobs, queue: TrialQueue, trial: optuna.Trial) -> Outcome:
        chosen = queue.retrying(lambda: self._draw(trial))
        overrides = [*self.plan.space.overrides(chosen), *self._suggest_custom(jobs, trial, chosen)]
        overrides += extra_overrides(self.plan.extra, jobs.master, trial.number)
        config = self._compose(jobs, trial, overrides)
        if not self.plan.run_equal_trials and (known := taken_over(queue, trial, config)) is not None:
            return known
        if self.plan.seeds:
            values, seconds = self._seeds(jobs, queue, trial, overrides)
        else:
            values, seconds = self._once(jobs, queue, trial, config)
        attrs = {"task_seconds": round(seconds, 3)}
        if values is None:  # Optuna takes the last report
            return Outcome(TrialState.PRUNED, None, attrs)
        return Outcome(TrialState.COMPLETE, values, attrs)

    def _draw(self, trial: optuna.Trial) -> dict[str, Any]:
        with read_once(trial.study):
            return self.plan.space.suggest(trial)

    def _once(
        self, jobs: HydraJobs, queue: TrialQueue, trial: optuna.Trial, config: DictConfig
    ) -> tuple[list[float] | None, float]:
        """Objective values, None where the trial was pruned, and the seconds inside the task."""
        plan, metrics = self.plan, self.plan.folder / str(trial.number) / "metrics.jsonl"
        live = LiveTrial(plan.study_name, trial, queue.retrying, len(plan.objective.directions) == 1, metrics)
        done = jobs.run(config, live)
        self._record_constraints(queue, trial, [done.folder], live.pruned)
        return (None if live.pruned else plan.objective.values(done.folder, done.value)), done.seconds

    def _seeds(
        self, jobs: HydraJobs, queue: TrialQueue, trial: optuna.Trial, overrides: list[str]
    ) -> tuple[list[float] | None, float]:
        plan = self.plan
        rows: list[list[float]] = []
        folders, total = [], 0.0
        for index, seed in enumerate(plan.seeds):
            folder, value = plan.folder / str(trial.number) / f"seed_{seed}", None
            # An interrupted trial skips the seeds that it has finished.
            finished = INTERRUPTED in trial.user_attrs and read_result(folder / "result.json") is not None
            if not (finished and plan.objective.names):
                own = [*overrides, f"seed={seed}", f"hydra.sweep.subdir={trial.number}/seed_{seed}"]
                done = jobs.run(self._compose(jobs, trial, own), NoTrial(plan.study_name))
                total += done.seconds
                folder, value = done.folder, done.value
            folders.append(folder)
            rows.append(plan.objective.values(folder, value))
            if len(plan.objective.directions) == 1:
                first = rows[-1][0]
                queue.retrying(lambda first=first, index=index: trial.report(first, index))  # type: ignore[misc]
                if index + 1 < len(plan.seeds) and queue.retrying(trial.should_prune):
                    return None, total
        self._record_constraints(queue, trial, folders, False)
        queue.retrying(lambda: trial.set_user_attr(SEEDS, rows))
        return plan.objective.over_seeds(rows), total

    def _compose(self, jobs: HydraJobs, trial: optuna.Trial, overrides: list[str]) -> DictConfig:
        return jobs.compose(overrides, f"{self.plan.study_name}-{trial.number}", trial.number)

    def _record_constraints(self, queue: TrialQueue, trial: optuna.Trial, folders: list[Path], pruned: bool) -> None:
        if pruned and not all((folder / "result.json").exists() for folder in folders):
            return
        for key, off in self.plan.objective.violations(folders).items():
            queue.retrying(lambda key=key, off=off: trial.set_constraint(key, off))  # type: ignore[misc]

    def _suggest_custom(self, jobs: HydraJobs, trial: optuna.Trial, chosen: Mapping[str, Any]) -> list[str]:
        """By the user's own function, as hydra-optuna-sweeper calls it: fixed overrides are the trial's user_attrs."""
        if self.plan.custom is None:
            return []
        for key, value in self.plan.space.fixed.items():
            trial.set_user_attr(key, value)
        whitelist = jobs.context.execution_whitelist
        extend = instantiate({"_target_": self.plan.custom, "_partial_": True}, _execution_whitelist_=whitelist)
        extend(jobs.master, trial)
        return [f"{key}={value}" for key, value in trial.params.items() if key not in chosen]


def extra_overrides(extra: Mapping[str, str], master: DictConfig, number: int) -> list[str]:
    return [
        f"{key}={value.format(number=number)}"
        for key, value in extra.items()
        if OmegaConf.select(master, key.rpartition(".")[0] or key, default=None) is not None
        or ("." not in key and key in master)
    ]

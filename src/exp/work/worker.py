"""A worker claims a job, runs it and tells the result, until nothing is left.

It is a task function: any Hydra launcher can run it (SLURM, Ray, joblib), and so can a process of our own.
"""

from __future__ import annotations

import gc
import os
import platform
import select
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from exp.compat.optuna import keep_search_space, opened
from exp.run.files import NoRoom, no_room
from exp.work.detached import STOP
from exp.work.heartbeat import Heartbeat, stop_key
from exp.work.settings import gpus_of
from exp.work.storage import quiet_optuna
from exp.work.trial_queue import WAITS_FOR, TrialQueue, code_commit, open_queue
from exp.work.trial_ranks import RankDied

if TYPE_CHECKING:
    from exp.errors import ExpError
    from exp.work.hydra_jobs import HydraJobs
    from exp.work.settings import WorkPlan

COMMIT = "EXP_COMMIT"  # in the environment of a fork: of the code that it was forked with
INTERRUPTED = 75  # the code that a run exits with when a signal asked it to end
SAME_FAILURES = 3  # first jobs that fail in the same way before a worker gives up


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `values` are None for a pruned or failed one. One that is to wait says for which in `attrs`."""

    state: TrialState
    values: Sequence[float] | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)


class Recipe(Protocol):
    """What a claimed trial means: a study draws its parameters, a table reads its overrides."""

    def sampler(self, number: int) -> optuna.samplers.BaseSampler: ...

    def pruner(self) -> optuna.pruners.BasePruner | None: ...

    def run(self, jobs: HydraJobs, queue: TrialQueue, trial: optuna.Trial) -> Outcome:
        """Trains what the trial says. Whatever it raises fails the trial, but an interruption and a full disk."""
        ...

    def problem(self, trials: Sequence[FrozenTrial]) -> ExpError | None:
        """Why no further job should begin; None: go on. Workers ask before each job, so that a limit is exact."""
        ...


@dataclass
class Worker:
    """It ignores the config that a launcher passes."""

    plan: WorkPlan
    jobs: HydraJobs
    recipe: Recipe
    name: str = "main"
    coordinator: str | None = None  # that launched it on another machine; it says in the storage when to stop

    def named(self, name: str, coordinator: str) -> Worker:
        return replace(self, name=name, coordinator=coordinator)

    def __call__(self, cfg: Any = None) -> int:
        return self.work(lambda: False)

    def work(self, asked_to_stop: Callable[[], bool]) -> int:
        """The number of jobs that it ran, until none is left or it is `asked_to_stop`."""
        plan = self.plan
        _take_own_gpus(self.jobs.processes)
        name = f"{self.name}-{platform.node()}-{os.getpid()}"
        commit = os.environ.get(COMMIT) or code_commit()
        with quiet_optuna(), Heartbeat(plan.storage, plan.folder, plan.study_name, name, plan.beat_every):
            queue = open_queue(plan, self.recipe.pruner())
            errors: list[str | None] = []
            while not asked_to_stop() and not self._should_stop(queue):
                if self.recipe.problem(queue.trials(newest=False)) is not None:
                    break
                claimed = queue.claim(name, commit=commit, sweep=str(plan.folder))
                if claimed is None:
                    break
                errors.append(self._run_trial(queue, claimed, name))
                if len(errors) == SAME_FAILURES and errors[0] is not None and len(set(errors)) == 1:
                    break  # the coordinator decides whether another worker is to try
        return len(errors)

    def _should_stop(self, queue: TrialQueue) -> bool:
        """A local coordinator holds the other end of our standard input. It closes it to stop us, or when it dies."""
        if self.coordinator is not None:  # it was launched, and may have outlived who launched it
            attrs = queue.retrying(lambda: queue.study.user_attrs)
            if stop_key(self.coordinator) in attrs or attrs.get(STOP):
                return True
        if os.environ.get("EXP_STUDY_COORDINATOR") != "stdin":
            return False
        ready, _, _ = select.select([sys.stdin], [], [], 0)
        return bool(ready) and not os.read(sys.stdin.fileno(), 1)

    def _run_trial(self, queue: TrialQueue, claimed: FrozenTrial, name: str) -> str | None:
        """Why the trial failed; None where it did not."""
        study, number = queue.study, claimed.number
        before, study.sampler = study.sampler, self.recipe.sampler(number)
        keep_search_space(before, study.sampler)
        trial = queue.retrying(lambda: opened(study, claimed))
        try:
            outcome = self.recipe.run(self.jobs, queue, trial)
        except SystemExit as error:
            if error.code == INTERRUPTED:
                queue.put_back(claimed, name)
                print(f"trial {number} was interrupted and has saved; it waits to be gone on with", flush=True)
                raise
            outcome = _failed(f"SystemExit: {error.code}")
        except RankDied as error:
            print(f"trial {number}: {error}; it goes on if it has tries left", flush=True)
            queue.put_back(claimed, name, lost=str(error))
            return None
        except Exception as error:
            if no_room(error):  # no fault of the trial's: it keeps its slot for when there is room
                print(f"trial {number} waits to be run again: {error}", flush=True)
                queue.put_back(claimed, name)
                raise NoRoom(str(error)) from error
            traceback.print_exc()
            outcome = _failed(f"{type(error).__name__}: {error}")
            _free_memory()
        if outcome.state == TrialState.WAITING:
            queue.defer(claimed, name, outcome.attrs[WAITS_FOR])
            return None
        if not queue.tell(trial, name, outcome.state, outcome.values, **outcome.attrs):
            print(f"trial {number} was given to another worker meanwhile; its result here is dropped", flush=True)
        return outcome.attrs.get("error")


def _failed(error: str) -> Outcome:
    return Outcome(TrialState.FAIL, None, {"error": error[:500]})


def _take_own_gpus(each: int) -> None:
    """Takes its share of the node's GPUs, where SLURM starts several workers on a node and shows every GPU to each."""
    local_rank, seen = os.environ.get("SLURM_LOCALID"), os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if local_rank is not None and len(seen) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus_of(int(local_rank), each, seen)


def _free_memory() -> None:
    """Frees memory after a failed trial; else the next trial may run out of memory too."""
    gc.collect()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

"""python -m benchmarks.storage [trials ...]

Milliseconds that a study's worker spends on a trial in its storage, by what is stored already (goal: under 30 in
PostgreSQL with 1,000 trials): claim a slot under the lock, load the trial, draw three parameters, tell the result. Once
with a random sampler, which is the storage alone, and once with TPE, which reads all trials. A beating heart and a
config of 40 KB lie in the study, as in a real one. Beside it Optuna alone, by its own `ask` and `tell`. PostgreSQL is a
server of its own, started as root.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
from tests.postgres import server

from exp.compat.optuna import keep_search_space, opened, read_once
from exp.study.objective import Objective
from exp.study.plan import StudyPlan
from exp.study.samplers import make_sampler
from exp.study.space_words import read_space
from exp.work.database import with_driver
from exp.work.heartbeat import Heartbeat
from exp.work.storage import open_storage
from exp.work.trial_queue import open_queue

ROUNDS = 40
PARAMS = {"lr": "tag(log,interval(1e-5,1e-3))", "warmup": "interval(0.0,0.2)", "batch": "choice(8,16,32)"}
SAMPLERS = {"random": "optuna.samplers.RandomSampler", "TPE": "optuna.samplers.TPESampler"}


def plan_of(storage: str | None, folder: Path, sampler: str) -> StudyPlan:
    objective = Objective(("eval/f1",), ("maximize",), "best", "mean", 1.0, {})
    return StudyPlan(
        study_name="s", storage=storage, folder=folder, n_trials=1_000_000, only=None, retries=3, beat_every=10.0,
        stale_after=60.0, max_failure_rate=1.0, sampler={"_target_": sampler, "seed": 1},
        pruner={"_target_": "optuna.pruners.NopPruner"}, seeds=(), space=read_space(PARAMS, None, None, [], {}),
        custom=None, objective=objective, run_equal_trials=True, extra={},
    )  # fmt: skip


def filled(storage: str | None, folder: Path, count: int) -> None:
    study = optuna.create_study(storage=open_storage(storage, folder), study_name="s", direction="maximize")
    for piece in range(2):
        study.set_user_attr(f"config {piece}", "x" * 20_000)
    spread: dict[str, BaseDistribution] = {
        "lr": FloatDistribution(1e-5, 1e-3, log=True),
        "warmup": FloatDistribution(0.0, 0.2),
        "batch": CategoricalDistribution((8, 16, 32)),
    }
    done = [
        create_trial(
            params={"lr": 1e-5 * (1 + i % 99), "warmup": 0.001 * (i % 199), "batch": (8, 16, 32)[i % 3]},
            distributions=spread, value=(i % 97) / 97,
        )
        for i in range(count)
    ]  # fmt: skip
    study.add_trials(done)


def spent(plan: StudyPlan) -> list[float]:
    """Milliseconds of each round."""
    found = []
    queue = open_queue(plan)
    with Heartbeat(plan.storage, plan.folder, plan.study_name, "w", plan.beat_every):
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            mine = queue.claim("w", commit="c", sweep="f")
            assert mine is not None
            before = queue.study.sampler
            queue.study.sampler = make_sampler(plan.sampler, plan.study_name, mine.number, plan.space)
            keep_search_space(before, queue.study.sampler)
            trial = opened(queue.study, mine)
            with read_once(queue.study):
                plan.space.suggest(trial)
            queue.tell(trial, "w", TrialState.COMPLETE, [0.5], task_seconds=1.0)
            found.append(1000 * (time.perf_counter() - begun))
    return found[5:]  # the first rounds read what is stored into the worker's cache


def spent_by_optuna(plan: StudyPlan) -> list[float]:
    """The same of Optuna alone, for one worker: no lock, no attributes, no heartbeat; its own `ask` and `tell`."""
    found = []
    storage = open_storage(None, plan.folder) if plan.storage is None else with_driver(plan.storage)
    sampler = make_sampler(plan.sampler, "s", 0, plan.space)
    study = optuna.load_study(study_name="s", storage=storage, sampler=sampler)
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        trial = study.ask()
        plan.space.suggest(trial)
        study.tell(trial, 0.5)
        found.append(1000 * (time.perf_counter() - begun))
    return found[5:]


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for count in [int(word) for word in sys.argv[1:]] or [0, 1000]:
        for kind in ("PostgreSQL", "SQLite", "journal"):
            with tempfile.TemporaryDirectory() as home, server() as (url, _):
                storage = {"PostgreSQL": url, "SQLite": f"sqlite:///{home}/s.db", "journal": None}[kind]
                filled(storage, Path(home), count)
                for name, sampler in SAMPLERS.items():
                    plan = plan_of(storage, Path(home), sampler)
                    for who, measure in (("exp", spent), ("Optuna alone", spent_by_optuna)):
                        times = sorted(measure(plan))
                        print(f"{kind:10} {count:6} stored, {name:6}, {who:12}: ask + tell median "
                              f"{statistics.median(times):.1f} ms, slowest {times[-1]:.1f} ms", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

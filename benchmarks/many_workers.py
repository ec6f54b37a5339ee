"""python -m benchmarks.many_workers [--workers 64] [--trials 10000] [--through rdb|grpc] [--sampler random|tpe]

Many workers with trials that do nothing, on one study in PostgreSQL: counted exactly, and how many a second. A worker
is the engine's own (exp.work.worker), in a process that is forked, so that all share what they import. It asks whether
to go on, claims, draws three numbers and tells. `grpc` puts Optuna's own proxy in front of the database. The server is
the benchmark's own, started as root.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import queue
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import psycopg2
from optuna.trial import TrialState
from tests.postgres import server

from exp.run.environment import cores
from exp.work.database import with_driver
from exp.work.last_read import slot_holders
from exp.work.settings import WorkPlan
from exp.work.storage import open_storage
from exp.work.worker import Outcome, Worker

PORT = 13_579
LAST = 100  # trials of a worker whose time is told


@dataclass
class Nothing:
    """See exp.work.worker.Recipe. `turns`: of each trial its number, and seconds from told to told."""

    name: str
    turns: list[tuple[int, float]] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        made = optuna.samplers.TPESampler if self.name == "tpe" else optuna.samplers.RandomSampler
        return made(seed=number)

    def pruner(self) -> None:
        return None

    def problem(self, trials: Any) -> None:
        now = time.perf_counter()
        if self.turns and self.turns[-1][1] < 0:
            self.turns[-1] = (self.turns[-1][0], now - self.begun)
        self.begun = now

    def run(self, jobs: Any, of: Any, trial: optuna.Trial) -> Outcome:
        self.turns.append((trial.number, -1.0))
        return Outcome(TrialState.COMPLETE, [sum(trial.suggest_float(key, 0, 1) for key in "xyz")])


def work(plan: WorkPlan, name: str, sampler: str, said: Any) -> None:
    recipe = Nothing(sampler)
    count = Worker(plan, SimpleNamespace(processes=1), recipe, name)()  # type: ignore[arg-type]
    recipe.problem(())
    assert count == len(recipe.turns)
    said.put((recipe.turns, sum(os.times()[:2])))


def create(url: str, folder: Path) -> None:
    optuna.create_study(storage=open_storage(url, folder), study_name="s")


def serve(url: str) -> None:
    """As docs/scaling.md has it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    optuna.storages.run_grpc_proxy_server(optuna.storages.get_storage(with_driver(url)), port=PORT)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--through", choices=["rdb", "grpc"], default="rdb")
    parser.add_argument("--sampler", choices=["random", "tpe"], default="random")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as home, server() as (url, control):
        folder, address = Path(home), url
        _allow_connections(url, 2 * given.workers + 40)  # a worker has its own and the lock's, more while it starts
        control("restart")
        said, proxy = fork.Queue(), None
        made = fork.Process(target=create, args=(url, folder))  # no connection may stand when workers are forked
        made.start()
        made.join()
        if given.through == "grpc":
            proxy = fork.Process(target=serve, args=(url,), daemon=True)
            proxy.start()
            address = f"grpc://localhost:{PORT}"
        plan = WorkPlan("s", address, folder, given.trials, None, 3, 10.0, 60.0)
        workers = [
            fork.Process(target=work, args=(plan, f"w{number}", given.sampler, said), daemon=True)
            for number in range(given.workers)
        ]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        told = [heard(said, workers) for _ in workers]
        spent = time.perf_counter() - begun
        for worker in workers:
            worker.join()
        if proxy is not None:
            proxy.kill()
        check(url, folder, given.trials, [number for turns, _ in told for number, _ in turns])
        busy = 1000 * sum(seconds for _, seconds in told) / given.trials
        last = sorted(seconds for turns, _ in told for _, seconds in turns[-LAST:])
        print(
            f"{given.workers} workers through {given.through}, {given.sampler}: {given.trials} trials, each told once, "
            f"in {spent:.0f} s ({given.trials / spent:.1f} a second) on {cores()} cores; "
            f"{busy:.0f} ms of the workers' processor time a trial; told to told, last {LAST} of each worker: "
            f"median {1000 * statistics.median(last):.0f} ms, slowest {1000 * last[-1]:.0f} ms"
        )


def heard(said: Any, workers: list[Any]) -> Any:
    while True:
        try:
            return said.get(timeout=10)
        except queue.Empty:
            assert not any(worker.exitcode for worker in workers), "a worker has died"


def check(url: str, folder: Path, trials: int, numbers: list[int]) -> None:
    """Every slot is held by one complete trial, and every trial was run by one worker, once."""
    held = optuna.load_study(study_name="s", storage=open_storage(url, folder)).trials
    assert len(held) == len(slot_holders(held)) == trials, (len(held), len(slot_holders(held)))
    assert {trial.state for trial in held} == {TrialState.COMPLETE}
    assert dict.fromkeys(range(trials), 1) == Counter(numbers)


def _allow_connections(url: str, count: int) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True  # ALTER SYSTEM stands in no transaction
    connection.cursor().execute(f"ALTER SYSTEM SET max_connections = {max(100, count)}")
    connection.close()


if __name__ == "__main__":
    main()

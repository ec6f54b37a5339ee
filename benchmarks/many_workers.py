"""python -m benchmarks.many_workers [--workers 64] [--trials 10000] [--through rdb|grpc]

Many workers with trials that do nothing, on one study in PostgreSQL: counted exactly, and how many a second. Each
worker is a process that claims, draws three numbers and tells. `grpc` puts Optuna's own proxy in front of the
database. The server is the benchmark's own, started as root.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from tests.postgres import server

from exp.compat.optuna import trial_id
from exp.work.heartbeat import Heartbeat
from exp.work.settings import WorkPlan
from exp.work.storage import open_storage
from exp.work.trial_queue import open_queue, slot_holders

PORT = 13_579


def work(name: str, url: str, folder: Path, trials: int, said: Any) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    queue = open_queue(WorkPlan("s", url, folder, trials, None, 3, 10.0, 60.0))
    times = []
    with Heartbeat(url, folder, "s", name, 10.0):
        while True:
            begun = time.perf_counter()
            mine = queue.claim(name)
            if mine is None:
                break
            trial = optuna.Trial(queue.study, trial_id(mine))
            value = sum(trial.suggest_float(key, 0, 1) for key in "xyz")
            assert queue.tell(trial, name, TrialState.COMPLETE, [value])
            times.append(time.perf_counter() - begun)
    said.put(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--through", choices=["rdb", "grpc"], default="rdb")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as home, server() as (url, control):
        folder, address = Path(home), url
        _allow_connections(url, 4 * given.workers + 20)  # a worker has three: its own, its heartbeat's, the lock's
        control("restart")
        optuna.create_study(storage=open_storage(url, folder), study_name="s")
        if given.through == "grpc":
            proxied = open_storage(url, folder)
            serve = threading.Thread(
                target=optuna.storages.run_grpc_proxy_server, args=(proxied,), kwargs={"port": PORT}, daemon=True
            )
            serve.start()
            time.sleep(2)
            address = f"grpc://localhost:{PORT}"
        said = spawn.Queue()
        begun = time.perf_counter()
        workers = [
            spawn.Process(target=work, args=(f"w{n}", address, folder, given.trials, said))
            for n in range(given.workers)
        ]
        for worker in workers:
            worker.start()
        times = [one for _ in workers for one in said.get()]
        for worker in workers:
            worker.join()
        spent = time.perf_counter() - begun
        study = optuna.load_study(study_name="s", storage=open_storage(url, folder))
        held = slot_holders(study.trials)
        assert len(held) == given.trials == len(times), (len(held), len(times))
        assert {trial.state for trial in study.trials} == {TrialState.COMPLETE} and len(study.trials) == given.trials
        print(
            f"{given.workers} workers through {given.through}: {given.trials} trials, each told once, in {spent:.0f} s "
            f"({given.trials / spent:.1f} a second); claim to told median {1000 * statistics.median(times):.0f} ms, "
            f"slowest {1000 * max(times):.0f} ms"
        )


def _allow_connections(url: str, count: int) -> None:
    import psycopg2

    connection = psycopg2.connect(url)
    connection.autocommit = True  # ALTER SYSTEM stands in no transaction
    connection.cursor().execute(f"ALTER SYSTEM SET max_connections = {count}")
    connection.close()


if __name__ == "__main__":
    main()

"""python -m benchmarks.random_kills [--kills 50] [--seed 1] [--trials 120] [--table] [--processes 2]

SIGKILL at random moments, `--kills` times: of a worker, of the process whose forks they are, of the coordinator, of all
of them, or of one process of a trial that several make. What is gone is started again by the same command. At the end
every slot has to be complete, no job told twice, no process left, and the best as the storage says. The objective takes
milliseconds; the journal is the storage.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from tests.study.conftest import environment, load, stub_command

from exp.work.last_read import slot_holders

JOBS = 2
COMPLETE = 1  # Optuna's number of the state


def study_command(home: Path, trials: int, processes: int) -> list[str]:
    _, *rest = stub_command(
        "x=interval(0.0,1.0)", "hydra.sweeper.direction=maximize", "hydra.sweeper.study_name=s", "seconds=0.1",
        f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={JOBS}", "hydra.sweeper.retries=1000",
        "hydra.sweeper.beat_every=0.3", "hydra.sweeper.stale_after=2", f"hydra.sweeper.processes_per_trial={processes}",
    )  # fmt: skip
    return [sys.executable, *rest]  # not a fork of the tests' server, whose children nobody would find


def table_command(home: Path, trials: int, processes: int) -> list[str]:
    from tests.analysis.tables.made import write_table

    overrides = ["tracker=none", "model=bert_tiny", *([f"distributed.processes={processes}"] if processes > 1 else [])]
    path = write_table(home / "t.yaml", seeds=list(range(trials // 4)), overrides=overrides)
    script = (
        "from pathlib import Path; from tests.training.test_table_runs import go; "
        "from tests.analysis.tables.made import make_plan; "
        f"go(make_plan({path!r}, Path('multirun/s')), Path('multirun/s').absolute(), "
        f"'hydra.sweeper.n_jobs={JOBS}', 'hydra.sweeper.retries=1000', 'hydra.sweeper.processes_per_trial={processes}')"
    )
    return [sys.executable, "-c", script]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--processes", type=int, default=1, help="of each trial")
    given = parser.parse_args()
    dice = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        env = environment() | {"STUB_LOG": str(home / "stub.log"), "STUB_SECONDS": "0.3"}
        env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), env["PYTHONPATH"]])
        command = table_command(home, given.trials, given.processes)
        if not given.table:
            command = study_command(home, given.trials, given.processes)
        sent = Counter[str]()
        starts = 0
        coordinator: subprocess.Popen[bytes] | None = None
        while True:
            if coordinator is None or coordinator.poll() is not None:
                if coordinator is not None and coordinator.returncode == 0:
                    break
                coordinator, starts = (
                    subprocess.Popen(command, cwd=home, env=env, stdout=subprocess.DEVNULL),
                    starts + 1,
                )
            if sum(sent.values()) >= given.kills:
                time.sleep(0.2)
                continue
            if not workers_of(coordinator)[1] and dice.random() > 0.02:  # some come before they are there
                time.sleep(0.2)
                continue
            time.sleep(dice.uniform(0.0, 3.0))
            sent += Counter(hit(coordinator, dice, given.processes))
        check(home, given.trials, given.table)
        told = ", ".join(f"{count} of {what}" for what, count in sent.items())
        print(f"{sum(sent.values())} kills ({told}), {starts} starts: {given.trials} jobs, each complete once")


def hit(coordinator: subprocess.Popen[bytes], dice: random.Random, processes: int) -> list[str]:
    """Kills, and says what."""
    servers, workers = workers_of(coordinator)
    if coordinator.poll() is not None:
        return []
    kinds = ["a worker", "a worker", "the server of the forks", "the coordinator", "all"]
    what = dice.choice(kinds if processes == 1 else [*kinds, "a process of a trial", "a process of a trial"])
    victims = [psutil.Process(coordinator.pid)] if what == "the coordinator" else []
    if what == "a worker" and workers:
        victims = [dice.choice(workers)]
    elif what == "the server of the forks":
        victims = servers
    elif what == "a process of a trial":
        end = time.monotonic() + 20
        while not (below := ranks_of(workers_of(coordinator)[1])) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(dice.choice((0.0, dice.uniform(0.0, 2.0))))  # some die before they have begun
        victims = [dice.choice(below)] if below else []
    elif what == "all":
        victims = [psutil.Process(coordinator.pid), *servers, *workers]
    for victim in victims:
        try:
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    return [what] if victims else []


def workers_of(coordinator: subprocess.Popen[bytes]) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """The process whose forks they are, and they."""
    try:
        servers = psutil.Process(coordinator.pid).children()
        return servers, [worker for server in servers for worker in server.children()]
    except psutil.NoSuchProcess:
        return [], []


def ranks_of(workers: list[psutil.Process]) -> list[psutil.Process]:
    return [one for worker in workers for one in _children(worker) if "spawn_main" in " ".join(_line(one))]


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def check(home: Path, trials: int, table: bool) -> None:
    study = load(home / "multirun" / "s")
    held = slot_holders(study.trials)
    assert len(held) == trials, len(held)
    lost = {
        trial.number: trial.user_attrs.get("error", trial.state.name) for trial in held if trial.state.value != COMPLETE
    }
    assert not lost, lost
    told = Counter(
        log["trial_id"]
        for log in map(json.loads, (home / "multirun" / "s" / "journal.log").read_text().splitlines())
        if log["op_code"] == 6 and log["state"] == COMPLETE
    )
    assert len(told) == trials and set(told.values()) == {1}, told.most_common(3)
    if table:
        tags = Counter(trial.user_attrs["job"]["tag"] for trial in held)
        assert set(tags.values()) == {1}
    else:
        best = max(held, key=lambda trial: trial.value or 0.0)
        assert study.best_trial.number == best.number
        assert (home / "multirun" / "s" / "best").resolve() == home.resolve() / "multirun" / "s" / str(best.number)
    end = time.monotonic() + 20
    while left := [p.pid for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(home.resolve())]:
        assert time.monotonic() < end, f"left behind: {left}"
        time.sleep(0.2)


if __name__ == "__main__":
    main()

"""SLURM for real, a cluster of one node: sweeps, a study's workers, jobs that are cancelled and requeued."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from exp.run.events import read_events
from tests.outside import option, project
from tests.study.conftest import load

from .conftest import Slurm, record, start, until

JOB = ["hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1"]
LONG = ["experiment=debug", "max_steps=800", "logging_steps=100", "eval_strategy=steps", "eval_steps=100"]
STUDY = ["hydra/sweeper=study", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "hydra.sweeper.study_name=s",
         "hydra.sweeper.beat_every=2", "hydra.sweeper.stale_after=10", "hydra.sweeper.pictures=false"]  # fmt: skip


def running(folder: Path) -> dict[int, str]:
    """The SLURM job of each trial that has evaluated its run for a first time."""
    if not (folder / "journal.log").exists():
        return {}
    study = load(folder)
    jobs = {name: beat["slurm"] for name, beat in study.user_attrs.items() if name.startswith("worker ")}
    return {
        trial.number: jobs[f"worker {trial.user_attrs['worker']}"]
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if "worker" in trial.user_attrs and len(read_events(folder / str(trial.number) / "metrics.jsonl")) > 1
    }


def steps(folder: Path) -> list[int]:
    return [event.step for event in read_events(folder / "metrics.jsonl") if "eval/accuracy" in event.metrics]


def test_a_plain_sweep_is_a_job_a_run(slurm: Slurm, entry: Any, tmp_path: Path) -> None:
    done = entry("train", "--multirun", "experiment=debug", "seed=1,2", "hydra.sweep.dir=sweep", *JOB)
    assert done.returncode == 0, done.stdout + done.stderr
    records = [record(tmp_path / "sweep" / str(number)) for number in (0, 1)]
    assert [found["status"] for found in records] == ["completed"] * 2
    assert [found["seed"] for found in records] == [1, 2]


def test_a_study_ends_whole_with_a_cancelled_and_a_requeued_job(slurm: Slurm, tmp_path: Path) -> None:
    words = [*LONG, *STUDY, *JOB, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2"]
    coordinator = start("train", "--multirun", *words, cwd=tmp_path)
    folder = tmp_path / "multirun" / "s"
    hit = until(lambda: found if len(found := running(folder)) == 2 else None)
    (cancelled, first), (requeued, second) = hit.items()
    slurm.ask("scancel", first)
    slurm.ask("scancel", "--signal=USR1", second)
    output, _ = coordinator.communicate(timeout=300)
    assert coordinator.returncode == 0, output
    trials = load(folder).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4  # none lost, none under a second number
    assert {n for n in range(4) if trials[n].user_attrs.get("interrupted")} == {cancelled, requeued}
    for number in range(4):
        assert steps(folder / str(number)) == list(range(100, 801, 100))  # gone on with, not begun again
        assert sorted(trials[number].intermediate_values) == list(range(1, 9))
        assert record(folder / str(number))["status"] == "completed"
    assert "resumed from" in (folder / str(requeued) / "train.log").read_text()
    log = (folder / ".submitit" / second / f"{second}_0_log.out").read_text()
    assert log.count("Starting with") == 2  # SLURM started the job a second time
    until(lambda: not slurm.jobs(), 60)


def test_two_workers_on_a_node(slurm: Slurm, entry: Any, tmp_path: Path) -> None:
    """A job that holds a whole node runs a worker for each of its tasks."""
    done = entry("train", "--multirun", "experiment=debug", *STUDY, *JOB, "hydra.launcher.tasks_per_node=2",
                 "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    trials = load(tmp_path / "multirun" / "s").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2


def test_workers_know_the_projects_parts(slurm: Slurm, entry: Any, tmp_path: Path) -> None:
    """Code that lies in the folder in which one stands, and nowhere else."""
    project(tmp_path)
    option(tmp_path, "hydra/sweeper/sampler/lowest.yaml", "_target_: acme.search.Lowest\n")
    words = [*STUDY, "experiment=debug", "model=mean", "tracker=lines", f"tracker.lines.file={tmp_path}/lines.txt",
             "hydra/sweeper/sampler=lowest", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2"]  # fmt: skip
    done = entry("train", "--multirun", *words, *JOB)
    assert done.returncode == 0, done.stdout + done.stderr
    folders = [tmp_path / "multirun" / "s" / str(number) for number in (0, 1)]
    assert [trial.state for trial in load(folders[0].parent).trials] == [TrialState.COMPLETE] * 2
    assert [[one["name"] for one in record(folder)["trusted"]] for folder in folders] == [["acme"]] * 2
    assert (tmp_path / "lines.txt").read_text().count("finish completed") == 2


def test_a_table_on_two_workers(slurm: Slurm, entry: Any, tmp_path: Path) -> None:
    small = "overrides=[data.max_train_samples=64,data.max_eval_samples=64,num_train_epochs=1]"
    done = entry("table", "offline_demo", "jobs=2", "cells=[AdamW/*]", "seeds=[1,2,3,4]", small, *JOB)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "multirun" / "tables" / "offline_demo"
    records = [record(path.parent) for path in folder.glob("runs/*/run.json")]
    assert [found["status"] for found in records] == ["completed"] * 4
    study = load(folder)
    beats = [beat for name, beat in study.user_attrs.items() if name.startswith("worker ")]
    assert len({beat["slurm"] for beat in beats}) == 2
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4


def test_a_study_left_to_slurm_is_attached_to(slurm: Slurm, entry: Any, tmp_path: Path) -> None:
    words = ["--multirun", "experiment=debug", *STUDY, *JOB, "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1"]
    left = entry("train", *words, "--detach")
    assert left.returncode == 0, left.stdout + left.stderr
    assert "left to the background" in left.stdout
    assert len(slurm.jobs()) == 1  # SLURM has its worker
    attached = entry("train", *words)
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert "it runs in the background" in attached.stdout
    trials = load(tmp_path / "multirun" / "s").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert len({trial.user_attrs["worker"] for trial in trials}) == 1


def test_ctrl_c_twice_ends_the_jobs(slurm: Slurm, tmp_path: Path) -> None:
    words = [*LONG, *STUDY, *JOB, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1"]
    coordinator = start("train", "--multirun", *words, cwd=tmp_path)
    folder = tmp_path / "multirun" / "s"
    until(lambda: running(folder))
    coordinator.send_signal(signal.SIGINT)
    until(lambda: any(name.startswith("stop ") for name in load(folder).user_attrs))
    coordinator.send_signal(signal.SIGINT)
    output, _ = coordinator.communicate(timeout=60)
    assert coordinator.returncode == 130, output
    until(lambda: not slurm.jobs(), 60)
    (trial,) = until(lambda: [t for t in load(folder).trials if t.state == TrialState.WAITING], 30)
    assert trial.user_attrs["interrupted"] == 1  # the same command goes on with it
    assert record(folder / "0")["status"] == "interrupted"


SCRIPT = """#!/bin/bash
#SBATCH --signal=USR1@60 --requeue --open-mode=append --output={folder}/job.log
srun {python} -m exp.train {words} resume=auto
code=$?
[ $code -eq 75 ] && scontrol requeue $SLURM_JOB_ID
exit $code
"""


def test_a_single_run_that_is_requeued_goes_on(slurm: Slurm, tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(SCRIPT.format(folder=tmp_path, python=sys.executable, words=" ".join(LONG)))
    job = slurm.ask("sbatch", "--parsable", "--mem=1G", str(script), cwd=tmp_path).strip()
    (folder,) = until(
        lambda: [path.parent for path in tmp_path.glob("outputs/*/*/metrics.jsonl") if steps(path.parent)]
    )
    slurm.ask("scancel", "--signal=USR1", job)
    until(lambda: record(folder)["status"] == "interrupted", 60)
    until(lambda: record(folder)["status"] == "completed", 90)
    assert [path.parent for path in tmp_path.glob("outputs/*/*/run.json")] == [folder]
    assert record(folder)["status"] == "completed", (tmp_path / "job.log").read_text()
    assert steps(folder) == list(range(100, 801, 100))
    until(lambda: not slurm.jobs())  # a run is complete before its job has ended


def test_what_slurm_cannot_give_is_one_message(slurm: Slurm, entry: Any, tmp_path: Path) -> None:
    for words in (["seed=1,2"], [*STUDY, "hydra.sweeper.n_jobs=2"]):
        done: subprocess.CompletedProcess[str] = entry(
            "train", "--multirun", "experiment=debug", *words, *JOB, "hydra.launcher.gpus_per_node=8"
        )
        assert done.returncode == 2, done.stdout + done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("exp: ")]
        assert "sbatch: error" in line and "not available" in line
        assert "Traceback" not in done.stderr
    assert not slurm.jobs()

"""What a study survives: killed workers, two coordinators, failing trials, a full disk, Ctrl-C, a database restart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from exp.work.database import with_driver
from exp.work.last_read import slot_holders
from tests.postgres import Postgres

from .conftest import Sweep, environment, load, stub_command, until

X = "x=interval(0.0,1.0)"
UP = "hydra.sweeper.direction=maximize"
NAMED = "hydra.sweeper.study_name=s"
OFTEN = ("hydra.sweeper.beat_every=1", "hydra.sweeper.stale_after=10")  # signs of life


def start(folder: Path, *words: str, command: list[str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command or stub_command(*words),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(folder: Path) -> list[int]:
    return [int(path.parent.name) for path in folder.glob("[0-9]*/done")]


def assert_whole(study: optuna.Study, folder: Path, total: int) -> None:
    """Exactly `total` slots, all complete, each finished once; what a dead worker left is in no slot."""
    held = slot_holders(study.trials)
    assert len(held) == total
    assert {trial.state for trial in held} == {TrialState.COMPLETE}
    assert sorted(finished(folder)) == sorted(trial.number for trial in held)
    assert all((folder / str(trial.number) / "starts").read_text().count("\n") == 1 for trial in held)
    retried = {trial.user_attrs["retry_of"]: trial for trial in study.trials if "retry_of" in trial.user_attrs}
    for trial in study.trials:
        if trial not in held and trial.params:
            assert retried[trial.number].params == trial.params  # tried again with the same values
    best = max(held, key=lambda trial: trial.value)
    assert study.best_trial.number == best.number
    assert (folder / "best").resolve() == folder / str(best.number)


def test_a_killed_worker_costs_one_trial(sweep: Sweep, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = sweep(X, UP, NAMED, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2", "fault=kill_once", f"mark={mark}")
    folder = tmp_path / "multirun" / "s"
    study = load(folder)
    assert len(study.trials) == 7
    assert "died (signal 9)" in done.stdout
    assert_whole(study, folder, 6)


def test_an_interrupted_trial_goes_on_under_its_number(sweep: Sweep, tmp_path: Path) -> None:
    sweep(X, UP, NAMED, "hydra.sweeper.n_trials=3", "fault=interrupt_once", f"mark={tmp_path / 'mark'}")
    folder = tmp_path / "multirun" / "s"
    trials = load(folder).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert [trial.user_attrs.get("interrupted") for trial in trials] == [1, None, None]
    assert (folder / "0" / "starts").read_text().count("\n") == 2
    assert list(trials[0].intermediate_values) == [1, 2, 3]  # the third evaluation is not told as a first


def test_an_interrupted_trial_keeps_its_finished_seeds(sweep: Sweep, tmp_path: Path) -> None:
    sweep(X, NAMED, "hydra.sweeper.objective=eval/f1", "hydra.sweeper.n_trials=1", "fault=interrupt_once",
          f"mark={tmp_path / 'mark'}", "hydra.sweeper.seeds=[1,2]", "fault_above=2", "bytes=1.0")  # fmt: skip
    folder = tmp_path / "multirun" / "s"
    (trial,) = load(folder).trials
    assert trial.state == TrialState.COMPLETE and trial.user_attrs["interrupted"] == 1
    counts = [(folder / "0" / f"seed_{seed}" / "starts").read_text().count("\n") for seed in (1, 2)]
    assert counts == [1, 2]
    values = [float((folder / "0" / f"seed_{seed}" / "done").read_text()) for seed in (1, 2)]
    assert trial.value == pytest.approx(sum(values) / 2)


@pytest.mark.slow
def test_a_trial_that_kills_every_worker_is_given_up(sweep: Sweep, tmp_path: Path) -> None:
    sweep("x=choice(0.2,0.8)", UP, NAMED, "hydra.sweeper.enqueue=[{x:0.8},{x:0.2},{x:0.2}]", "fault=kill",
          "hydra.sweeper.n_trials=3", "fault_above=0.5", "hydra.sweeper.retries=1",
          "hydra.sweeper.max_failure_rate=0.5")  # fmt: skip
    held = slot_holders(load(tmp_path / "multirun" / "s").trials)
    assert sorted(trial.state.name for trial in held) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert len(load(tmp_path / "multirun" / "s").trials) == 4  # the poison twice


@pytest.mark.slow
def test_everything_killed_then_started_again(sweep: Sweep, tmp_path: Path) -> None:
    words = [X, UP, NAMED, "hydra.sweeper.n_trials=10", "hydra.sweeper.n_jobs=2", "seconds=0.15"]
    folder = tmp_path / "multirun" / "s"
    coordinator = start(tmp_path, *words)
    until(lambda: len(finished(folder)) >= 3)
    coordinator.kill()
    pids = {int(path.read_text().split()[0]) for path in folder.glob("[0-9]*/starts")}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    coordinator.wait()
    before = load(folder)
    assert any(trial.state == TrialState.RUNNING for trial in before.trials)
    complete = {trial.number: trial.value for trial in before.trials if trial.state == TrialState.COMPLETE}
    done = sweep(*words)
    study = load(folder)
    assert "goes on after" in done.stdout
    assert {n: study.trials[n].value for n in complete} == complete  # nothing was run again
    # A trial may have finished its work and died before it told; that work is repeated, and only that.
    for number in finished(folder):
        if number not in {trial.number for trial in slot_holders(study.trials)}:
            (folder / str(number) / "done").unlink()
    assert_whole(study, folder, 10)


def test_two_coordinators_share_one_total(sweep: Sweep, tmp_path: Path) -> None:
    words = [X, UP, NAMED, "hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=2", "seconds=0.05"]
    both = [start(tmp_path, *words), start(tmp_path, *words)]
    for process in both:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    folder = tmp_path / "multirun" / "s"
    study = load(folder)
    assert len(study.trials) == 12
    assert_whole(study, folder, 12)
    coordinators = {trial.user_attrs["worker"] for trial in study.trials}
    assert len(coordinators) >= 3


@pytest.mark.slow
def test_a_dead_coordinator_leaves_no_workers(tmp_path: Path) -> None:
    coordinator = start(tmp_path, X, UP, NAMED, "hydra.sweeper.n_trials=500", "seconds=0.02")
    folder = tmp_path / "multirun" / "s"
    until(lambda: len(finished(folder)) >= 1)
    coordinator.kill()
    coordinator.wait()
    pid = int(next(folder.glob("[0-9]*/starts")).read_text().split()[0])
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2], 20)


@pytest.mark.slow
def test_failures_count_and_too_many_end_the_study(sweep: Sweep, tmp_path: Path) -> None:
    words = [X, UP, NAMED, "hydra.sweeper.n_jobs=1", "fault=raise", "hydra/sweeper/sampler=random",
             "hydra.sweeper.sampler.seed=1"]  # fmt: skip
    done = sweep(*words, "hydra.sweeper.n_trials=10", "fault_above=0.5", "seconds=0", check=False)
    assert done.returncode != 0
    trials = load(tmp_path / "multirun" / "s").trials
    # The worker itself stops at the limit, however late its coordinator looks.
    assert sum(trial.state == TrialState.FAIL for trial in trials) == 4
    assert trials[-1].state == TrialState.FAIL
    assert "more than max_failure_rate=0.3" in done.stderr
    assert "RuntimeError: x is too large" in done.stderr


def test_an_error_that_every_trial_meets_ends_at_once(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(X, UP, NAMED, "hydra.sweeper.n_trials=50", "fault=always", check=False)
    assert re.search(r"the first \d trials all failed in the same way", done.stderr)
    assert len(load(tmp_path / "multirun" / "s").trials) <= 9


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, which is a full disk")
@pytest.mark.parametrize("n_jobs", [0, 1])
def test_a_full_disk_costs_no_trial(n_jobs: int, sweep: Sweep, tmp_path: Path) -> None:
    room = tmp_path / "room"
    words = ["x=choice(0.2,0.8)", UP, NAMED, "hydra.sweeper.enqueue=[{x:0.2},{x:0.8},{x:0.2}]", f"mark={room}",
             "hydra.sweeper.n_trials=3", f"hydra.sweeper.n_jobs={n_jobs}", "fault=disk", "fault_above=0.5"]  # fmt: skip
    full = sweep(*words, check=False)
    assert full.returncode != 0 and "No space left" in full.stderr
    states = [trial.state.name for trial in load(tmp_path / "multirun" / "s").trials]
    assert states == ["COMPLETE", "WAITING", "WAITING"]
    room.write_text("")
    sweep(*words)
    assert [trial.state.name for trial in load(tmp_path / "multirun" / "s").trials] == ["COMPLETE"] * 3


@pytest.mark.slow
def test_a_deleted_folder_ends_the_study_with_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "multirun" / "s"
    coordinator = start(tmp_path, X, UP, NAMED, *OFTEN, "hydra.sweeper.n_trials=500", "seconds=0.05")
    until(lambda: len(finished(folder)) >= 1)
    gone = folder.rename(tmp_path / "deleted")  # in one act, as no worker could write in between
    output, _ = coordinator.communicate(timeout=90)
    assert coordinator.returncode != 0 and "is gone. Was its folder deleted?" in output
    pid = int(next(gone.glob("[0-9]*/starts")).read_text().split()[0])
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2], 20)


@pytest.mark.slow
def test_ctrl_c_once_finishes_running_trials_twice_stops(tmp_path: Path) -> None:
    folder = tmp_path / "multirun" / "s"
    words = [X, UP, NAMED, "hydra.sweeper.n_trials=50", "seconds=0.3"]
    once = start(tmp_path, *words)
    until(lambda: len(list(folder.glob("[0-9]*/starts"))) >= 1)
    once.send_signal(signal.SIGINT)
    output, _ = once.communicate(timeout=60)
    assert once.returncode == 130, output
    states = [trial.state for trial in load(folder).trials]
    assert set(states) == {TrialState.COMPLETE} and len(states) < 50
    twice = start(tmp_path, *words, "hydra.sweep.dir=multirun/s")
    until(lambda: len(list(folder.glob("[0-9]*/starts"))) > len(states))
    twice.send_signal(signal.SIGINT)
    assert any("Ctrl-C again stops them now" in line for line in twice.stdout or ())  # reads as far as that line
    twice.send_signal(signal.SIGINT)
    output, _ = twice.communicate(timeout=60)
    assert twice.returncode == 130, output
    trials = load(folder).trials
    assert trials[len(states)].state == TrialState.FAIL and trials[-1].state == TrialState.WAITING


def test_ctrl_c_is_heeded_by_trials_in_the_coordinator(tmp_path: Path) -> None:
    folder = tmp_path / "multirun" / "s"
    once = start(tmp_path, X, UP, NAMED, "hydra.sweeper.n_trials=50", "seconds=0.3", "hydra.sweeper.n_jobs=0")
    until(lambda: len(list(folder.glob("[0-9]*/starts"))) >= 1)
    once.send_signal(signal.SIGINT)
    output, _ = once.communicate(timeout=60)
    assert once.returncode == 130 and "Traceback" not in output, output
    states = [trial.state for trial in load(folder).trials]
    assert set(states) == {TrialState.COMPLETE} and len(states) < 50


def test_half_a_line_in_the_journal_is_mended(sweep: Sweep, tmp_path: Path) -> None:
    words = [X, UP, NAMED, "hydra.sweeper.n_jobs=0"]
    sweep(*words, "hydra.sweeper.n_trials=2")
    with (tmp_path / "multirun/s/journal.log").open("a") as file:
        file.write('{"op_code": 4, "wor')
    sweep(*words, "hydra.sweeper.n_trials=3")
    assert len(load(tmp_path / "multirun" / "s").trials) == 3


@pytest.mark.slow
def test_a_database_that_goes_away_for_a_while(postgres: Postgres, tmp_path: Path) -> None:
    url, control = postgres
    words = [X, UP, NAMED, "hydra.sweeper.n_trials=24", "hydra.sweeper.n_jobs=2", "seconds=0.05",
             f"hydra.sweeper.storage={url}"]  # fmt: skip
    homes = [tmp_path / "one", tmp_path / "two"]  # two sweep folders, as on two machines
    for home in homes:
        home.mkdir()
    processes = [start(home, *words) for home in homes]
    until(lambda: sum(len(finished(home / "multirun" / "s")) for home in homes) >= 4)
    control("stop")
    time.sleep(60 if os.environ.get("EXP_LONG_TESTS") else 3)
    control("start")
    for process in processes:
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output
    study = optuna.load_study(study_name="s", storage=with_driver(url))
    held = slot_holders(study.trials)
    assert len(held) == 24 and {trial.state for trial in held} == {TrialState.COMPLETE}
    assert all(finished(home / "multirun" / "s") for home in homes)

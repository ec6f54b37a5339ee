"""Submit and leave, attach again, list, stop."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import TrialState

from exp import runs
from exp.config.command_line import read
from exp.errors import ExpError
from exp.work.studies import open_study, state_of, study_folders

from .conftest import Sweep, environment, load, stub_command, until
from .test_study_faults import assert_whole

WORDS = ["x=interval(0.0,1.0)", "hydra.sweeper.direction=maximize", "hydra.sweeper.study_name=s",
         "hydra.sweeper.beat_every=0.3", "hydra.sweeper.stale_after=30"]  # fmt: skip
DETACH = "hydra.sweeper.detach=true"


def detach(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(stub_command(*WORDS, *words, DETACH), cwd=folder, env=environment(), capture_output=True,
                          text=True, timeout=240)  # fmt: skip


@pytest.mark.slow
def test_a_detached_study_is_attached_to_and_counted_once(sweep: Sweep, tmp_path: Path) -> None:
    words = ["hydra.sweeper.n_trials=6", "seconds=0.3"]
    done = detach(tmp_path, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left to the background" in done.stdout and "exp runs stop s" in done.stdout
    folder = tmp_path / "multirun" / "s"
    assert state_of(folder).detached
    again = detach(tmp_path, *words)
    assert again.returncode != 0 and "has been left to the background before" in again.stderr
    attached = sweep(*WORDS, *words)
    assert "it runs in the background" in attached.stdout and "trial 5 complete" in attached.stdout
    assert_whole(load(folder), folder, 6)
    assert len({trial.user_attrs["worker"] for trial in load(folder).trials}) == 1  # attaching adds no worker
    until(lambda: not state_of(folder).detached)
    assert "6 complete" in (folder / "coordinator.log").read_text()  # it wrote its report too


@pytest.mark.slow
def test_a_detached_study_is_listed_and_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sweep: Sweep
) -> None:
    assert detach(tmp_path, "hydra.sweeper.n_trials=500", "seconds=0.2").returncode == 0
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "multirun" / "s"
    until(lambda: len(list(folder.glob("[0-9]*/starts"))) > 0)
    assert runs.main(["studies"]) == 0
    told = capsys.readouterr().out
    assert "s      search" in told and "1 running" in told and "1 in the background" in told
    assert runs.main(["stop", "s"]) == 0
    states = Counter(trial.state for trial in load(folder).trials)
    assert states[TrialState.RUNNING] == 0 and len(load(folder).trials) < 100
    with pytest.raises(SystemExit):
        runs.main(["stop", "s"])
    assert "nothing of the study s runs" in capsys.readouterr().err
    total = len(load(folder).trials)
    sweep(
        *WORDS, f"hydra.sweeper.n_trials={total}", "seconds=0.2", "hydra.sweeper.n_jobs=0"
    )  # the same command goes on
    assert {trial.state for trial in load(folder).trials} <= {TrialState.COMPLETE, TrialState.FAIL}


def test_a_study_in_a_guarded_database_is_listed_with_the_mend(tmp_path: Path) -> None:
    folder = tmp_path / "multirun" / "far"
    folder.mkdir(parents=True)
    (folder / "study.json").write_text('{"study_name": "far", "storage": "postgresql://me:<hidden>@host/x"}')
    assert list(study_folders([tmp_path / "multirun"])) == [folder]
    found = state_of(folder)
    assert found.problem is not None and "give its address with storage=" in found.problem
    (folder / "study.json").write_text('{"study_name": "far"}')
    with pytest.raises(ExpError, match=r"study far was kept in .* say where it is with storage="):
        open_study(folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--detach"], "--detach leaves a search or a table to the background: add --multirun")],
)
def test_what_cannot_be_detached(words: list[str], message: str) -> None:
    with pytest.raises(ExpError, match=message):
        read(words)


def test_nothing_is_left_behind_without_workers(sweep: Sweep) -> None:
    with pytest.raises(ExpError, match="n_jobs=0 has none"):
        sweep(*WORDS, "hydra.sweeper.n_jobs=0", DETACH)


@pytest.mark.parametrize("word", ["++hydra.sweeper.detach=True", DETACH])
def test_what_was_left_behind_leaves_nothing_behind(word: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise AssertionError("it would start itself without end")

    monkeypatch.setattr("exp.study.sweep.leave_to_background", leave)
    with pytest.raises(AssertionError):
        sweep(*WORDS, "hydra.sweeper.n_trials=1", word)
    monkeypatch.setenv("EXP_DETACHED", "1")
    assert "1 complete" in sweep(*WORDS, "hydra.sweeper.n_trials=1", word).stdout

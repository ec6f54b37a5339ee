"""Trials that are equal in config and seeds: one runs, the others take what it recorded."""

from __future__ import annotations

import csv
from pathlib import Path

from optuna.trial import TrialState, create_trial

from exp.study.equal_trials import CONFIG, EQUAL_TO, _holder

from .conftest import Sweep, load

TWICE = ["x=choice(0.2,0.5)", "hydra.sweeper.direction=maximize", "hydra.sweeper.enqueue=[{x:0.2},{x:0.5},{x:0.2}]"]
NAMED = "hydra.sweeper.study_name=s"
HERE = "hydra.sweeper.n_jobs=0"


def runs(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("[0-9]*/starts"))


def test_an_equal_trial_takes_the_values_of_the_first(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(*TWICE, NAMED, HERE, "hydra.sweeper.n_trials=3")
    folder = tmp_path / "multirun" / "s"
    first, other, equal = load(folder).trials
    assert runs(folder) == ["0", "1"] and not (folder / "2").exists()
    assert equal.value == first.value != other.value
    assert equal.state == TrialState.COMPLETE and equal.user_attrs[EQUAL_TO] == 0
    assert equal.intermediate_values == first.intermediate_values
    rows = list(csv.DictReader((folder / "trials.csv").open()))
    assert [row["equal_to"] for row in rows] == ["", "", "0"]
    assert [row["state"] for row in rows] == ["complete", "complete", "equal"]
    assert rows[2]["folder"] == str(folder / "0")
    assert "trial 2 equal to 0" in done.stdout and "s: 2 complete, 1 equal" in done.stdout
    assert (folder / "best").resolve() == folder / "0"


def test_one_of_several_workers_runs_it(sweep: Sweep, tmp_path: Path) -> None:
    sweep("x=choice(0.2)", NAMED, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", "seconds=0.2", "bytes=1.0")
    folder = tmp_path / "multirun" / "s"
    trials = load(folder).trials
    assert len(runs(folder)) == 1
    assert {trial.state for trial in trials} == {TrialState.COMPLETE} and len({trial.value for trial in trials}) == 1
    assert len(trials) == 4


def test_it_runs_where_that_is_asked_for_and_where_only_the_run_tells_its_config(sweep: Sweep, tmp_path: Path) -> None:
    sweep(*TWICE, NAMED, HERE, "hydra.sweeper.n_trials=3", "hydra.sweeper.run_equal_trials=true")
    assert runs(tmp_path / "multirun" / "s") == ["0", "1", "2"]
    sweep(*TWICE, HERE, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=by_number", "seed=${hydra:job.num}")
    assert runs(tmp_path / "by_number") == ["0", "1", "2"]


def test_seeds_and_pruned_trials(sweep: Sweep, tmp_path: Path) -> None:
    sweep("x=choice(0.3,0.9)", "hydra.sweeper.direction=maximize", "hydra.sweeper.seeds=[1,2,3,4,5,6]", NAMED, HERE,
          "hydra.sweeper.enqueue=[{x:0.3},{x:0.9},{x:0.9},{x:0.3}]", "hydra/sweeper/pruner=wilcoxon",
          "hydra.sweeper.n_trials=4")  # fmt: skip
    good, bad, bad_again, good_again = load(tmp_path / "multirun" / "s").trials
    assert bad.state == bad_again.state == TrialState.PRUNED
    assert bad_again.intermediate_values == bad.intermediate_values
    assert good_again.user_attrs["values_by_seed"] == good.user_attrs["values_by_seed"]
    assert not (tmp_path / "multirun" / "s" / "2").exists()


def test_a_failed_trial_is_nobodys_equal() -> None:
    def trial(number: int, state: TrialState, digest: str) -> object:
        made = create_trial(
            state=state, value=1.0 if state == TrialState.COMPLETE else None, user_attrs={CONFIG: digest}
        )
        made.number = number
        return made

    trials = [trial(0, TrialState.FAIL, "a"), trial(1, TrialState.RUNNING, "a"), trial(2, TrialState.COMPLETE, "b")]
    assert _holder(trials[:1], 3, "a") is None  # type: ignore[arg-type]
    assert _holder(trials, 3, "a") is trials[1]  # type: ignore[arg-type]
    assert _holder(trials, 1, "a") is None  # type: ignore[arg-type]

"""What a study does for its user, over an objective of milliseconds."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from exp.errors import ExpError

from .conftest import Sweep, load

X = "x=interval(0.0,1.0)"
UP = "hydra.sweeper.direction=maximize"
INTERPRETER = sys.executable


def test_finishes_its_total_and_leaves_everything(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(X, UP, "hydra.sweeper.n_trials=10", "hydra.sweeper.n_jobs=2", "hydra.sweeper.pictures=true")
    (folder,) = (tmp_path / "multirun").iterdir()
    study = load(folder)
    assert [trial.number for trial in study.trials] == list(range(10))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert all((folder / str(number) / ".hydra" / "config.yaml").exists() for number in range(10))
    assert all((folder / str(number) / "starts").read_text().count("\n") == 1 for number in range(10))
    results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    best = max(study.trials, key=lambda trial: trial.value)
    assert results["best_value"] == best.value
    assert results["best_params"] == {"x": best.params["x"]}
    assert (folder / "best").resolve() == folder / str(best.number)
    assert f"x={best.params['x']}" in results["command"]
    rows = list(csv.DictReader((folder / "trials.csv").open()))
    assert [row["number"] for row in rows] == [str(number) for number in range(10)]
    assert [float(row["value"]) for row in rows] == [trial.value for trial in study.trials]
    for name in ("optimization_history", "param_importances", "slice", "parallel_coordinate"):
        assert (folder / "pictures" / f"{name}.png").stat().st_size > 5000
    assert f"trial {best.number}" in done.stdout
    assert "optuna-dashboard" in done.stdout
    starts = [(folder / str(number) / "starts").read_text().split() for number in range(10)]
    assert 1 <= len({pid for pid, *_ in starts}) <= 2  # warm: as many processes as workers, not as trials


def test_same_command_goes_on(sweep: Sweep, tmp_path: Path) -> None:
    words = [X, UP, "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1"]
    sweep(*words, "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=0")
    (folder,) = (tmp_path / "multirun").iterdir()
    first = [trial.params["x"] for trial in load(folder).trials]
    done = sweep(*words, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=0")
    assert list((tmp_path / "multirun").iterdir()) == [folder]
    study = load(folder)
    drawn = [trial.params["x"] for trial in study.trials]
    assert drawn[:3] == first and len(drawn) == 6
    assert len(set(drawn)) == 6  # the seed does not start over
    assert "goes on after 3 of 6" in done.stdout
    sweep(*words, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=0")
    assert len(load(folder).trials) == 6  # a total
    sweep(*words, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=0", "hydra.sweep.dir=other")
    assert [trial.params["x"] for trial in load(tmp_path / "other").trials] == drawn  # whoever runs them, whenever


@pytest.mark.slow
def test_other_space_condition_or_objective_is_another_study(sweep: Sweep, tmp_path: Path) -> None:
    quick = ["hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=0"]
    sweep(X, UP, *quick)
    sweep("x=interval(0.0,0.5)", UP, *quick)
    sweep(X, UP, *quick, "evaluations=2")
    sweep(X, *quick)
    assert len(list((tmp_path / "multirun").iterdir())) == 4


def test_changed_search_space_under_the_same_name_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    quick = [UP, "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=0", "hydra.sweeper.study_name=s"]
    sweep(X, *quick)
    with pytest.raises(ExpError, match="another search space: x was"):
        sweep("x=interval(0.0,0.5)", *quick)
    assert len(load(tmp_path / "multirun" / "s").trials) == 2


def test_a_changed_file_is_refused_and_a_moved_one_is_not(sweep: Sweep, tmp_path: Path) -> None:
    quick = [X, UP, "hydra.sweeper.n_jobs=0", "hydra.sweeper.study_name=s"]
    (tmp_path / "here.csv").write_text("text,label\n")
    sweep(*quick, "hydra.sweeper.n_trials=1", f"+train_file={tmp_path / 'here.csv'}")
    (tmp_path / "here.csv").rename(tmp_path / "there.csv")
    moved = [*quick, "hydra.sweeper.n_trials=2", f"+train_file={tmp_path / 'there.csv'}"]
    sweep(*moved)
    (tmp_path / "there.csv").write_text("text,label\nother,1\n")
    with pytest.raises(ExpError, match="train_file holds other contents than when it began"):
        sweep(*moved[:-2], "hydra.sweeper.n_trials=3", moved[-1])
    assert len(load(tmp_path / "multirun" / "s").trials) == 2


def test_a_swept_file_that_changed_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    words = [f"+train_file=choice('{tmp_path / 'a'}','{tmp_path / 'b'}')", UP, "hydra.sweeper.n_jobs=0"]
    words += ["hydra.sweeper.study_name=s", "hydra.sweeper.n_trials=1"]
    sweep(*words)
    (tmp_path / "b").write_text("other")
    with pytest.raises(ExpError, match=r"train_file=.*/b holds other contents"):
        sweep(*words)


def test_one_folder_holds_one_study(sweep: Sweep, tmp_path: Path) -> None:
    quick = [UP, "hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=0", "hydra.sweep.dir=st"]
    sweep(X, *quick)
    table = (tmp_path / "st" / "trials.csv").read_bytes()
    with pytest.raises(ExpError, match=r"st holds the study .*, and this search is another one"):
        sweep("x=interval(0.0,0.5)", *quick)
    assert (tmp_path / "st" / "trials.csv").read_bytes() == table
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "best").write_text("my notes")
    with pytest.raises(ExpError, match="is no study's folder"):
        sweep(X, *quick[:-1], "hydra.sweep.dir=mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["best"]


def test_pruning(sweep: Sweep, tmp_path: Path) -> None:
    sweep(
        X, UP, "hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=2", "hydra/sweeper/sampler=random",
        "hydra.sweeper.sampler.seed=3", "hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=0",
    )  # fmt: skip
    (folder,) = (tmp_path / "multirun").iterdir()
    trials = load(folder).trials
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert 2 <= len(pruned) <= 10
    for trial in trials:
        assert list(trial.intermediate_values) == list(range(1, len(trial.intermediate_values) + 1))
        assert (folder / str(trial.number) / "pruned").exists() == (trial.state == TrialState.PRUNED)
        assert (folder / str(trial.number) / "done").exists() == (trial.state == TrialState.COMPLETE)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["none", "percentile", "successive_halving", "hyperband", "patient", "threshold"])
def test_every_pruner_runs(pruner: str, sweep: Sweep, tmp_path: Path) -> None:
    more = ["hydra.sweeper.pruner.lower=0.3"] if pruner == "threshold" else []
    sweep(X, UP, f"hydra/sweeper/pruner={pruner}", *more, "hydra.sweeper.n_trials=7", "hydra.sweeper.n_jobs=0",
          "evaluations=6")  # fmt: skip
    (folder,) = (tmp_path / "multirun").iterdir()
    assert len(load(folder).trials) == 7


def test_conditional_linked_and_enqueued(sweep: Sweep, tmp_path: Path) -> None:
    sweep("sweep=branches", "hydra.sweeper.n_trials=10", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_jobs=0")
    (folder,) = (tmp_path / "multirun").iterdir()
    trials = load(folder).trials
    assert trials[0].params["x"] == 0.25 and trials[0].params["part"] == "heavy"
    seen = set()
    for trial in trials:
        config = yaml.safe_load((folder / str(trial.number) / ".hydra" / "config.yaml").read_text())
        assert (config["n"], config["word"]) in {(1, "one"), (2, "two"), (3, "three")}
        assert ("part.momentum" in trial.params) == (trial.params["part"] == "heavy")
        if trial.params["part"] == "heavy":
            assert config["part"]["momentum"] == trial.params["part.momentum"]
        seen.add(trial.params["part"])
    assert seen == {"plain", "heavy"}
    results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert {"n", "word", "part", "x"} <= set(results["best_params"])
    # The command names no preset, and says what the preset had set.
    assert "sweep=" not in results["command"]
    assert "evaluations=4" in results["command"].split()


def test_seeds(sweep: Sweep, tmp_path: Path) -> None:
    sweep(X, UP, "hydra.sweeper.seeds=[1,2,6]", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=0",
          "hydra.sweeper.seeds_reduce=bound")  # fmt: skip
    (folder,) = (tmp_path / "multirun").iterdir()
    for trial in load(folder).trials:
        base = 1 - (trial.params["x"] - 0.3) ** 2 - 0.25
        assert trial.intermediate_values == pytest.approx({0: base + 0.01, 1: base + 0.02, 2: base + 0.06})
        # mean 0.03, standard deviation 0.02646, over sqrt(3): 0.01528
        assert trial.value == pytest.approx(base + 0.03 - 0.015275, abs=1e-5)
        for seed in (1, 2, 6):
            assert (folder / str(trial.number) / f"seed_{seed}" / "done").exists()


def test_wilcoxon_prunes_between_seeds(sweep: Sweep, tmp_path: Path) -> None:
    sweep("x=choice(0.3,0.9)", UP, "hydra.sweeper.seeds=[1,2,3,4,5,6]", "hydra/sweeper/pruner=wilcoxon",
          "hydra.sweeper.enqueue=[{x:0.3},{x:0.9}]", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=0")  # fmt: skip
    (folder,) = (tmp_path / "multirun").iterdir()
    good, bad = load(folder).trials
    assert good.state == TrialState.COMPLETE
    assert bad.state == TrialState.PRUNED
    assert 2 <= len(bad.intermediate_values) < 6


def test_grid_is_the_exact_product(sweep: Sweep, tmp_path: Path) -> None:
    sweep("x=choice(0.1,0.2,0.3)", "n=range(1,3)", UP, "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=null",
          "hydra.sweeper.n_jobs=2")  # fmt: skip
    (folder,) = (tmp_path / "multirun").iterdir()
    cells = sorted((trial.params["x"], trial.params["n"]) for trial in load(folder).trials)
    assert cells == [(x, n) for x in (0.1, 0.2, 0.3) for n in (1, 2)]
    logs = "".join(path.read_text() for path in (folder / "workers").glob("*.log"))
    assert "Traceback" not in logs  # the last cell ends no worker


def test_pareto_front(sweep: Sweep, tmp_path: Path) -> None:
    sweep(X, "two=true", "hydra.sweeper.direction=[maximize,minimize]", "hydra/sweeper/sampler=nsgaii",
          "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=0")  # fmt: skip
    (folder,) = (tmp_path / "multirun").iterdir()
    results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    front = {(tuple(trial.values)) for trial in load(folder).best_trials}
    assert {tuple(solution["values"]) for solution in results["solutions"]} == front
    assert not (folder / "best").exists()


def test_edits_of_yaml_do_not_reach_a_study(sweep: Sweep, tmp_path: Path) -> None:
    import shutil

    from .conftest import STUB

    conf = tmp_path / "conf"
    shutil.copytree(STUB / "conf", conf)
    words = ["part=choice(heavy)", X, UP, "hydra.sweeper.n_jobs=0", "hydra.sweeper.study_name=s"]
    sweep(*words, "hydra.sweeper.n_trials=1", conf=conf)
    (conf / "part" / "heavy.yaml").write_text("rate: 77.0\nmomentum: 0.9\n")
    done = sweep(*words, "hydra.sweeper.n_trials=2", conf=conf)
    config = yaml.safe_load((tmp_path / "multirun/s/1/.hydra/config.yaml").read_text())
    assert config["part"]["rate"] == 2.0
    assert "part/heavy.yaml changed" in done.stdout


@pytest.mark.slow
def test_sqlite_and_a_custom_search_space(sweep: Sweep, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    words = [X, UP, f"hydra.sweeper.storage={url}", "hydra.sweeper.study_name=s",
             "hydra.sweeper.custom_search_space=app.more"]  # fmt: skip
    sweep(*words, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2")
    sweep(*words, "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=0")
    study = optuna.load_study(study_name="s", storage=url)
    assert [trial.number for trial in study.trials] == list(range(6))
    assert all(0.1 <= trial.params["part.rate"] <= 0.2 for trial in study.trials)


@pytest.mark.slow
@pytest.mark.usefixtures("own_pool")
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_workers_through_another_launcher(
    launcher: str, sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    monkeypatch.setattr(sys, "executable", INTERPRETER)  # submitit names a job by its process, joblib keeps a pool
    sweep(X, UP, "hydra.sweeper.n_trials=5", "hydra.sweeper.n_jobs=2", f"hydra/launcher={launcher}")
    (folder,) = (tmp_path / "multirun").iterdir()
    study = load(folder)
    assert [trial.number for trial in study.trials] == list(range(5))
    assert all((folder / str(number) / "done").exists() for number in range(5))
    assert (folder / "workers" / "0" / ".hydra").exists()  # a worker's folder is not a trial's


@pytest.mark.slow
def test_each_worker_has_its_own_gpu(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    sweep(X, UP, "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=2", "hydra.sweeper.threads=3", "seconds=0.1")
    (folder,) = (tmp_path / "multirun").iterdir()
    starts = {tuple((folder / str(number) / "starts").read_text().split()) for number in range(8)}
    assert {gpu for _, _, gpu in starts} == {"5", "7"}
    assert {threads for _, threads, _ in starts} == {"3"}
    assert len(starts) == 2  # one GPU a process


def test_study_attributes_record_the_split_and_commit(sweep: Sweep, tmp_path: Path) -> None:
    sweep(X, UP, "hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=0", "hydra.sweeper.objective=eval/f1")
    (folder,) = (tmp_path / "multirun").iterdir()
    study = load(folder)
    assert study.user_attrs["objective"]["split"] == ["eval"]
    assert study.user_attrs["commit"] == study.trials[0].user_attrs["commit"]
    assert json.dumps(study.user_attrs["search space"]).count("FloatDistribution") == 1


def test_the_best_trial_keeps_the_constraints(sweep: Sweep, tmp_path: Path) -> None:
    words = ["hydra.sweeper.params={x:'choice(0.1,0.3,0.6)'}", UP, "hydra/sweeper/sampler=grid", "bytes=1e9",
             "hydra.sweeper.n_jobs=0", "hydra.sweeper.n_trials=null"]  # fmt: skip
    sweep(*words, "+hydra.sweeper.constraints={cost/peak_memory_bytes:'<= 2e8'}", "hydra.sweeper.study_name=s")
    folder = tmp_path / "multirun" / "s"
    trials = {trial.params["x"]: trial for trial in load(folder).trials}
    assert trials[0.3].value > trials[0.1].value  # better, and too large
    assert {x: round(trial.constraints["cost/peak_memory_bytes"] / 1e8) for x, trial in trials.items()} == {
        0.1: -1, 0.3: 1, 0.6: 4,
    }  # fmt: skip
    results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert results["best_params"] == {"x": 0.1}
    assert (folder / "best").resolve() == folder / str(trials[0.1].number)
    none = sweep(*words, "+hydra.sweeper.constraints={cost/peak_memory_bytes:'<= 1'}", "hydra.sweeper.study_name=t")
    assert "no complete trial keeps all constraints" in none.stdout

"""Bad input to a study: one message each, before the first trial. And the keys of the plain sweeper."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

from exp.errors import ExpError

from .conftest import CONF, Sweep, arguments, inside, load

INTERPRETER = sys.executable  # the tests themselves start forks

X = "x=interval(0.0,1.0)"
UP = "hydra.sweeper.direction=maximize"
IN_PROCESS = "hydra.sweeper.n_jobs=0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["y=interval(0.0,1.0)"], "y: the config has no such parameter"),
        (["part.rat=interval(0.0,1.0)"], "part.rat: the config has no such parameter; did you mean 'part.rate'"),
        (["word=interval(0.0,1.0)"], "word is 'one', not a number"),
        (["two=interval(0.0,1.0)"], "two is False, not a number"),
        (["part=interval(0.0,1.0)"], "part is a choice of options (heavy, plain), not a number: use part=choice(...)"),
        (["part=choice(plain,hevy)"], "Could not find 'part/hevy'"),
        (["hydra.sweeper.params={x:'choice()'}"], "holds nothing to choose from"),
        (["hydra.sweeper.params={x:'interval(1.0,0.0)'}"], "cannot read the parameter x=interval(1.0,0.0)"),
        ([], "there is nothing to search"),
        ([X, "hydra.sweeper.n_trials=0"], "n_trials=0 must be 1 or more"),
        ([X, "hydra.sweeper.n_trials=null"], "only hydra/sweeper/sampler=grid has"),
        ([X, "hydra.sweeper.max_failure_rate=2"], "max_failure_rate=2 must be 0 or more and at most 1"),
        ([X, "hydra.sweeper.direction=up"], "direction=up: minimize or maximize"),
        ([X, "hydra.sweeper.objective=eval/loss", UP], "direction=maximize on eval/loss seeks the worst run"),
        ([X, "hydra.sweeper.objective=eval/f1", "hydra.sweeper.direction=minimize"], "Set it to maximize"),
        ([X, "hydra.sweeper.objective=eval/strange"], "set hydra.sweeper.direction"),
        ([X, "hydra.sweeper.objective_from=first"], "objective_from=first: no such choice; known: best, last"),
        ([X, "hydra/sweeper/pruner=wilcoxon"], "set hydra.sweeper.seeds="),
        ([X, "hydra/sweeper/pruner=threshold"], "hydra/sweeper/pruner: Either lower or upper"),
        ([X, "hydra/sweeper/pruner=median", "hydra.sweeper.direction=[minimize,maximize]"], "a pruner cannot weigh 2"),
        ([X, "hydra.sweeper.seeds=[1,1]"], "at least one, none twice"),
        ([X, "hydra.sweeper.seeds_reduce=maen"], "did you mean 'mean'"),
        ([X, "hydra.sweeper.link=[[x,n]]"], "link: n is no parameter of this search"),
        (["n=choice(1,2)", "word=choice(a,b,c)", "hydra.sweeper.link=[[n,word]]"], "n has 2, word has 3"),
        (["n=choice(1,2)", "hydra.sweeper.link=[[n]]"], "link: ['n'] is one parameter or none"),
        (["n=choice(1,2)", "hydra.sweeper.link=[[]]"], "link: [] is one parameter or none"),
        (["n=choice(1,2)", "hydra.sweeper.link=[[n,n]]"], "link: n is named twice"),
        (
            ["n=choice(1,2)", "word=choice(a,b)", "two=choice(1,2)", "hydra.sweeper.link=[[n,word],[word,two]]"],
            "link: word is named twice",
        ),
        ([X, "hydra.sweeper.enqueue=[{z:1}]"], "enqueue: z is no parameter"),
        ([X, "hydra.sweeper.enqueue=[{x:7}]"], "enqueue: x=7 lies outside 0.0 to 1.0"),
        (["n=range(1,9,3)", "hydra.sweeper.enqueue=[{n:3}]"], "enqueue: n=3 is not 1 and some steps of 3"),
        (["n=range(1,9)", "hydra.sweeper.enqueue=[{n:1.7}]"], "enqueue: n=1.7 is not 1 and some steps of 1"),
        (["n=range(1,9)", "hydra.sweeper.enqueue=[{n:'inf'}]"], "enqueue: n=inf lies outside 1 to"),
        ([X, "hydra.sweeper.enqueue=[{x:0.1},{x:0.2}]", "hydra.sweeper.n_trials=1"], "n_trials=1 runs fewer"),
        ([X, "+hydra.sweeper.constraints={eval/f1:'> 1'}"], "write"),
        ([X, "hydra/sweeper/sampler=grid"], "x is an interval, and sampler=grid needs single values"),
        ([X, "hydra.sweeper.storage=grpc://here"], "write grpc://host:port"),
        ([X, "hydra.sweeper.storage=redis://here"], "unknown kind 'redis'"),
        ([X, "hydra.sweeper.storage=sqlite:////no/such/folder/s.db"], "there is no folder /no/such/folder; make it"),
        ([X, "hydra.sweeper.storage=postgresql://me:secret@127.0.0.1:1/x"], "cannot open storage=postgresql"),
        (
            [X, "hydra.sweeper.storage=postgresql://me:secret@host:port/x"],
            "is no address of a database: invalid literal",
        ),
        ([X, "hydra.sweeper.storage=sqlite://"], "names no file"),
        ([X, "hydra.sweeper.storage='sqlite:///:memory:'"], "names no file"),
        ([X, "hydra.sweeper.storage=/proc/x"], "cannot write the study to /proc/x"),
        ([X, "hydra.sweep.dir=/proc/s"], "cannot write the search's folder /proc/s"),
        ([X, "hydra.sweeper.study_name=../x"], "names a folder in multirun/"),
        ([X, "hydra.sweeper.study_name=a/b"], "names a folder in multirun/"),
        ([X, "hydra.sweeper.study_name=.."], "names a folder in multirun/"),
        ([X, "hydra.sweeper.study_name=''"], "names a folder in multirun/"),
        ([X, "hydra.sweeper.stale_after=5"], "at least three times"),
        (["hydra.sweeper.params={x:'choice(0.1)'}", "+hydra.sweeper.trials=3"], "did you mean 'n_trials'"),
    ],
)
def test_bad_input(words: list[str], message: str, sweep: Sweep, tmp_path: Path) -> None:
    with pytest.raises(Exception) as caught:
        sweep(IN_PROCESS, *words)
    assert isinstance(caught.value, ExpError), caught.value
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not list((tmp_path / "multirun").glob("*/*"))


def test_a_file_that_is_no_study_is_left_as_it_is(sweep: Sweep, tmp_path: Path) -> None:
    optuna.create_study(storage=f"sqlite:///{tmp_path / 'study.db'}", study_name="mine")
    with sqlite3.connect(tmp_path / "people.db") as database:
        database.execute("create table people (name text)")
    (tmp_path / "thesis.json").write_text('{"ten years": "of work"}')
    (tmp_path / "folder").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for storage, mend in {
        "study.db": "write sqlite:///",
        "thesis.json": "is no journal of Optuna",
        "journal:///" + str(tmp_path / "thesis.json"): "is no journal of Optuna",
        "folder": "is a folder",
        f"sqlite:///{tmp_path / 'people.db'}": "holds other tables (people)",
        f"sqlite:///{tmp_path / 'thesis.json'}": "file is not a database",
    }.items():
        given = storage if "://" in storage else str(tmp_path / storage)
        with pytest.raises(ExpError) as told:
            sweep(X, UP, IN_PROCESS, "hydra.sweeper.n_trials=1", f"hydra.sweeper.storage={given}")
        assert mend in str(told.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert not (tmp_path / "multirun").exists()
    sweep(X, UP, IN_PROCESS, "hydra.sweeper.n_trials=1", f"hydra.sweeper.storage=sqlite:///{tmp_path / 'study.db'}")


def test_more_workers_than_cores_is_warned_of(sweep: Sweep) -> None:
    done = sweep(X, UP, "hydra.sweeper.n_jobs=99", "hydra.sweeper.n_trials=1")
    assert "n_jobs=99 workers share" in done.stdout


def test_locked_sqlite(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setattr("exp.work.storage.SQLITE_WAIT", 0.2)
    url = f"hydra.sweeper.storage=sqlite:///{tmp_path}/s.db"
    sweep(X, UP, IN_PROCESS, "hydra.sweeper.n_trials=1", url)
    holder = sqlite3.connect(tmp_path / "s.db")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ExpError, match="database is locked"):
        sweep(X, UP, IN_PROCESS, "hydra.sweeper.n_trials=1", url)
    holder.close()


def plain(folder: Path, *words: str) -> None:
    inside(folder, arguments(*words, sweeper="optuna"))


SAMPLERS = {
    "tpe": ["hydra.sweeper.sampler.multivariate=true", "hydra.sweeper.sampler.n_startup_trials=2"],
    "random": [],
    "grid": [],
    "nsgaii": ["hydra.sweeper.sampler.population_size=3"],
    "nsgaiii": ["hydra.sweeper.sampler.population_size=3"],
    "qmc": [],
    "cmaes": [],
    "gp": ["hydra.sweeper.sampler.n_startup_trials=2"],
}
NEEDS = {"cmaes": "cmaes", "gp": "torch", "qmc": "scipy"}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    "sampler", [pytest.param(name, marks=[] if name == "grid" else pytest.mark.slow) for name in SAMPLERS]
)
def test_the_plain_sweepers_config_runs_on_both(sampler: str, sweep: Sweep, tmp_path: Path) -> None:
    if sampler in NEEDS and importlib.util.find_spec(NEEDS[sampler]) is None:
        pytest.skip(f"the sampler {sampler} needs the package {NEEDS[sampler]}")
    preset = "both_grid" if sampler == "grid" else "both"
    words = [f"sweep={preset}", f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.sampler.seed=1", *SAMPLERS[sampler]]
    results = {}
    for sweeper in ("optuna", "study"):
        folder = tmp_path / sweeper
        folder.mkdir()
        given = [
            *words,
            f"hydra/sweeper={sweeper}",
            f"hydra.sweeper.storage=sqlite:///{folder}/s.db",
            f"hydra.sweep.dir={folder}/s",
        ]
        if sweeper == "optuna":
            plain(folder, *given)
        else:
            inside(folder, arguments(*given, IN_PROCESS))
        study = optuna.load_study(study_name="s", storage=f"sqlite:///{folder}/s.db")
        assert len(study.trials) == 5
        results[sweeper] = yaml.safe_load((folder / "s" / "optimization_results.yaml").read_text())
        assert {"name", "best_params", "best_value"} <= set(results[sweeper])
    assert set(results["study"]["best_params"]) == set(results["optuna"]["best_params"])
    if sampler == "grid":  # one grid, one order
        assert results["study"]["best_value"] == results["optuna"]["best_value"]


def test_every_key_of_the_plain_sweeper_is_ours_too() -> None:
    import dataclasses

    from exp.study.settings import StudySettings
    from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf

    theirs = {field.name for field in dataclasses.fields(OptunaSweeperConf)} - {"_target_", "defaults"}
    assert theirs <= {field.name for field in dataclasses.fields(StudySettings)}
    ours = yaml.safe_load((CONF / "hydra" / "sweeper" / "study.yaml").read_text())
    assert theirs <= set(ours) | {"sampler"}


def test_a_half_made_study_is_made_whole(sweep: Sweep, tmp_path: Path) -> None:
    """Its maker died between creating it and describing it."""
    folder = tmp_path / "multirun" / "s"
    folder.mkdir(parents=True)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder / "journal.log")))
    optuna.create_study(study_name="s", storage=storage, direction="maximize")
    sweep(
        X, UP, IN_PROCESS, "hydra.sweeper.study_name=s", "hydra.sweeper.n_trials=2", "hydra.sweeper.enqueue=[{x:0.5}]"
    )
    study = load(folder)
    assert len(study.trials) == 2 and study.trials[0].params["x"] == 0.5
    assert "search space" in study.user_attrs


def test_hydra_finds_the_plugin_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hydra.core.plugins import Plugins; from hydra.plugins.sweeper import Sweeper;"
        "names = [c.__name__ for c in Plugins.instance().discover(Sweeper)];"
        "assert 'StudySweeper' in names, names;"
        "heavy = {'torch', 'optuna', 'pandas', 'rich', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([INTERPRETER, "-c", code], check=True, env=dict(os.environ))


def test_a_folder_of_trials_is_not_begun_again_in_another_storage(sweep: Sweep, tmp_path: Path) -> None:
    words = [X, UP, IN_PROCESS, "hydra.sweeper.study_name=s", "hydra.sweeper.n_trials=1"]
    sweep(*words)
    with pytest.raises(ExpError, match=r"s/0 is a trial of the study s, and its storage knows none: give the storage"):
        sweep(*words, "hydra.sweeper.storage=other.log")
    sweep(*words)  # the first storage goes on


def test_new_guesses_for_a_study_that_goes_on_are_not_passed_over_in_silence(sweep: Sweep) -> None:
    words = [X, UP, IN_PROCESS, "hydra.sweeper.study_name=s", "hydra.sweeper.n_trials=2"]
    told = "it goes on without the new ones"
    for guess, new in (("0.25", False), ("0.25", False), ("0.5", True)):
        assert (told in sweep(*words, f"hydra.sweeper.enqueue=[{{x:{guess}}}]").stdout) is new

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from exp.config.grammar import quoted
from exp.errors import ExpError
from exp.run.folder import create
from tests.training.conftest import Launch, refused


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("optimizer=adamww", "optimizer=adamww: no such option; did you mean 'adamw'"),
        ("optimzer=adamw", "optimzer: no such key; did you mean 'optimizer'"),
        ("optimizer.lrr=1", "optimizer.lrr: no such key; did you mean 'optimizer.lr'"),
        ("lr=1e-5", "lr: no such key; did you mean 'optimizer.lr'?"),
        ("sed=1", "sed: no such key; did you mean 'seed'"),
        ("+sed=1", "sed: no such key; did you mean 'seed'"),
        ("optimizer", "'optimizer' is no override: write key=value"),
        ("optimizer.lr=[1,", "cannot read the override 'optimizer.lr=[1,'"),
        ("seed=1,2", "add --multirun to run each of them, or write seed=[1,2]"),
        ("optimizer.lr=fast", "optimizer.lr='fast' has the wrong type: it takes a number"),
        ("model=pretrained", "model.path is not given, and model=pretrained needs it"),
        ("~scheduler", "~scheduler: a run needs scheduler; leave ~scheduler out"),
        ("cache_dir=${oc.env:NO_SUCH_VARIABLE}", "cache_dir: Environment variable 'NO_SUCH_VARIABLE' not found"),
        ("hydra/launcher=nowhere", "hydra/launcher=nowhere: no such option"),
        ("seed=${oc.env:NO_SUCH_VARIABLE}", "seed: Environment variable 'NO_SUCH_VARIABLE' not found"),
        ("seed=${nosuch}", "seed: Interpolation key 'nosuch' not found"),
        ("optimizer.lr=${optimizer.lr}", "optimizer.lr: "),
        ("~speed", "~speed: a run needs speed"),
        ("~hub", "~hub: a run needs hub"),
        ("~seed", "~seed: a run needs seed"),
        ("optimizer._target_=os.system", "optimizer._target_=os.system is not trusted"),
        ("optimizer._target_=my_pkg.optim.Lion", "or its entry point in the group exp.parts"),
        ("loop._target_=exp.nosuch", "loop._target_=exp.nosuch is not trusted"),
        ("++tracker.x._target_=torch.optim.AdamW", "tracker.x._target_=torch.optim.AdamW is not trusted"),
        ("data._target_=5", "data._target_=5 must be a dotted name"),
        ("hydra.run.dir=???", "hydra.run.dir=??? must be the name of a folder"),
        ("hydra.run.dir=null", "hydra.run.dir"),
        ("hydra.run.dir=''", "hydra.run.dir"),
        ("hydra.run.dir=${nosuch}", "hydra.run.dir"),
        ("hydra.callbacks.exp=null", "hydra.callbacks.exp: no such key"),
        ("+hydra.callbacks.x._target_=os.system", "hydra.callbacks.x: exp runs no callbacks of Hydra"),
        ("hydra.output_subdir=null", "hydra.output_subdir=None: a run is known by its folder .hydra"),
        ("hydra.output_subdir=other", "hydra.output_subdir=other"),
        ("hydra.job.chdir=true", "hydra.job.chdir=true: a run stays in the folder where it was started"),
        ("+hydra.job.env_set.PATH=/tmp", "hydra.job.env_set: set environment variables before the command"),
        ("hydra/job_logging=default", "hydra/job_logging: exp writes train.log itself"),
        ("hydra=null", "exp: "),
        ("~hydra.run", "exp: "),
        ("hydra.searchpath=[pkg://my_pkg]", "add a folder of options with --config-dir"),
        ("hydra.mode=RUN", "a sweep is asked for with --multirun"),
        ("--no-such-flag", "unrecognized arguments: --no-such-flag"),
        ("--config-path=/tmp", "--config-path is not taken here"),
        ("--experimental-rerun=/tmp", "python -m exp.reproduce"),
        ("-m", "--multirun has nothing to vary"),
    ],
)
def test_bad_words_end_in_one_line_and_leave_nothing(
    launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path, word: str, expected: str
) -> None:
    assert expected in refused(launched, capsys, word)
    assert list(tmp_path.iterdir()) == []


def test_broken_yaml_is_named(launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "optimizer"
    folder.mkdir(parents=True)
    (folder / "broken.yaml").write_text("lr: [1,\nb: }")
    assert "broken.yaml" in refused(launched, capsys, "-cd", str(tmp_path / "mine"), "optimizer=broken")


def test_a_sweep_that_cannot_be_composed_leaves_nothing(
    launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "optimizer=nope: no such option" in refused(launched, capsys, "-m", "optimizer=adamw,nope")
    assert not list(tmp_path.rglob("multirun.yaml"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-m", "-m"], "--multirun has nothing to vary"),
        (["seed=1,2,1"], "--multirun: seed=1 is given 2 times"),
        (["seed=1,2", "resume=auto"], "resume=auto goes on with one run: leave --multirun out"),
        (["experiment=debug,typo"], "experiment=typo: no such option"),
        (["sweep=lrr"], "sweep=lrr: no such option; did you mean 'lr'"),
        (["optimizer.lr=1e-5,1e-4,fast"], "optimizer.lr='fast' has the wrong type"),
        (["seed=1,2", "hydra.sweep.subdir=.."], "hydra.sweep.subdir=.. must be the name of a folder"),
        (["seed=1,2", "hydra.sweep.subdir=/tmp/x"], "hydra.sweep.subdir=/tmp/x must be the name of a folder"),
        (["seed=1,2", "hydra.launcher._target_=os.system"], "hydra.launcher._target_=os.system is not trusted"),
        (["seed=1,2", "hydra.sweeper._target_=os.system"], "hydra.sweeper._target_=os.system is not trusted"),
        (["sweep=lr", "hydra.sweeper.sampler._target_=os.system"], "hydra.sweeper.sampler._target_=os.system"),
        (["sweep=lr", "hydra.sweeper.custom_search_space=os.system"], "hydra.sweeper.custom_search_space=os.system"),
        (["sweep=lr", "optimizer._target_=os.system"], "optimizer._target_=os.system is not trusted"),
        (["seed=1,2", "model=pretrained"], "model.path is not given"),
        (
            ["seed=1,2", "hydra/sweeper=optuna", "hydra/sweeper/sampler=cmaes", "hydra.sweeper.storage=sqlite:///s.db"],
            "keeps pickled state in its storage",
        ),
    ],
)
def test_bad_sweeps_end_in_one_line_and_leave_nothing(
    launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], expected: str
) -> None:
    assert expected in refused(launched, capsys, "-m", *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("word", "key", "values"),
    [
        ("data.train_file={a},{b}", "data.train_file", ["{a}", "{b}"]),
        ("data.train_file=choice({a},{b})", "data.train_file", ["{a}", "{b}"]),
        ("early_stopping_patience=choice(null,1)", "early_stopping_patience", [None, 1]),
        ("early_stopping_patience=null,1", "early_stopping_patience", [None, 1]),
    ],
)
def test_a_sweep_over_a_key_without_default(
    launched: Launch, tmp_path: Path, word: str, key: str, values: list[object]
) -> None:
    names = {}
    for name in ("a", "b"):
        names[name] = str(tmp_path / f"{name}.csv")
        Path(names[name]).write_text("text,label\n" + "good,1\nbad,0\n" * 10)
    words = ["data=files", word.format(**names)]
    if not key.startswith("data."):
        words.append(f"data.train_file={names['a']}")
    calls = launched("-m", *words, "hydra.sweep.dir=s")
    expected = [value.format(**names) if isinstance(value, str) else value for value in values]
    assert [OmegaConf.select(cfg, key) for cfg, _ in calls] == expected


def test_two_jobs_with_one_folder(launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def task(cfg: DictConfig) -> float:
        (tmp_path / "s" / "same" / "result").write_text(str(cfg.seed))
        return 0.0

    with pytest.raises(SystemExit) as ending:
        launched("-m", "seed=1,2", "hydra.sweep.dir=s", "hydra.sweep.subdir=same", task=task)
    assert ending.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()  # Hydra adds no words of its own
    assert "is the folder of another run of this sweep" in told
    assert (tmp_path / "s" / "same" / "result").read_text() == "1"
    assert "seed=1" in (tmp_path / "s" / "same" / ".hydra" / "overrides.yaml").read_text()


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyError, TypeError])
def test_whatever_goes_wrong_before_the_run_ends_it(
    launched: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[Exception]
) -> None:
    launched("hydra.run.dir=here", "seed=1")
    before = (tmp_path / "here" / ".hydra" / "config.yaml").read_text()

    def broken(cfg: DictConfig, choices: object) -> None:
        raise error("a bug in the check")

    monkeypatch.setattr("exp.config.check.check", broken)
    with pytest.raises(error):
        launched("hydra.run.dir=here", "seed=2")
    assert (tmp_path / "here" / ".hydra" / "config.yaml").read_text() == before


@pytest.mark.parametrize("name", ["plain", "with space", "it's", "a$b", "${x}", "[1]{2}", "größer", "a=b,c"])
def test_folders_of_any_name(launched: Launch, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    [(cfg, where)] = launched(f"hydra.run.dir={quoted(folder)}", "seed=5")
    assert where == folder and (folder / ".hydra" / "config.yaml").is_file()
    create(folder, OmegaConf.to_container(cfg, resolve=True)).finish("interrupted")
    [(again, where)] = launched(f"resume={quoted(folder)}")
    assert where == folder and again.seed == 5 and again.resume == str(folder)
    if "${" in name:  # Hydra fills such a name in once more
        return
    calls = launched("-m", "seed=1,2", f"hydra.sweep.dir={quoted(tmp_path / 'sweep' / name)}")
    assert [at for _, at in calls] == [tmp_path / "sweep" / name / "0", tmp_path / "sweep" / name / "1"]


def test_what_is_saved_is_what_was_composed(launched: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "very-secret-token")
    [(cfg, folder)] = launched("seed=3", "optimizer=sgd", "hydra.job.config.override_dirname.kv_sep=very-secret-token")
    assert OmegaConf.load(folder / ".hydra" / "config.yaml") == cfg
    assert OmegaConf.load(folder / ".hydra" / "overrides.yaml") == ["seed=3", "optimizer=sgd"]
    hydra = OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra
    assert hydra.run.dir == str(folder) and hydra.runtime.choices.optimizer == "sgd"
    assert "very-secret-token" not in (folder / ".hydra" / "hydra.yaml").read_text()


def test_a_sweep_preset_asks_for_multirun(launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "sweep"
    folder.mkdir(parents=True)
    (folder / "tiny.yaml").write_text("# @package _global_\nseed: 3\n")
    told = refused(launched, capsys, "-cd", str(tmp_path / "mine"), "sweep=tiny")
    assert "sweep=tiny is a search over many runs: add --multirun" in told
    assert len(launched("-cd", str(tmp_path / "mine"), "-m", "sweep=tiny")) == 1


def test_full_error_shows_the_traceback(launched: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ExpError):
        launched("optimizer=adamww")


def test_endings_of_a_task(launched: Launch, capsys: pytest.CaptureFixture[str]) -> None:
    def bad_input(cfg: DictConfig) -> float:
        raise ExpError("no column 'label'")

    def bug(cfg: DictConfig) -> float:
        raise ValueError("a bug")

    def stopped(cfg: DictConfig) -> float:
        raise KeyboardInterrupt

    assert "no column 'label'" in refused(launched, capsys, task=bad_input)
    with pytest.raises(ValueError, match="a bug"):
        launched(task=bug)
    with pytest.raises(SystemExit) as ending:
        launched(task=stopped)
    assert ending.value.code == 130


def test_runs_in_one_second_get_folders_of_their_own(launched: Launch, tmp_path: Path) -> None:
    dated = "hydra.run.dir=outputs/${now:%Y}"
    folders = [launched(dated)[0][1] for _ in range(3)]
    year = folders[0].name
    assert [folder.name for folder in folders] == [year, f"{year}-1", f"{year}-2"]
    assert all((folder / ".hydra" / "config.yaml").exists() for folder in folders)


def test_an_existing_run_is_never_overwritten(
    launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    [(cfg, folder)] = launched("hydra.run.dir=here", "seed=1")
    create(folder, OmegaConf.to_container(cfg, resolve=True))  # type: ignore[arg-type]
    before = {path: path.read_bytes() for path in (tmp_path / "here").rglob("*") if path.is_file()}
    told = refused(launched, capsys, "hydra.run.dir=here", "seed=2")
    assert f"{tmp_path / 'here'} exists already" in told
    assert {path: path.read_bytes() for path in (tmp_path / "here").rglob("*") if path.is_file()} == before


def test_sweeps_get_folders_of_their_own(launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    dated = "hydra.sweep.dir=sweeps/${now:%Y}"
    first = launched("-m", dated, "seed=1,2", "optimizer.lr=1e-5,2e-5")
    second = launched("-m", dated, "seed=1,2")
    year = first[0][1].parent.name
    assert [(cfg.seed, cfg.optimizer.lr) for cfg, _ in first] == [(1, 1e-5), (1, 2e-5), (2, 1e-5), (2, 2e-5)]
    assert [folder.relative_to(tmp_path / "sweeps").as_posix() for _, folder in first] == [
        f"{year}/{number}" for number in range(4)
    ]
    assert [folder.parent.name for _, folder in second] == [f"{year}-1"] * 2
    assert "exists already" in refused(launched, capsys, "-m", f"hydra.sweep.dir=sweeps/{year}", "seed=1,2")


def test_a_wrong_swept_value_is_found_before_the_first_run(
    launched: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[float] = []

    def task(cfg: DictConfig) -> float:
        done.append(cfg.optimizer.lr)
        return 0.0

    assert "optimizer.lr='fast'" in refused(launched, capsys, "-m", "optimizer.lr=1e-5,fast", task=task)
    assert done == []


@pytest.mark.parametrize("name", ["plain", "with space", "it's", "a=b,c", "${x}", "[1]{2}", "back\\slash"])
def test_quoted_paths_survive_the_grammar(tmp_path: Path, name: str) -> None:
    word = f"hydra.run.dir={quoted(tmp_path / name)}"
    value = OverridesParser.create().parse_override(word).value()
    assert str(DictConfig({"dir": value}).dir) == str(tmp_path / name)


def test_light_answers_import_nothing_heavy_and_leave_nothing(tmp_path: Path) -> None:
    for words in (["--cfg", "job"], ["--help"], ["optimizer.lrr=1"], ["eval_strategy=often"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "exp.train", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert "hydra" in imported
        heavy = {"torch", "transformers", "datasets", "numpy", "pandas", "wandb", "optuna", "peft", "pyarrow"}
        assert not imported & heavy, words
        assert done.returncode == (0 if words[0].startswith("--") else 2)
    assert list(tmp_path.iterdir()) == []

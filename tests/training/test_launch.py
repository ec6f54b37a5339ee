from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from exp.config.grammar import quoted
from exp.errors import ExpError
from exp.run.folder import create
from exp.training import launch
from exp.training.claim import claim_run

Launch = Callable[..., list[tuple[DictConfig, Path]]]


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """launch.main in an empty folder with a task that notes its config and folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, task: Callable[[DictConfig], float] | None = None) -> list[tuple[DictConfig, Path]]:
        calls = []

        def noting(cfg: DictConfig) -> float:
            calls.append((cfg, Path(HydraConfig.get().runtime.output_dir)))
            return task(cfg) if task else 0.0

        monkeypatch.setattr(sys, "argv", ["train.py", *words])
        launch.main(noting)
        return calls

    return call


def refused(launched: Launch, capsys: pytest.CaptureFixture[str], *words: str, **more: object) -> str:
    """The one line on stderr of a call that ends with code 2."""
    with pytest.raises(SystemExit) as ending:
        launched(*words, **more)
    assert ending.value.code == 2
    text = capsys.readouterr().err
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("exp: ")
    return lines[0]


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
    hydras, told = capsys.readouterr().err.splitlines()  # a sweep runs its other jobs, then Hydra names the one
    assert hydras.startswith("Error executing job") and "is the folder of another run of this sweep" in told
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


def test_many_claims_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: claim_run(tmp_path / "a" / "run", movable=True), range(16)))
    assert len(set(folders)) == 16

    (tmp_path / "empty").mkdir()

    def attempt(_: int) -> bool:
        try:
            return claim_run(tmp_path / "empty", movable=False) == tmp_path / "empty"
        except ExpError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_a_start_that_was_killed_at_once_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    claimed = "import sys; from pathlib import Path; from exp.training.claim import claim_run; "
    claimed += "claim_run(Path(sys.argv[1]), movable=False)"
    subprocess.run([sys.executable, "-c", claimed, str(folder)], check=True)  # ends without run.json
    assert claim_run(folder, movable=False) == folder
    with pytest.raises(ExpError, match="exists already"):  # this process lives
        claim_run(folder, movable=False)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExpError, match="exists already"):
        claim_run(folder, movable=False)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExpError, match=r"cannot make the output folder .*Not a directory.*hydra\.run\.dir"):
        claim_run(tmp_path / "file" / "run", movable=True)
    with pytest.raises(ExpError, match="exists already"):
        claim_run(tmp_path / "file", movable=False)


@pytest.mark.parametrize("name", ["plain", "with space", "it's", "a=b,c", "${x}", "[1]{2}", "back\\slash"])
def test_quoted_paths_survive_the_grammar(tmp_path: Path, name: str) -> None:
    word = f"hydra.run.dir={quoted(tmp_path / name)}"
    value = OverridesParser.create().parse_override(word).value()
    assert str(DictConfig({"dir": value}).dir) == str(tmp_path / name)


def test_resume_becomes_the_saved_config_and_folder(
    launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "a run"
    [(cfg, _)] = launched("hydra.run.dir='a run'", "seed=7", "optimizer=sgd")
    saved = (folder / ".hydra" / "overrides.yaml").read_text()
    create(folder, OmegaConf.to_container(cfg, resolve=True))
    checkpoint = folder / "checkpoints" / "step-000004"
    checkpoint.mkdir(parents=True)
    for given in (folder, checkpoint):
        [(again, where)] = launched(f"resume='{given}'")
        assert where == folder
        assert again.resume == str(given)
        assert OmegaConf.masked_copy(again, [key for key in cfg if key != "resume"]) == OmegaConf.masked_copy(
            cfg, [key for key in cfg if key != "resume"]
        )
    assert (folder / ".hydra" / "overrides.yaml").read_text() == saved
    assert not (folder / "train.log").exists()
    told = refused(launched, capsys, f"resume='{folder}'", "optimizer=adamw")
    assert "optimizer=adamw cannot change a run that goes on" in told
    assert "seed (was 7, now 8)" in refused(launched, capsys, f"resume='{folder}'", "seed=8")


def test_resume_auto_finds_the_interrupted_run(launched: Launch) -> None:
    words = ["hydra.run.dir=outputs/${now:%Y-%m-%d-%f}", "seed=7", "optimizer=sgd"]  # a choice of parts is said again
    folders = []
    for status, more in (("completed", []), ("interrupted", []), ("interrupted", ["data_seed=8"])):
        [(cfg, folder)] = launched(*words, *more)
        create(folder, OmegaConf.to_container(cfg, resolve=True)).finish(status)
        folders.append(folder)
    [(_, found)] = launched(*words, "resume=auto")
    assert found == folders[1]
    [(_, fresh)] = launched(*words, "optimizer.lr=1", "resume=auto")
    assert fresh not in folders


def test_resume_auto_with_a_folder_of_options(launched: Launch, tmp_path: Path) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nmax_steps: 7\n")
    words = ["--config-dir", "conf", "experiment=mine", "hydra.run.dir=outputs/${now:%Y-%m-%d-%f}"]
    [(cfg, folder)] = launched(*words)
    create(folder, OmegaConf.to_container(cfg, resolve=True)).finish("interrupted")
    [(again, found)] = launched(*words, "resume=auto")
    assert found == folder and again.max_steps == 7


def test_the_config_of_a_run_that_goes_on_is_shown(
    launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    [(cfg, folder)] = launched("hydra.run.dir=first", "seed=9", "optimizer=sgd")
    create(folder, OmegaConf.to_container(cfg, resolve=True)).finish("interrupted")
    capsys.readouterr()
    assert launched("resume=first", "--cfg", "job") == []
    shown = OmegaConf.create(capsys.readouterr().out)
    assert (shown.seed, shown.optimizer, shown.resume) == (9, cfg.optimizer, str(folder))


def test_repeat_takes_the_config_and_a_new_folder(launched: Launch, tmp_path: Path) -> None:
    [(cfg, folder)] = launched("hydra.run.dir=first", "seed=9", "optimizer=sgd")
    create(folder, OmegaConf.to_container(cfg, resolve=True)).finish("completed")
    [(again, where)] = launched("repeat=first", "hydra.run.dir=second")
    assert where == tmp_path / "second" and again == cfg


@pytest.mark.parametrize("words", [["seed=8"], ["optimizer=adamw"], ["hydra.run.dir=other"]])
def test_a_resume_changes_nothing_of_the_run(
    launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    [(cfg, folder)] = launched("hydra.run.dir=first", "seed=7")
    create(folder, OmegaConf.to_container(cfg, resolve=True)).finish("interrupted")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    refused(launched, capsys, "resume=first", *words)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_resume_of_what_is_no_run(launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no such folder" in refused(launched, capsys, "resume=nowhere")
    (tmp_path / "empty").mkdir()
    assert "neither a run folder nor a checkpoint" in refused(launched, capsys, "resume=empty")


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

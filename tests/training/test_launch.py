from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal import utils as hydra_utils
from hydra._internal.execution_policy import execution_whitelist
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from exp.config.command_line import quoted
from exp.errors import ExpError
from exp.run.folder import create
from exp.training import launch

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
    lines = [line for line in text.splitlines() if not line.startswith("Error executing job")]
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
        ("~scheduler", "scheduler is missing from the config"),
        ("cache_dir=${oc.env:NO_SUCH_VARIABLE}", "cache_dir: Environment variable 'NO_SUCH_VARIABLE' not found"),
        ("hydra/launcher=nowhere", "hydra/launcher=nowhere: no such option"),
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

    before = hydra_utils.run_and_report
    assert "no column 'label'" in refused(launched, capsys, task=bad_input)
    with pytest.raises(ValueError, match="a bug"):
        launched(task=bug)
    with pytest.raises(SystemExit) as ending:
        launched(task=stopped)
    assert ending.value.code == 130
    assert hydra_utils.run_and_report is before


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


def test_a_study_goes_on_in_its_folder(tmp_path: Path) -> None:
    """Other sweepers are refused the same folder."""
    (tmp_path / "study.db").write_text("")
    words = ["hydra/sweeper=study", f"hydra.sweep.dir={quoted(tmp_path)}"]
    with initialize_config_dir(str(launch.conf_dir()), job_name="train"):
        study = compose("train", overrides=words, return_hydra_config=True)
        basic = compose("train", overrides=words[1:], return_hydra_config=True)
    launch.Claim().on_multirun_start(study)
    assert study.hydra.sweep.dir == str(tmp_path)
    with pytest.raises(SystemExit):
        launch.Claim().on_multirun_start(basic)
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_a_wrong_swept_value_fails_before_its_task(launched: Launch, capsys: pytest.CaptureFixture[str]) -> None:
    done: list[float] = []

    def task(cfg: DictConfig) -> float:
        done.append(cfg.optimizer.lr)
        return 0.0

    assert "optimizer.lr='fast'" in refused(launched, capsys, "-m", "optimizer.lr=1e-5,fast", task=task)
    assert done == [1e-5]


def test_many_claims_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: launch.claim(tmp_path / "a" / "run", movable=True), range(16)))
    assert len(set(folders)) == 16

    (tmp_path / "empty").mkdir()

    def attempt(_: int) -> bool:
        try:
            return launch.claim(tmp_path / "empty", movable=False) == tmp_path / "empty"
        except ExpError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_a_start_that_was_killed_at_once_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    claimed = "import sys; from pathlib import Path; from exp.training import launch; "
    claimed += "launch.claim(Path(sys.argv[1]), movable=False); Path(sys.argv[1], '.hydra').mkdir()"
    subprocess.run([sys.executable, "-c", claimed, str(folder)], check=True)  # ends without run.json
    assert launch.claim(folder, movable=False) == folder
    with pytest.raises(ExpError, match="taken by another run"):  # this process lives
        launch.claim(folder, movable=False)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExpError, match="exists already"):
        launch.claim(folder, movable=False)


def test_two_jobs_of_a_sweep_never_share_a_folder(
    launched: Launch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def leaves_a_record(cfg: DictConfig) -> float:
        folder = Path(HydraConfig.get().runtime.output_dir)
        if not (folder / "run.json").exists():
            create(folder, OmegaConf.to_container(cfg, resolve=True))  # type: ignore[arg-type]
        return 0.0

    words = ["-m", "hydra.sweep.dir=s", "hydra.sweep.subdir=seed${seed}", "optimizer.lr=1e-4,1e-3"]
    assert "belongs to another job of this sweep" in refused(launched, capsys, *words, task=leaves_a_record)
    assert "optimizer.lr=0.0001" in (tmp_path / "s" / "seed42" / ".hydra" / "overrides.yaml").read_text()
    without_record = [words[0], "hydra.sweep.dir=t", *words[2:]]
    assert "belongs to another job of this sweep" in refused(launched, capsys, *without_record)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExpError, match=r"cannot make the output folder .*Not a directory.*hydra\.run\.dir"):
        launch.claim(tmp_path / "file" / "run", movable=True)
    with pytest.raises(ExpError, match="exists already"):
        launch.claim(tmp_path / "file", movable=False)


@pytest.mark.parametrize("target", ["os.system", "exp.run.environment.subprocess.run", "builtins.eval"])
def test_a_config_cannot_call_what_is_not_listed(target: str) -> None:
    with execution_whitelist(launch.WHITELIST), pytest.raises(InstantiationException):
        instantiate({"_target_": target, "_args_": ["echo never"]})


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

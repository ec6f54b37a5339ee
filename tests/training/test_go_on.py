from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from exp.run.folder import create
from tests.training.conftest import Launch, refused


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

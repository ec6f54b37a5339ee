"""What a run may go on with: compared with what was recorded when it began, never with files that can be edited."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from exp.errors import ExpError
from exp.run.events import EventLog, read_events
from exp.run.folder import create, name_of, read_record
from exp.training import resume


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "train.csv").write_text("text,label\ngood,pos\nbad,neg\n")
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text("{}")
    return {
        "seed": 1,
        "resume": None,
        "cache_dir": str(tmp_path / "cache"),
        "load_best_model_at_end": False,
        "num_train_epochs": 3,
        "data": {"path": None, "train_file": str(tmp_path / "train.csv")},
        "model": {"path": str(tmp_path / "bert")},
        "optimizer": {"lr": 1e-3},
        "scheduler": {"_target_": "exp.optim.schedule.linear", "warmup_ratio": 0.0},
        "tracker": {"wandb": {"project": "a"}},
    }


@pytest.fixture
def folder(tmp_path: Path, config: dict[str, Any]) -> Path:
    """A run that was interrupted."""
    place = tmp_path / "run"
    (place / ".hydra").mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(config), place / ".hydra" / "config.yaml")
    create(place, config).finish("interrupted", "SIGTERM")
    return place


def changed(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    group, _, name = key.partition(".")
    return {**config, group: {**config[group], name: value} if name else value}


def checkpoint(folder: Path, step: int, metrics_bytes: int, best_step: int | None = None) -> Path:
    from exp.loop import checkpoint as checkpoints

    counters = {"stopping": {"best_step": best_step}}
    state = {"step": step, "processes": 1, "metrics_bytes": metrics_bytes, "counters": counters}
    return checkpoints.save(folder / "checkpoints", state, {}, {}).path


def test_the_same_goes_on_and_a_tracker_may_change(folder: Path, config: dict[str, Any]) -> None:
    assert resume.check_goes_on(folder, config) == {}
    assert resume.check_goes_on(folder, changed(config, "tracker.wandb", {"project": "b"})) == {}


def test_an_edited_config_file_is_compared_with_the_record(folder: Path, config: dict[str, Any]) -> None:
    edited = changed(config, "optimizer.lr", 2e-3)
    OmegaConf.save(OmegaConf.create(edited), folder / ".hydra" / "config.yaml")
    with pytest.raises(ExpError, match=r"changes optimizer.lr \(was 0.001, now 0.002\); start a new run"):
        resume.check_goes_on(folder, edited)


def test_other_data_and_another_model_are_refused_by_name(folder: Path, config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\ngood,neg\nbad,pos\n")
    with pytest.raises(ExpError, match=r"data.train_file=.*train.csv holds other contents than when the run began"):
        resume.check_goes_on(folder, config)
    (tmp_path / "train.csv").write_text("text,label\ngood,pos\nbad,neg\n")
    (tmp_path / "bert" / "config.json").write_text('{"hidden_size": 2}')
    with pytest.raises(ExpError, match=r"model.path=.*bert holds other contents"):
        resume.check_goes_on(folder, config)


def test_data_that_moved_are_named_anew(folder: Path, config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = str(shutil.move(tmp_path / "train.csv", tmp_path / "elsewhere" / "renamed.csv"))
    with pytest.raises(ExpError, match="is not there any more"):
        resume.check_goes_on(folder, config)
    now = changed(config, "data.train_file", moved)
    assert resume.check_goes_on(folder, now) == {}
    run = resume.go_on(folder, now)
    assert read_record(folder)["config"]["data"]["train_file"] == moved
    assert run.condition == read_record(folder)["condition"]
    assert OmegaConf.load(folder / ".hydra" / "config.yaml").data.train_file == moved
    Path(moved).write_text("text,label\ngood,neg\n")
    with pytest.raises(ExpError, match="holds other contents"):
        resume.check_goes_on(folder, now)


def test_other_rows_are_noticed_when_they_are_read(folder: Path, config: dict[str, Any]) -> None:
    run = resume.go_on(folder, config)
    resume.check_same_data(run, "a" * 64)  # the run had not read its data yet
    run.update(data={"fingerprint": "a" * 64})
    resume.check_same_data(run, "a" * 64)
    with pytest.raises(ExpError, match="the data have other rows"):
        resume.check_same_data(run, "b" * 64)


def test_files_that_are_gone_say_where_the_run_was_started(
    folder: Path, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.csv").unlink()
    started = Path.cwd()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExpError, match="no such file") as told, resume.told_where_started(folder):
        raise ExpError("no such file")
    assert f"started in {started}" in str(told.value) and "data.train_file=..." in str(told.value)


def test_a_run_of_the_first_version_is_refused_in_one_line(folder: Path, config: dict[str, Any]) -> None:
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "schema": 1}))
    assert read_record(folder)["condition"] == record["condition"]  # readable
    with pytest.raises(ExpError, match="started by the first version of exp"):
        resume.check_goes_on(folder, config)


@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints", "train.log", "model/README.md"])
def test_nothing_is_written_through_a_link_out_of_the_folder(
    name: str, folder: Path, config: dict[str, Any], tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir() if name == "checkpoints" else theirs.write_text("mine")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(theirs)
    with pytest.raises(ExpError, match="is a link out of the run folder"):
        resume.check_goes_on(folder, config)


def test_a_folder_without_room_is_one_line(
    folder: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ExpError, match=r"cannot write into .*: No space left on device. Make room"):
        resume.check_goes_on(folder, config)


def events(folder: Path, *steps: int) -> list[int]:
    """Writes one event a step; the size of metrics.jsonl after each."""
    log, sizes = EventLog(folder / "metrics.jsonl"), []
    for step in steps:
        log.append({"train/loss": 1 / step}, step=step, epoch=step / 10)
        sizes.append((folder / "metrics.jsonl").stat().st_size)
    log.close()
    return sizes


def steps(folder: Path) -> list[int]:
    return [event.step for event in read_events(folder / "metrics.jsonl")]


def test_events_after_the_checkpoint_are_cut(folder: Path, config: dict[str, Any]) -> None:
    sizes = events(folder, 1, 2, 3, 4)
    checkpoint(folder, 3, sizes[2])
    resume.go_on(folder, config)
    assert steps(folder) == [1, 2, 3] and read_record(folder)["logged_until"] == 4


@pytest.mark.parametrize(("cut_to", "left"), [(0, []), (1, []), (-1, [1]), (-10, [1])])
def test_a_shorter_file_than_the_checkpoint_remembers_is_never_padded(
    cut_to: int, left: list[int], folder: Path, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    sizes = events(folder, 1, 2, 3)
    checkpoint(folder, 3, sizes[2])
    os.truncate(folder / "metrics.jsonl", cut_to if cut_to >= 0 else sizes[1] + cut_to)
    resume.go_on(folder, config)
    assert steps(folder) == left and b"\0" not in (folder / "metrics.jsonl").read_bytes()
    assert "metrics.jsonl is shorter than it was at the checkpoint of step 3" in caplog.text


def test_a_named_checkpoint_is_gone_on_from_and_later_ones_are_set_aside(folder: Path, config: dict[str, Any]) -> None:
    sizes = events(folder, 1, 2, 3, 4)
    paths = [checkpoint(folder, step, sizes[step - 1]) for step in (2, 3, 4)]
    resume.go_on(folder, {**config, "resume": str(paths[0])})
    assert steps(folder) == [1, 2]
    assert sorted(path.name for path in (folder / "checkpoints").glob("step-*")) == [name_of(2)]
    assert sorted(path.name for path in (folder / "checkpoints" / "set_aside").iterdir()) == [name_of(3), name_of(4)]


def test_a_named_checkpoint_has_to_be_whole_and_its_best_weights_there(folder: Path, config: dict[str, Any]) -> None:
    sizes = events(folder, 1, 2, 3, 4)
    paths = [checkpoint(folder, step, sizes[step - 1], best_step=1) for step in (2, 3)]
    wants_best = {**config, "resume": str(paths[0]), "load_best_model_at_end": True}
    with pytest.raises(ExpError, match="the best weights until then, of step 1, are gone"):
        resume.check_goes_on_from(folder, 2, wants_best)
    (paths[0] / "state.json").write_text("{}")
    with pytest.raises(ExpError, match="is damaged"):
        resume.check_goes_on_from(folder, 2, config)
    with pytest.raises(ExpError, match="neither a run folder nor a checkpoint"):
        resume.named_step(folder, str(folder / "checkpoints" / "step-000003.bak"))
    assert len(list((folder / "checkpoints").glob("step-*"))) == 2 and steps(folder) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "text", ["[]", "3", "{}", '{"step": 9}', "[" * 100_000, "not json", '{"weights.safetensors": []}']
)
def test_copies_and_damaged_manifests_are_passed_over(
    text: str, folder: Path, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    sizes = events(folder, 1, 2, 3)
    good, bad = (checkpoint(folder, step, sizes[step - 1]) for step in (1, 3))
    shutil.copytree(bad, bad.with_name(f"{bad.name}.bak"))
    (bad / "manifest.json").write_text(text)
    resume.go_on(folder, config)
    assert steps(folder) == [1]
    assert f"checkpoint {bad.name} is damaged" in caplog.text and f"going on from {good.name}" in caplog.text


@pytest.mark.parametrize("text", ["[]", "null", '{"schema": 2}', '{"config": []}', "{", "[" * 100_000])
def test_a_record_that_is_none_is_one_line(text: str, folder: Path) -> None:
    (folder / "run.json").write_text(text)
    with pytest.raises(ExpError) as told:
        read_record(folder)
    assert "run.json" in str(told.value) and "\n" not in str(told.value)


def test_what_changed_since_the_run_began_is_said_and_kept(
    folder: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = json.loads((folder / "run.json").read_text())
    now["packages"] = {**now["packages"], "torch": "99.0"}
    monkeypatch.setattr(resume, "surroundings", lambda: now)
    resume.go_on(folder, config)
    assert "since this run began: package torch: 2." in caplog.text and "99.0 now" in caplog.text
    assert "torch" in read_record(folder)["changed_on_resume"][0][0]


def test_a_folder_of_data_is_compared_by_its_rows(folder: Path, config: dict[str, Any], tmp_path: Path) -> None:
    place = tmp_path / "glue"
    place.mkdir()
    (place / "train.tsv").write_text("one\n")
    own = {**config, "data": {"path": str(place)}}
    (folder / "run.json").unlink()
    run = create(folder, own)
    (place / "README").write_text("downloaded again")
    with pytest.raises(ExpError, match=r"data.path=.*holds other contents"):  # the run has not read its rows yet
        resume.check_goes_on(folder, own)
    run.update(data={"fingerprint": "a" * 64})
    assert resume.check_goes_on(folder, own) == {}
    place.rename(tmp_path / "moved")
    assert resume.check_goes_on(folder, {**config, "data": {"path": str(tmp_path / "moved")}}) == {}

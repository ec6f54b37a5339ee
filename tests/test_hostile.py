"""Folders, tables and studies from someone else: no command runs their code, or writes where it was not asked to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from exp import evaluate, predict, reproduce, share, train
from exp.analysis.tables.compose import CellComposer
from exp.config.compose import compose, plain
from exp.errors import ExpError
from exp.options import trust
from exp.run.folder import create
from exp.study import frozen_config
from exp.training.launch import check_config
from tests import forked

PLACES = ("data", "model", "precision", "speed", "hub", "loop", "optimizer", "tracker.evil")


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that exists once foreign code has run. The working folder is empty beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "code_ran"


def hostile_nodes(mark: Path) -> dict[str, dict[str, Any]]:
    harmless = plain(compose([]))["data"]
    write = {"_target_": "exp.run.files.write_atomic", "path": str(mark), "text": "x"}
    return {
        "a function of exp": write,
        "a method of a class of exp": {"_target_": "exp.run.events.EventLog.append", "_args_": [write]},
        "a program": {"_target_": "os.system", "command": f"touch {mark}"},
        "nested": {**harmless, "train_size": write},
        "deep in a list": {**harmless, "train_size": [{"x": [write]}]},
        "positional": {**harmless, "_args_": [write]},
        "a function by name": {**plain(compose(["model=own_tiny", "model.make=x.y"]))["model"], "make": "os.system"},
    }


def run_folder(folder: Path, config: dict[str, Any], status: str) -> Path:
    """A run as it lies on a disk, with a model of no weights."""
    folder.mkdir()
    run = create(folder, config)
    run.update(data={"text_columns": ["text"], "label_names": ["a", "b"], "metrics": ["accuracy"], "fingerprint": "x"})
    run.finish(status)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    (folder / "metrics.jsonl").write_text("")
    (folder / "result.json").write_text(
        json.dumps({"status": status, "objective": {}, "best": {}, "last": {}, "cost": {}, "stopped_early": False})
    )
    (folder / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / "model" / name).write_text("{}")
    return folder


def with_node(place: str, node: dict[str, Any]) -> dict[str, Any]:
    config = plain(compose(["tracker=none"]))
    group, _, name = place.partition(".")
    config[group] = {name: node} if name else node
    return config


def trained(*words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    train.main()


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        *((place, "a function of exp") for place in PLACES),
        *(("model" if "by name" in kind else "data", kind) for kind in hostile_nodes(Path("x"))),
    ],
)
def test_no_part_of_a_run_folder_runs_code(
    place: str, kind: str, mark: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_node(place, hostile_nodes(mark)[kind])
    evil = run_folder(mark.parent / "evil", config, "completed")
    before = contents(mark.parent)
    for command in (
        lambda: evaluate.evaluate(str(evil), {}),
        lambda: predict.predict([str(evil)], {"data.split": "test"}),
        lambda: predict.predict([str(evil)], {}),
        lambda: share.share(str(evil), {"repo_id": "me/mine"}),
    ):
        with pytest.raises(ExpError, match=rf"^{place}\b"):
            command()
    for words in ([f"resume={evil}"], [f"repeat={evil}", "hydra.run.dir=new"]):
        with pytest.raises(SystemExit) as ending:
            trained(*words, monkeypatch=monkeypatch)
        assert ending.value.code == 2
        assert capsys.readouterr().err.startswith(f"exp: {place}")
    assert contents(mark.parent) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "text",
    [
        "hydra:\n  callbacks:\n    z: {_target_: os.system}\n",
        "hydra: {job: {env_set: {PATH: /tmp}}}\n",
        "hydra: {searchpath: ['pkg://os']}\n",
        "defaults: [/hydra/launcher: evil]\n",
    ],
)
def test_a_saved_config_brings_nothing_of_hydra(
    text: str, mark: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = run_folder(mark.parent / "evil", plain(compose(["tracker=none"])), "interrupted")
    with (evil / ".hydra" / "config.yaml").open("a") as file:
        file.write(text)
    with pytest.raises(SystemExit):
        trained(f"resume={evil}", monkeypatch=monkeypatch)
    assert "was edited, and is not read" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_reproduced_by_this_exp_and_no_other(mark: Path) -> None:
    """The record names the working folder; a package exp there, and a pyproject.toml that trusts, are not ours."""
    home = mark.parent / "home of the run"
    for package in ("exp", "evil_pkg"):
        (home / package).mkdir(parents=True)
        (home / package / "__init__.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (home / "exp" / "train.py").write_text("")
    (home / "pyproject.toml").write_text("[tool.exp]\ntrust = ['evil_pkg']\n")
    evil = run_folder(mark.parent / "evil", with_node("optimizer", {"_target_": "evil_pkg.x"}), "completed")
    record = json.loads((evil / "run.json").read_text())
    (evil / "run.json").write_text(json.dumps({**record, "cwd": str(home)}))
    done = subprocess.run([sys.executable, "-m", "exp.reproduce", str(evil)], capture_output=True, text=True)
    assert done.returncode == 2 and "optimizer._target_=evil_pkg.x is not trusted" in done.stderr, done.stderr
    code = "import exp; print(exp.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=reproduce._environment(record), capture_output=True, text=True
    )
    assert where.stdout.strip() == sys.modules["exp"].__file__
    assert not mark.exists()


def test_links_that_lead_out_are_not_written_through(
    mark: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = mark.parent / "home"
    outside.mkdir()
    evil = run_folder(mark.parent / "evil", plain(compose(["tracker=none"])), "interrupted")
    (evil / "checkpoints").symlink_to(outside)
    with pytest.raises(SystemExit):
        trained(f"resume={evil}", monkeypatch=monkeypatch)
    assert "is a link that leads out of the run folder" in capsys.readouterr().err
    (evil / "checkpoints").unlink()
    (evil / "predictions").symlink_to(outside)
    from exp.saved import finished, predictions

    with pytest.raises(ExpError, match="is a link that leads out"):
        predictions.targets(finished.find(str(evil)), "test", {})
    (evil / "model" / "notes.txt").symlink_to(outside / "secret")
    with pytest.raises(ExpError, match="is a link that leads out"):
        share.share(str(evil), {"repo_id": "me/mine"})
    assert list(outside.iterdir()) == []


def test_evaluation_caches_where_this_user_does(mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exp.saved import finished

    monkeypatch.setenv("EXP_CACHE", str(mark.parent / "mine"))
    config = {**plain(compose(["tracker=none"])), "cache_dir": str(mark.parent / "home" / ".ssh")}
    evil = run_folder(mark.parent / "evil", config, "completed")
    assert finished.find(str(evil)).config["cache_dir"] == str(mark.parent / "mine")


def test_modules_are_not_looked_for_in_the_runs_working_folder(mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exp.saved.finished import standing_in

    home = mark.parent / "home"
    home.mkdir()
    (home / "evil_module_of_the_run.py").write_text(f"open({str(mark)!r}, 'w')\n")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    with standing_in(str(home)), pytest.raises(ModuleNotFoundError):
        __import__("evil_module_of_the_run")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../../evil.yaml", "/tmp/evil.yaml", "a/../../evil.yaml", "evil.py", ".bashrc"])
def test_a_studys_files_stay_in_its_folder(name: str, mark: Path) -> None:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from exp.options.confdir import conf_dir

    folder = mark.parent / "deep" / "study" / "config"
    with initialize_config_dir(str(conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        with pytest.raises(ExpError, match="which exp never writes"):
            frozen_config.frozen_loader(loader, [{"train.yaml": "seed: 1\n", name: "x: 1\n"}], folder)
    written = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert written == [Path("0/train.yaml")] and not list(mark.parent.glob("*evil*"))


def test_a_studys_config_is_checked_before_its_trial_runs(mark: Path) -> None:
    from exp.training.launch import Job

    def task(cfg: Any, trial: Any) -> None:
        raise AssertionError("it was run")

    for words in (
        ["+hydra.job.env_set.PATH=/tmp"],
        ["hydra.job.chdir=true"],
        ["optimizer._target_=os.system"],
        ["hydra/job_logging=default"],
    ):
        with pytest.raises(ExpError):
            Job(task).check(compose(words))


def test_a_table_trusts_nothing(mark: Path) -> None:
    write = "exp.run.files.write_atomic"
    for words in ([f"data._target_={write}"], [f"++tracker.evil={{_target_: {write}, path: {mark}, text: x}}"]):
        with pytest.raises(ExpError, match="is not trusted"):
            check_config(compose(words))
        CellComposer(words, [], None)  # planning composes, and makes nothing
    assert not mark.exists()


def test_readers_run_nothing(mark: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    runs = mark.parent / "runs"
    runs.mkdir()
    for kind, node in hostile_nodes(mark).items():
        run_folder(
            runs / kind.replace(" ", "_"), with_node("task" if kind == "a program" else "data", node), "completed"
        )
    before = contents(mark.parent)
    for command in (["compare", str(runs)], ["curves", str(runs)], ["runs", "list", str(runs)]):
        done = forked.run(f"exp.{command[0]}", *command[1:], cwd=Path.cwd(), env=os.environ)
        assert "Traceback" not in done.stderr, (command, done.stderr)
    after = {name: text for name, text in contents(mark.parent).items() if name in before}
    assert after == before and not mark.exists()


def test_the_whitelist_names_options_and_no_package() -> None:
    assert not [name for name in trust.whitelist() if name.endswith("*")]
    assert not [name for name in trust.whitelist() if ".run." in name or ".study." in name or ".work." in name]


def test_files_beside_runs_trust_nothing(mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pyproject.toml, rules and views in a folder of runs, or in --config-dir, are nobody's."""
    from exp.analysis.tables.views import view
    from exp.curves.own_rules import own_rules
    from exp.options import project

    runs = mark.parent / "runs"
    evil = run_folder(mark.parent / "evil", plain(compose(["tracker=none"])), "completed")
    for folder in (runs, evil, evil / ".hydra"):
        for group in ("verdict", "view"):
            (folder / "conf" / group).mkdir(parents=True, exist_ok=True)
            (folder / "conf" / group / "evil.yaml").write_text("_target_: os.system\n")
        (folder / "pyproject.toml").write_text("[tool.exp]\ntrust = ['antigravity']\nconf = 'conf'\n")
    compose(["tracker=none"], config_dir=evil / "conf")
    assert project.packages() == () and not own_rules()
    with pytest.raises(ExpError, match="view=evil: no such view"):
        view("evil")

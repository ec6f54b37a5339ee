"""One function composes for every command, over one search path."""

from __future__ import annotations

from pathlib import Path

import pytest

from exp.analysis.tables import load, plan
from exp.analysis.tables.compose import CellComposer
from exp.config.compose import compose, plain, search_path
from exp.errors import ExpError
from exp.options.confdir import conf_dir
from exp.training.table_runs import table_jobs


@pytest.fixture
def options(tmp_path: Path) -> Path:
    """A folder of options as --config-dir names it."""
    folder = tmp_path / "it's a folder" / "conf"
    for group in ("experiment", "optimizer", "table"):
        (folder / group).mkdir(parents=True)
    (folder / "experiment" / "mine.yaml").write_text("# @package _global_\nmax_steps: 7\n")
    (folder / "optimizer" / "adamw.yaml").write_text("lr: 9.0\n")
    table = (conf_dir() / "table" / "offline_demo.yaml").read_text()
    (folder / "table" / "mine.yaml").write_text(table)
    return folder


def test_the_search_path_in_order(options: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "conf").mkdir(parents=True)
    (project / "own_pkg" / "conf").mkdir(parents=True)
    (project / "own_pkg" / "__init__.py").write_text("")
    (project / "pyproject.toml").write_text("[tool.exp]\nconf = 'conf'\ntrust = ['own_pkg']\n")
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    expected = [conf_dir(), project / "conf", project / "own_pkg" / "conf", options]
    assert search_path(options) == expected
    cfg = compose([], config_dir=options)
    found = [source.path for source in cfg.hydra.runtime.config_sources if source.schema == "file"]
    assert found == [str(folder) for folder in expected]


def test_an_option_of_ours_is_not_replaced_by_another_folder(options: Path) -> None:
    assert compose(["optimizer=adamw"], config_dir=options).optimizer.lr != 9.0
    assert compose(["experiment=mine"], config_dir=options).max_steps == 7
    with pytest.raises(ExpError, match="experiment=mine: no such option"):
        compose(["experiment=mine"])
    with pytest.raises(ExpError, match="--config-dir nowhere: there is no such folder"):
        compose([], config_dir=Path("nowhere"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("experiment=mrpc_brt", "did you mean 'mrpc_bert'"),
        ("sweep=lrr", "did you mean 'lr'"),
        ("recipe=bert_tny", "did you mean 'bert_tiny'"),
        ("recipe/schedule=nosuch", "recipe/schedule=nosuch: no such option"),
        ("optimizer=nosuch", "optimizer=nosuch: no such option"),
        ("tracker=[wandb,tensorbord]", "tracker=tensorbord: no such option; did you mean 'tensorboard'"),
    ],
)
@pytest.mark.parametrize("multirun", [False, True])
def test_a_misspelt_preset_is_refused(word: str, expected: str, multirun: bool) -> None:
    with pytest.raises(ExpError) as error:
        compose([word], multirun=multirun)
    assert expected in str(error.value) and "\n" not in str(error.value)


def saved(folder: Path, text: str) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(text)
    return folder


def test_a_saved_config_is_the_base(tmp_path: Path) -> None:
    run = saved(tmp_path / "ru'n", "seed: 3\noptimizer: {lr: 1.0}\n")
    cfg = compose(["optimizer.lr=2.0"], saved=run)
    assert plain(cfg) == {"seed": 3, "optimizer": {"lr": 2.0}}
    assert cfg.hydra.job.name == "train"


@pytest.mark.parametrize(
    "text",
    [
        "hydra: {callbacks: {z: {_target_: os.system}}}\n",
        "defaults: [optimizer: adamw]\n",
        "# @package hydra\nrun: {dir: x}\n",
        "{defaults: [a], seed: 1}\n",
        '"hydra": {}\n',
        "- 1\n",
        "a: [\n",
        "",
    ],
)
def test_a_saved_config_chooses_nothing_and_has_no_hydra_node(tmp_path: Path, text: str) -> None:
    with pytest.raises(ExpError) as error:
        compose([], saved=saved(tmp_path / "run", text))
    assert "config.yaml" in str(error.value) and "\n" not in str(error.value)


def test_tables_and_their_workers_see_the_folder(options: Path, tmp_path: Path) -> None:
    words = ["experiment=mine"]
    assert CellComposer(words, [], tmp_path / "cache", options).root["max_steps"] == 7
    with pytest.raises(ExpError, match="experiment=mine: no such option"):
        CellComposer(words, [], tmp_path / "cache")
    with table_jobs([], tmp_path / "table", options, lambda cfg, trial: None) as jobs:
        assert jobs.compose(words, "cell", 0).max_steps == 7
    assert "mine" in load.names(options) and "mine" not in load.names()
    table = load.load("mine", config_dir=options)
    assert table.config_dir == options
    assert plan.make(table, [], (), False).jobs


def test_a_change_of_any_folder_renews_a_tables_cache(options: Path, tmp_path: Path) -> None:
    first = CellComposer(["experiment=mine"], [], tmp_path / "cache", options)
    first.save()
    (options / "experiment" / "mine.yaml").write_text("# @package _global_\nmax_steps: 1234\n")
    again = CellComposer(["experiment=mine"], [], tmp_path / "cache", options)
    assert again.root["max_steps"] == 1234


@pytest.mark.parametrize("word", ["hydra.run.dir=/tmp/x", "hydra.job.env_set.PATH=/tmp", "hydra/launcher=basic"])
def test_a_table_does_not_say_how_hydra_starts_runs(word: str) -> None:
    with pytest.raises(ExpError, match="a table says what its runs compute"):
        CellComposer([word], [], None)

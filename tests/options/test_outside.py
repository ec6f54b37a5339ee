"""Parts of a project that no config chooses, two options with one name, and the project's own defaults."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exp.analysis.tables.views import view
from exp.config.compose import compose
from exp.config.schema import schemas
from exp.curves.curve import Facts, build
from exp.curves.rules import verdict
from exp.curves.verdict import Thresholds
from exp.errors import ExpError
from exp.options import outside, trust
from exp.options import project as own_project
from exp.run.events import Event
from exp.study.samplers import make_pruner
from exp.training.launch import check_config
from tests.outside import option, project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = project(tmp_path / "project")
    monkeypatch.chdir(made)
    path = list(sys.path)
    yield made
    sys.path[:] = path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("acme", "other")]:
        del sys.modules[name]


def judged() -> tuple[str, tuple[str, ...]]:
    events = [Event(step, step / 10, 0.0, {"train/loss": 10 / step, "eval/loss": 0.5}) for step in (10, 20, 30, 40)]
    found = verdict(build(events), Facts(), Thresholds())
    return found.title, found.remedies


def test_a_verdict_rule(folder: Path) -> None:
    before = judged()
    option(folder, "verdict/slow_start.yaml", "_target_: acme.rules.SlowStart\nfirst_step: 10\n", "acme/conf")
    outside._parts.cache_clear()
    assert judged() == ("slow start", ("warm up for fewer steps",)) != before


def test_a_rule_that_raises_is_named_and_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = judged()
    option(folder, "verdict/odd.yaml", "_target_: acme.rules.never\n")
    option(folder, "verdict/broken.yaml", "_target_: acme.rules.Broken\n")
    outside._parts.cache_clear()
    assert judged() == before
    assert "the verdict rule broken fails and is left out" in caplog.text


@pytest.mark.parametrize("place", ["acme/conf", "conf"])
def test_an_option_that_is_no_yaml_hinders_no_other(place: str, folder: Path) -> None:
    option(folder, "loss/broken.yaml", "_target_: [\n", place)
    if place == "conf":
        (folder / "pyproject.toml").write_text("[tool.exp]\ntrust = ['acme']\nconf = 'conf'\n")
    trust._places.cache_clear()
    check_config(compose([]))
    with pytest.raises(ExpError, match="YAML"):
        compose(["loss=broken"])
    with pytest.raises(ExpError, match=r"loss/broken\.yaml is no valid YAML"):
        schemas()


def test_a_view(folder: Path) -> None:
    assert view("counts").__name__ == "counts"
    with pytest.raises(ExpError, match="view=count: no such view; did you mean 'counts'"):
        view("count")


def test_a_rule_of_nobody_that_is_trusted(folder: Path) -> None:
    """The YAMLs of a trusted package are trusted as its code is; those of a folder of options are not."""
    option(folder, "view/evil.yaml", "_target_: os.system\n", "conf")
    (folder / "pyproject.toml").write_text("[tool.exp]\ntrust = ['acme']\nconf = 'conf'\n")
    outside._parts.cache_clear()
    with pytest.raises(ExpError, match=r"view\._target_=os\.system is not trusted"):
        view("evil")


def test_a_pruner(folder: Path) -> None:
    assert type(make_pruner({"_target_": "acme.search.Everything"})).__name__ == "Everything"


def test_two_packages_with_one_option_are_both_named(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "__init__.py").write_text("")
    option(folder, "model/mean.yaml", "_target_: other.Mean\n", "other/conf")
    (folder / "pyproject.toml").write_text("[tool.exp]\ntrust = ['acme', 'other']\n")
    compose(["model=bert_tiny"])  # nobody asks for it
    with pytest.raises(ExpError) as error:
        compose(["model=mean"])
    said = str(error.value)
    assert f"{folder}/acme/conf/model/mean.yaml" in said and f"{folder}/other/conf/model/mean.yaml" in said


def test_exps_own_option_keeps_its_name(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    option(folder, "optimizer/sgd.yaml", "_target_: acme.Sgd\n")
    assert compose(["optimizer=sgd"]).optimizer._target_.startswith("exp.")
    assert f"optimizer=sgd is exp's own, not {folder}/acme/conf/optimizer/sgd.yaml" in caplog.text


def test_defaults_of_a_project(folder: Path) -> None:
    text = "[tool.exp]\ntrust = ['acme']\ntracker = ['lines']\noutputs = 'results'\nmultirun = 'many'\n"
    (folder / "pyproject.toml").write_text(text)
    cfg = compose([])
    assert list(cfg.tracker) == ["lines"]
    assert str(cfg.hydra.run.dir).startswith(f"{folder}/results/20")
    assert str(cfg.hydra.sweep.dir).startswith(f"{folder}/many/20")
    assert list(compose(["tracker=wandb"]).tracker) == ["wandb"]
    assert list(compose(["experiment=debug"]).tracker) == []  # what a preset chooses is no default
    option(folder, "experiment/mine.yaml", "# @package _global_\ndefaults: [debug]\nseed: 3\n")
    assert list(compose(["experiment=mine"]).tracker) == []
    assert compose(["hydra.run.dir=here"]).hydra.run.dir == "here"
    assert own_project.homes() == [folder / "results", folder / "many"]


def test_an_editable_install_brings_its_projects_options(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package lies in its project, whose options lie beside it; one stands somewhere else."""
    (folder / "pyproject.toml").write_text("[tool.exp]\ntrust = ['acme']\nconf = 'conf'\n")
    option(folder, "optimizer/own.yaml", "_target_: acme.Own\nown: 1\n", "conf")
    announce(folder / "site", "acme", "acme")
    (folder / "away").mkdir()
    for entry in (folder, folder / "site"):
        monkeypatch.syspath_prepend(str(entry))
    monkeypatch.chdir(folder / "away")
    own_project._packages.cache_clear()
    try:
        assert [package.origin for package in own_project.packages()] == ["entry point acme of acme"]
        assert compose(["optimizer=own"]).optimizer.own == 1
    finally:
        own_project._packages.cache_clear()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tracker = 3", "tracker=3 must be a name or a list of names"),
        ("tracker = ['a b']", "must be a name or a list of names"),
        ("outputs = ''", "outputs='' must be a folder"),
        ("trust = ['exp.run']", "names exp.run, which is exp's own"),
    ],
)
def test_wrong_defaults(folder: Path, text: str, said: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.exp]\n{text}\n")
    with pytest.raises(ExpError) as error:
        own_project.packages()
    assert said in str(error.value)


def announce(folder: Path, name: str, module: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[exp.parts]\n{name} = {module}\n")


def test_an_entry_point_that_is_broken_is_named_and_the_others_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a namespace package the part below is found, and nothing is imported."""
    site = folder / "site"
    (site / "space" / "parts" / "conf" / "optimizer").mkdir(parents=True)
    (site / "space" / "parts" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (site / "space" / "parts" / "conf" / "optimizer" / "mine.yaml").write_text("_target_: space.parts.Mine\nown: 1\n")
    announce(site, "gone", "gone_pkg")
    announce(site, "space", "space.parts")
    monkeypatch.syspath_prepend(str(site))
    own_project._packages.cache_clear()
    try:
        names = [package.name for package in own_project.packages()]
        assert names == ["space.parts", "acme"]
        assert "entry point gone of gone names gone_pkg, and there is no such package" in caplog.text
        assert compose(["optimizer=mine"]).optimizer.own == 1
        assert "space" not in sys.modules
    finally:
        own_project._packages.cache_clear()


def test_a_wrong_signature_names_the_argument(folder: Path) -> None:
    from exp.training.launch import check_config

    (folder / "acme" / "optim.py").write_text("def made(model, lr, beta):\n    pass\n")
    option(folder, "optimizer/made.yaml", "_target_: acme.optim.made\n_partial_: true\nlr: 0.1\nbetta: 1\n")
    with pytest.raises(ExpError, match=r"optimizer\.betta: no such key; did you mean 'beta'"):
        check_config(compose(["optimizer=made"]))
    with pytest.raises(ExpError, match=r"made is called as \(model\).*missing a required argument: 'beta'"):
        check_config(compose(["optimizer=made", "~optimizer.betta"]))
    check_config(compose(["optimizer=made", "~optimizer.betta", "+optimizer.beta=1"]))

"""What a `_target_` may name, and who says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exp.config.compose import compose, plain
from exp.errors import ExpError
from exp.options import project, trust
from exp.options.trusted_code import record_packages, warn_of_changes

WAYS = ("[tool.exp] trust", "EXP_TRUST=my_pkg", "group exp.parts")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project folder with a package of its own, which nothing trusts yet; it is the working folder."""
    folder = tmp_path / "project"
    (folder / "my_pkg").mkdir(parents=True)
    (folder / "my_pkg" / "__init__.py").write_text("")
    (folder / "my_pkg" / "optim.py").write_text(
        "import os\nfrom os import system\n\n\nclass Lion:\n    pass\n\n\nNUMBER = 3\n"
    )
    (folder / "my_pkg" / "broken.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.chdir(folder)
    path = list(sys.path)
    yield folder
    sys.path[:] = path
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_pkg"]:
        del sys.modules[name]


def trusting(folder: Path, text: str = 'trust = ["my_pkg"]') -> None:
    (folder / "pyproject.toml").write_text(f"[project]\nname = 'x'\n\n[tool.exp]\n{text}\n")


def refused(config: dict[str, Any]) -> str:
    with pytest.raises(ExpError) as error:
        trust.check(config)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_composed_config_passes() -> None:
    for words in ([], ["speed=fast"], ["tracker=[wandb,trackio]"], ["adapter=lora", "loop=trainer", "data=mrpc"]):
        trust.check(plain(compose(words)))


@pytest.mark.parametrize("target", ["os.system", "my_pkg.optim.Lion", "builtins.eval", "exp.run.files.write_atomic"])
@pytest.mark.parametrize("group", ["optimizer", "scheduler", "data", "model", "loop", "hub", "speed", "precision"])
def test_what_no_option_names_is_refused(group: str, target: str) -> None:
    told = refused({group: {"_target_": target}})
    assert told.startswith(f"{group}._target_={target} is not trusted")
    assert all(way in told for way in WAYS)


@pytest.mark.parametrize("target", [5, None, "", "x", "a b.c", "os.system()", "..os", {"_target_": "os.system"}])
def test_what_is_no_dotted_name_is_refused(target: Any) -> None:
    assert "must be a dotted name" in refused({"optimizer": {"_target_": target}})


def test_an_option_of_one_group_is_none_of_another() -> None:
    model = plain(compose([]))["model"]
    assert "data._target_" in refused({"data": model})
    assert "nothing is made from a _target_ here" in refused({"cache_dir": model})
    assert "nothing is made from a _target_ here" in refused({"data": {**plain(compose([]))["data"], "deep": [model]}})
    assert "nothing is made from a _target_ here" in refused({"tracker": {"a": {"b": model}}})


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_", "_execution_whitelist_"])
def test_words_of_hydras_instantiate_are_refused(key: str) -> None:
    node = {**plain(compose([]))["model"], key: ["x"]}
    assert f"model.{key}" in refused({"model": node})


def test_partial_is_as_the_options_yaml_has_it() -> None:
    node = plain(compose([]))["model"]
    assert "model._partial_" in refused({"model": {**node, "_partial_": True}})


def test_upstream_classes_are_trusted_one_by_one() -> None:
    for config in (
        {"optimizer": {"_target_": "torch.optim.RAdam"}},
        {"scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR"}},
        {"hydra": {"sweeper": {"pruner": {"_target_": "optuna.pruners.NopPruner"}}}},
        {"hydra": {"sweeper": {"sampler": {"_target_": "optuna.samplers.TPESampler"}}}},
    ):
        trust.check(config)
    assert "did you mean 'torch.optim.RAdam'" in refused({"optimizer": {"_target_": "torch.optim.RAdamm"}})
    for where, target in (
        ("model", "torch.optim.RAdam"),
        ("optimizer", "torch.optim.lr_scheduler.StepLR"),
        ("optimizer", "torch.optim.adamw.AdamW"),
        ("optimizer", "torch.load"),
        ("optimizer", "torch.optim.Optimizer.load_state_dict"),
    ):
        assert f"{where}._target_={target} is not trusted" in refused({where: {"_target_": target}})


@pytest.mark.parametrize("by", ["pyproject", "variable", "above"])
def test_a_trusted_package_may_be_named(by: str, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "variable":
        monkeypatch.setenv("EXP_TRUST", "my_pkg")
        monkeypatch.syspath_prepend(str(package))
    else:
        trusting(package)
    if by == "above":
        (package / ".git").mkdir()
        (package / "deep" / "er").mkdir(parents=True)
        monkeypatch.chdir(package / "deep" / "er")
    node = {"_target_": "my_pkg.optim.Lion", "_partial_": True}
    trust.check({"optimizer": node})
    assert trust.resolve("my_pkg.optim.Lion", "optimizer").__name__ == "Lion"
    assert "my_pkg.*" in trust.whitelist()
    trust.check({"optimizer": {**node, "inner": {"_target_": "my_pkg.optim.Lion"}}})
    assert "nothing is made" in refused({"seed": node})
    model = plain(compose([]))["model"]
    assert "nothing is made" in refused({"model": {**model, "path": node}})


def test_a_pyproject_above_the_repository_counts_for_nothing(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting(package)
    (package / "repository" / ".git").mkdir(parents=True)
    monkeypatch.chdir(package / "repository")
    assert project.packages() == ()
    (package / "outside").mkdir()
    monkeypatch.chdir(package / "outside")  # in no repository: the working folder alone
    assert project.packages() == ()


def test_names_that_lead_out_of_the_package(package: Path) -> None:
    trusting(package)
    for target, why in (
        ("my_pkg.optim.os.system", "is a module that"),
        ("my_pkg.optim.system", "is defined in posix, which is not trusted"),
        ("my_pkg.optim.NUMBER", "is no class and no function"),
        ("my_pkg.optim.Lyon", "cannot be imported"),
        ("my_pkg.nosuch.Lion", "cannot be imported"),
        ("my_pkg.broken.Lion", "the trusted package my_pkg ([tool.exp] trust in"),
    ):
        with pytest.raises(ExpError, match=r"^optimizer\._target_=my_pkg\.") as error:
            trust.resolve(target, "optimizer")
        assert why in str(error.value)


def test_a_package_announces_itself(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = package / "my_pkg-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-pkg\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[exp.parts]\nmine = my_pkg\n")
    monkeypatch.syspath_prepend(str(package))
    project._packages.cache_clear()
    try:
        [found] = project.packages()
        assert (found.name, found.origin) == ("my_pkg", "entry point mine of my-pkg")
        [recorded] = record_packages()
        assert recorded["version"] == "1.2"
    finally:
        project._packages.cache_clear()


def test_options_of_a_trusted_package_join_the_search_path(package: Path) -> None:
    (package / "my_pkg" / "conf" / "optimizer").mkdir(parents=True)
    (package / "my_pkg" / "conf" / "optimizer" / "lion.yaml").write_text("_target_: my_pkg.optim.Lion\nown: 4\n")
    with pytest.raises(ExpError, match="optimizer=lion: no such option"):
        compose(["optimizer=lion"])
    trusting(package)
    assert compose(["optimizer=lion"]).optimizer.own == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trusts = ['a']", "trusts is no such key; did you mean 'trust'?"),
        ("trust = 'my_pkg'", "must be a list of package names"),
        ("trust = [1]", "must be a list of package names"),
        ("trust = ['my pkg']", "which is no name of a package"),
        ("trust = ['no_such_pkg']", "names no_such_pkg, and there is no such package"),
        ("trust = ['sys']", "which is built into Python"),
        ("conf = 'nowhere'", "conf='nowhere' must be a folder beside the file"),
        ("= 1", "is no valid TOML"),
    ],
)
def test_a_wrong_pyproject_is_named(package: Path, text: str, expected: str) -> None:
    trusting(package, text)
    with pytest.raises(ExpError) as error:
        project.packages()
    assert expected in str(error.value) and str(package) in str(error.value)


@pytest.mark.parametrize("where", ["config_dir", "conf"])
def test_folders_of_options_add_no_trust(where: str, package: Path) -> None:
    options = package / "conf" / "optimizer"
    options.mkdir(parents=True)
    (options / "lion.yaml").write_text("_target_: my_pkg.optim.Lion\nlr: 1e-4\n")
    if where == "conf":
        trusting(package, 'conf = "conf"')
    cfg = compose(["optimizer=lion"], config_dir=package / "conf" if where == "config_dir" else None)
    assert "optimizer._target_=my_pkg.optim.Lion is not trusted" in refused(plain(cfg))


def test_another_working_folder_keeps_the_project(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting(package)
    handed = project.environment()
    evil = tmp_path / "evil"
    (evil / "evil_pkg").mkdir(parents=True)
    (evil / "evil_pkg" / "__init__.py").write_text("")
    trusting(evil, 'trust = ["evil_pkg"]')
    monkeypatch.chdir(evil)
    for name, value in handed.items():
        monkeypatch.setenv(name, value)
    assert [found.name for found in project.packages()] == ["my_pkg"]
    monkeypatch.setenv("EXP_PROJECT", project.NONE)
    assert project.packages() == ()


def test_the_record_names_the_code_and_its_change_is_said(package: Path, caplog: pytest.LogCaptureFixture) -> None:
    trusting(package)
    record = {"trusted": record_packages()}
    assert record["trusted"][0]["name"] == "my_pkg" and len(record["trusted"][0]["content"]) == 64
    warn_of_changes(record)
    assert caplog.text == ""
    (package / "my_pkg" / "optim.py").write_text("class Lion:\n    changed = True\n")
    warn_of_changes(record)
    assert "the code of my_pkg has changed since the run" in caplog.text
    (package / "pyproject.toml").unlink()
    warn_of_changes(record)
    assert "my_pkg, which is not trusted now" in caplog.text


def test_functions_by_name_are_of_trusted_packages(package: Path) -> None:
    resolve: Callable[[str], Any] = lambda name: trust.resolve(name, "task.metrics")  # noqa: E731
    with pytest.raises(ExpError, match=r"task\.metrics=exp\.run\.files\.write_atomic is not trusted"):
        resolve("exp.run.files.write_atomic")
    trusting(package)
    assert resolve("my_pkg.optim.Lion").__name__ == "Lion"

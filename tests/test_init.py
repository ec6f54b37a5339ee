"""exp init: a project that runs at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import exp
from exp import init, parts
from exp.errors import ExpError
from exp.options import project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "mine-too"
    init.make(folder)
    return folder


def test_its_files(made: Path) -> None:
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert {"Makefile", "README.md", "pyproject.toml", ".gitignore", ".vscode/settings.json"} <= names
    assert {"mine_too/optimizers.py", "conf/experiment/baseline.yaml", "tests/test_parts.py"} <= names
    texts = {name: (made / name).read_text() for name in names if not name.startswith(".vscode/schema")}
    assert not [name for name, text in texts.items() if "myproject" in text or "myproject" in name]
    assert tomllib.loads(texts["pyproject.toml"])["tool"]["exp"]["trust"] == ["mine_too"]
    schemas = json.loads(texts[".vscode/settings.json"])["yaml.schemas"]
    assert all((made / name).is_file() for name in schemas)
    assert "mine_too.optimizers.Lion" in (made / ".vscode" / "schema" / "optimizer.json").read_text()
    assert not (made / "outputs").exists()


@pytest.fixture
def standing(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the project, whose modules are forgotten afterwards."""
    monkeypatch.chdir(made)
    monkeypatch.syspath_prepend(str(made))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine_too"]:
        del sys.modules[name]


def test_its_parts_are_listed_and_checked(made: Path, standing: None) -> None:
    said = list(parts.told(check=True))
    assert said[0].startswith("mine_too (not installed): [tool.exp] trust in ")
    assert "  optimizer: lion" in said and "  experiment: baseline" in said
    assert not [line for line in said if line.startswith("    ")]  # no complaint


def test_make_train_starts_this_python(made: Path) -> None:
    words = ["make", "--dry-run", "--no-print-directory", "train", "ARGS=seed=1"]  # which a make above us would print
    done = subprocess.run(words, cwd=made, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{sys.executable} -m exp.train experiment=baseline seed=1"


def test_without_exp_make_says_so_and_fetches_nothing(made: Path, tmp_path: Path) -> None:
    """As for someone who got the project from git. PyPI has another package under the name exp."""
    there = shutil.copytree(made, tmp_path / "cloned", ignore=shutil.ignore_patterns("local.mk"))
    words = ["make", "--no-print-directory", "train", "PYTHON=false"]
    done = subprocess.run(words, cwd=there, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("false has no exp. Activate the environment that has it")
    project = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == [] and "exp" not in str(project["optional-dependencies"])


def test_the_baseline_trains(made: Path, standing: None) -> None:
    run = exp.train(["experiment=baseline", "max_steps=3", "data.train_size=64", "data.eval_size=30"])
    record = json.loads((run.folder / "run.json").read_text())
    assert run.folder.is_relative_to(made / "outputs") and {"eval/accuracy", "eval/cost"} <= set(run.best)
    assert record["status"] == "completed" and record["config"]["tracker"] == {}
    assert [package["name"] for package in record["trusted"]] == ["mine_too"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2nd", "is no name for a package"),
        ("yaml", "there is a Python package yaml already"),
        ("conf", "is a folder of the project itself"),
        ("full", "exists already"),
    ],
)
def test_names_that_cannot_be(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ExpError, match=said):
        init.make(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_without_anything_trusted_the_three_ways_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project._packages.cache_clear()
    [said] = parts.told(check=False)
    assert all(way in said for way in ("[tool.exp] trust", "EXP_TRUST", "exp.parts"))

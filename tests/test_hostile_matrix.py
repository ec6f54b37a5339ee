"""Every command on every thing that somebody else may hand over: nothing outside is written, no code of theirs runs.

A command answers, or ends with code 2 and one line. Commands run in this process; where one begins to train, to start
a process or to ask a server, it ends, and the few pairs that have to go on from there are run as processes.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exp import cli
from tests import finished_runs, forked
from tests.hostile_things import ARCHIVES, THINGS, Place, archive

T = "{thing}"
COMMANDS: dict[str, list[str]] = {
    "evaluate": ["evaluate", T],
    "predict": ["predict", T, "text=good"],
    "reproduce": ["reproduce", T],
    "share": ["share", T, "repo_id=me/mine"],
    "compare": ["compare", T, "html=x.html", "csv=x.csv", "md=x.md", "latex=x.tex", "json=x.json"],
    "compare with items": ["compare", T, "items=true"],
    "curves": ["curves", T],
    "runs list": ["runs", "list", T],
    "runs show": ["runs", "show", T],
    "runs tail": ["runs", "tail", T, "once=true"],
    "runs find": ["runs", "find", "evil", f"in={T}"],
    "runs archive": ["runs", "archive", T, "to=out/x.tgz"],
    "runs restore": ["runs", "restore", T, "to=restored"],
    "runs studies": ["runs", "studies", T],
    "runs stop": ["runs", "stop", T, "seconds=1"],
    "soup": ["soup", T, "{good}", "out=out/soup"],
    "folds": ["folds", T, "out=out/folds"],
    "diff": ["diff", T, "{good}"],
    "runs remove": ["runs", "remove", T, "yes=true"],
}
RUNS = (
    *("foreign_targets", "targets_in_lists", "foreign_callbacks", "links_of_folders", "links_of_files", "pickles"),
    *("other_checkpoints", "names_that_climb", "code_in_the_runs_model"),
)
MODELS = ("model_with_code", "model_of_an_unknown_kind", "pickled_model", "adapter_of_another_model", "model_too_large")
STUDIES = ("foreign_study", "study_kept_in_a_journal_outside", "study_kept_in_a_diary")
TABLES = ("table_of_targets", "table_of_folders", "table_that_runs", "table_that_grows")
NEW = ("tracker=none", "hydra.run.dir=new")
# A quarter of a second each: on the things that they are for, and on some of the others.
COMPOSING: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "train resume": (["train", f"resume={T}"], (*RUNS, "model_with_code", "foreign_study")),
    "train repeat": (["train", f"repeat={T}", "hydra.run.dir=new"], (*RUNS[:3], "archive")),
    "train init_checkpoint": (["train", f"init_checkpoint={T}", *NEW], ("pickles", "a_pickle")),
    "train model": (["train", "model=pretrained", f"model.path={T}", *NEW], (*MODELS, "code_in_the_runs_model")),
    "train teacher": (["train", "loss=distillation", f"loss.teacher_path={T}", *NEW], (*RUNS[:2], "pickled_model")),
    "train data": (["train", "data=files", f"data.train_file={T}", *NEW], ("a_pickle", "log_of_garbage")),
    "train config_dir": (["train", "--config-dir", T, "experiment=evil"], ("foreign_targets", "table_of_targets")),
    "sweep in its folder": (
        ["train", "--multirun", "sweep=lr", f"hydra.sweep.dir={T}", "hydra.sweeper.study_name=evil"],
        (*STUDIES, "foreign_targets"),
    ),
    "sweep in its storage": (
        ["train", "--multirun", "sweep=lr", f"hydra.sweeper.storage=journal://{T}", "hydra.sweep.dir=new"],
        ("a_pickle", "log_of_garbage"),
    ),
    "table": (["table", T, "render_only=true", "folder=out/table"], (*TABLES, "foreign_targets", "archive")),
    "table dry run": (["table", T, "dry_run=true", "folder=out/table"], (*TABLES, "log_of_garbage")),
    "data": (["data", "data=files", f"data.train_file={T}"], ("a_pickle", "archive")),
    "data of a model": (["data", "data.train_size=20", "model=pretrained", f"model.path={T}"], MODELS[:2]),
    "explain": (["explain", "model.path", "model=pretrained", f"model.path={T}"], ("model_with_code",)),
}
WANDB = "exp.analysis.wandb_offline.read_log"


class Begun(BaseException):
    """The command went on to train, or to start a process."""


def _begin(*_: Any, **__: Any) -> Any:
    raise Begun


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("hostile")
    (root / "outside" / "exp").mkdir(parents=True)
    (root / "outside" / "diary").write_text("dear diary")
    made = Place(root, finished_runs.reviews_run())
    for name in ("exp/__init__.py", "sitecustomize.py"):
        (root / "outside" / name).write_text(made.code)
    return made


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The working folder, with nothing in it; the user's home is outside."""
    work = place.root / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(place.outside))
    monkeypatch.setattr(subprocess, "Popen", _begin)
    monkeypatch.setattr("exp.train.train", _begin)
    with _wandb_once() as read_log:
        monkeypatch.setattr(WANDB, read_log)
        yield place
    shutil.rmtree(work)


@contextlib.contextmanager
def _wandb_once() -> Iterator[Any]:
    """W&B's own program takes seconds for each log: each is read once."""
    from exp.analysis import wandb_offline

    real, popen = wandb_offline.read_log, subprocess.Popen

    @functools.cache
    def outcome(file: Path) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subprocess, "Popen", popen)
            try:
                return real(file)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                return error

    def read_log(file: Path) -> Any:
        found = outcome(file)
        if isinstance(found, Exception):
            raise found
        return found

    yield read_log


def tree(place: Place) -> dict[str, bytes]:
    """All that no command may touch."""
    found = {str(path): path.read_bytes() for path in place.outside.rglob("*") if path.is_file()}
    return {**found, **{str(path): b"" for path in place.root.iterdir()}}


def called(words: list[str], place: Place, thing: Path) -> str | None:
    """What went wrong; None for a command that answered, or refused in one line."""
    out, err = io.StringIO(), io.StringIO()
    words = [word.format(thing=thing, good=place.good) for word in words]
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(words)
        except SystemExit as ending:
            code = ending.code
        except Begun:
            pass
        except BaseException as error:
            return repr(error)[:300]
        finally:
            _forget()
    told = err.getvalue()
    if code not in (0, None, 1, 2):
        return f"code {code}"
    if "Traceback" in told or "\x1b" in out.getvalue() + told:
        return f"it wrote {(out.getvalue() + told)[-300:]!r}"
    lines = [line for line in told.splitlines() if not line.startswith("  ")]  # but a command to paste
    if code == 2 and not lines[-1].startswith("exp: "):
        return f"it refused with {told[-300:]!r}"
    if code == 2 and len(told.splitlines()[-1]) > 1500:
        return f"its line has {len(told.splitlines()[-1])} characters"
    return None


def _forget() -> None:
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()


@pytest.mark.parametrize("name", THINGS)
def test_every_command(name: str, here: Place) -> None:
    thing = THINGS[name](here)
    before = tree(here)
    wrong = []
    composing = {said: words for said, (words, aims) in COMPOSING.items() if name in aims}
    for said, words in {**composing, **COMMANDS}.items():
        trouble = called(words, here, thing)
        if here.mark.exists():
            here.mark.unlink()
            trouble = "its code was run"
        if said == "runs remove" and not thing.exists():
            del before[str(thing)]
        after = tree(here)
        if after != before:
            changed = [path for path in {*before, *after} if before.get(path) != after.get(path)]
            trouble = f"{trouble or ''} it changed {changed}"
            before = after
        if trouble:
            wrong.append(f"{said}: {trouble}")
        for made in Path().iterdir():
            shutil.rmtree(made) if made.is_dir() else made.unlink()
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "why"),
    [("pickles", "holds more than tensors and plain values"), ("other_checkpoints", "is not what this run saves")],
)
def test_no_checkpoint_runs_code(name: str, why: str, place: Place) -> None:
    """These are read where training begins, so in a process."""
    aside = replace(place, root=place.root / "checkpoints")
    (aside.root / "work").mkdir(parents=True, exist_ok=True)
    thing = THINGS[name](aside)
    done = forked.run("exp.train", f"resume={thing}", cwd=aside.root / "work", env={**os.environ})
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("exp: ") and why in done.stderr, done.stderr
    assert not aside.mark.exists()


@pytest.mark.parametrize("name", ARCHIVES)
def test_no_archive_leads_out(name: str, here: Place) -> None:
    thing = archive(here, f"archive {name}", ARCHIVES[name](here))
    before = tree(here)
    assert called(["runs", "restore", T, "to=restored"], here, thing) is None
    assert tree(here) == before and not list(Path().rglob("*"))

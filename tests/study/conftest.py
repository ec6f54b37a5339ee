"""A sweep as a user starts it, over an objective of milliseconds."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from exp.compat.hydra_repository import ParsedOnce, merged_once
from exp.errors import ExpError
from tests import forked
from tests.postgres import postgres  # noqa: F401 (a fixture)

STUB = Path(__file__).parent / "stub"
CONF = Path(__file__).parents[2] / "conf"
Sweep = Callable[..., subprocess.CompletedProcess[str]]


def stub_command(*words: str, conf: Path | None = None, sweeper: str = "study") -> list[str]:
    return [forked.python(), str(STUB / "app.py"), *arguments(*words, conf=conf, sweeper=sweeper)]


def arguments(*words: str, conf: Path | None = None, sweeper: str = "study") -> list[str]:
    own = [] if sweeper != "study" else ["hydra.sweeper.pictures=false"]
    preset = any(word.startswith("sweep=") for word in words)
    return [
        *([] if conf is None else ["--config-path", str(conf)]),
        "--multirun",
        f"hydra.searchpath=[file://{CONF}]",
        *([] if preset else [f"hydra/sweeper={sweeper}"]),
        *own,
        *words,
    ]


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(STUB), str(CONF.parent / "src"), os.environ.get("PYTHONPATH", "")]),
        "HYDRA_FULL_ERROR": "1",
    }


@pytest.fixture(autouse=True)
def _forks(fast_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers too. A coordinator of this process looks at them twenty times a second."""
    monkeypatch.setattr("exp.work.coordinator.POLL", 0.05)


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Runs a sweep in a folder of its own, its coordinator in this process, which has imported everything already."""

    def run(*words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        return inside(tmp_path, arguments(*words, **options), check)

    return run


def inside(folder: Path, words: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
    """With `check` an error is raised as it is, else it is what the command writes to stderr."""
    from hydra.core.global_hydra import GlobalHydra

    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", [str(STUB / "app.py"), *words])
        for name in ("HYDRA_FULL_ERROR", "PYTHONPATH"):
            patch.setenv(name, environment()[name])
        # As exp's own composing.
        patch.setattr("hydra._internal.config_loader_impl.ConfigRepository", ParsedOnce)
        patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", merged_once)
        patch.syspath_prepend(str(STUB))
        patch.chdir(folder)
        GlobalHydra.instance().clear()
        try:
            importlib.import_module("app").main()
        except (ExpError, SystemExit) as error:
            if check:
                raise
            return subprocess.CompletedProcess(words, 1, out.getvalue(), str(error))
    return subprocess.CompletedProcess(words, 0, out.getvalue(), "")


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def load(folder: Path) -> optuna.Study:
    """The study whose journal lies in `folder`."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder / "journal.log")))
    (summary,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage)

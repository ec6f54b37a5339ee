"""Runs and sweeps started from Python: in this process, by the same way as from a command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from exp.api.run import LoadedRun
from exp.api.sweep import Sweep
from exp.errors import ExpError
from exp.run.interrupts import Interrupted

Task = Callable[[Any, Any], Any]  # of config and trial, see exp.training.launch


def train(task: Task, words: Sequence[str], config_dir: str | Path | None) -> LoadedRun:
    """One run. A run that was stopped (an interrupt of the notebook's kernel) has saved, and is returned too."""
    given = _words(words, config_dir)
    if {"-m", "--multirun"} & set(given):
        raise ExpError("--multirun runs many: call exp.sweep")
    folder: list[Path] = []

    def noted(cfg: Any, trial: Any) -> Any:
        from hydra.core.hydra_config import HydraConfig

        folder.append(Path(HydraConfig.get().runtime.output_dir))
        return task(cfg, trial)

    with suppress(Interrupted):
        _launch(noted, given)
    if not folder:
        raise ExpError(f"{' '.join(words)}: this shows something and trains nothing; use the command line for it")
    return LoadedRun(folder[0])


def sweep(task: Task, words: Sequence[str], config_dir: str | Path | None) -> Sweep:
    """A sweep or study; its workers are processes of their own where the sweeper has any."""
    folder = _launch(task, ["--multirun", *(word for word in _words(words, config_dir) if word != "--multirun")])
    assert folder is not None
    return Sweep(folder)


def _words(words: Sequence[str], config_dir: str | Path | None) -> list[str]:
    if isinstance(words, str):
        raise ExpError(f"{words!r} is one text: give a list of words, e.g. [{', '.join(map(repr, words.split()))}]")
    flags = [] if config_dir is None else ["--config-dir", str(config_dir)]
    return [*flags, *map(str, words)]


def _launch(task: Task, words: list[str]) -> Path | None:
    from exp.training.launch import launch

    with _as_command(words):
        return launch(task, words)


@contextmanager
def _as_command(words: Sequence[str]) -> Iterator[None]:
    """The record of a run names the command that it was started by; sys.argv holds the notebook kernel's."""
    before = sys.argv
    sys.argv = ["exp train", *words]
    try:
        yield
    finally:
        sys.argv = before

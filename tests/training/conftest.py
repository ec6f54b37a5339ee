"""Calls of launch.main with a task that trains nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from exp.loop.trial import Trial
from exp.training import launch

Launch = Callable[..., list[tuple[DictConfig, Path]]]


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """launch.main in an empty folder with a task that notes its config and folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, task: Callable[[DictConfig], float] | None = None) -> list[tuple[DictConfig, Path]]:
        calls = []

        def noting(cfg: DictConfig, trial: Trial) -> float:
            calls.append((cfg, Path(HydraConfig.get().runtime.output_dir)))
            return task(cfg) if task else 0.0

        monkeypatch.setattr(sys, "argv", ["train.py", *words])
        launch.main(noting)
        return calls

    return call


def refused(launched: Launch, capsys: pytest.CaptureFixture[str], *words: str, **more: object) -> str:
    """The one line on stderr of a call that ends with code 2."""
    with pytest.raises(SystemExit) as ending:
        launched(*words, **more)
    assert ending.value.code == 2
    text = capsys.readouterr().err
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("exp: ")
    return lines[0]

"""What W&B finds around it in a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def nobody_logged_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without key and settings; W&B reads its surroundings once a setup."""
    import wandb

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for name, folder in {"HOME": ".", "NETRC": "netrc", "WANDB_CONFIG_DIR": "config", "WANDB_DIR": "."}.items():
        monkeypatch.setenv(name, str(home / folder))
    wandb.teardown()
    yield
    wandb.teardown()

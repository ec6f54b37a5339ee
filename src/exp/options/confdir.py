"""Where exp's own configs lie, and the names they make."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import yaml


def conf_dir() -> Path:
    """conf/ beside src/ in a checkout, exp/conf in an installed wheel."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "conf"


def groups() -> list[str]:
    """The folders of conf/ that hold options."""
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir() and any(path.glob("*.yaml")))


@functools.cache
def root_keys() -> frozenset[str]:
    """The settings at the root of conf/train.yaml."""
    written = yaml.safe_load((conf_dir() / "train.yaml").read_text(encoding="utf-8"))
    return frozenset(written) - {"defaults", "hydra"}


def cache_dir() -> Path:
    """As cache_dir in conf/train.yaml, for commands that compose no config."""
    return Path(os.environ.get("EXP_CACHE") or Path.home() / ".cache" / "exp")

"""Every option file of these groups says all keys of what it names, and importing that is light."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from exp.config.targets import declaration
from exp.config.targets import make as make_node

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("model", "adapter", "optimizer", "scheduler", "precision", "distributed", "loop", "tracker")
OPTIONS = sorted(path for group in GROUPS for path in (CONF / group).glob("*.yaml"))
NAMES = {"ByNameOptimizer": "RAdam", "ByNameScheduler": "ConstantLR", "AccelerateTracker": "dvclive"}


def load(path: Path) -> dict[str, Any]:
    options = OmegaConf.to_container(OmegaConf.load(path)) or {}
    assert isinstance(options, dict)
    return options


def make(group: str, name: str, /, **changes: Any) -> Any:
    """The option as the builder makes it."""
    options = load(CONF / group / f"{name}.yaml")
    options.pop("defaults", None)  # other options that it brings
    return make_node({**options, **changes}, group)


def place(path: Path) -> str:
    """Where the option stands in a config: trackers stand side by side, by name."""
    return f"tracker.{path.stem}" if path.parent.name == "tracker" else path.parent.name


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_default_stands_once_in_the_yaml(path: Path) -> None:
    options = load(path)
    if "defaults" in options or not options:
        return
    keys = {key for key in options if key != "_target_"}
    if options.get("name") == "???":
        options["name"] = NAMES[options["_target_"].rpartition(".")[2]]
    declared = [one for one in fields(declaration(options, place(path))) if one.init]
    assert [one.name for one in declared if one.name not in keys] == []
    assert [one.name for one in declared if one.default is not MISSING] == []
    assert path.read_text().startswith("# "), "the first line says what the option is"


def test_the_targets_import_nothing_heavy() -> None:
    modules = sorted({load(path)["_target_"].rpartition(".")[0] for path in OPTIONS if "_target_" in load(path)})
    code = (
        f"import sys, importlib; [importlib.import_module(m) for m in {modules}];"
        " heavy = ('torch', 'transformers', 'numpy', 'peft', 'tokenizers', 'bitsandbytes', 'wandb', 'trackio');"
        " print([m for m in heavy if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"

"""Every option file of these groups fits the signature of what it names, and importing that is light."""

from __future__ import annotations

import functools
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("model", "adapter", "optimizer", "scheduler", "precision")
OPTIONS = sorted(path for group in GROUPS for path in (CONF / group).glob("*.yaml"))
# What the caller gives a `_partial_` option later.
LATER = {"optimizer": ("model",), "scheduler": ("optimizer", "total_steps", "greater_is_better")}


def load(path: Path) -> dict:
    options = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(options, dict)
    return options


def make(group: str, name: str, **changes):
    """The option as the builder makes it: called, or a partial."""
    options = {**load(CONF / group / f"{name}.yaml"), **changes}
    module, _, attribute = options.pop("_target_").rpartition(".")
    target = getattr(importlib.import_module(module), attribute)
    return functools.partial(target, **options) if options.pop("_partial_", False) else target(**options)


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_option_binds_to_its_target(path):
    options = load(path)
    module, _, attribute = options.pop("_target_").rpartition(".")
    partial = options.pop("_partial_", False)
    assert partial == (path.parent.name in LATER)
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    signature.bind(*LATER.get(path.parent.name, ()), **options)
    defaults = [p.name for p in signature.parameters.values() if p.default is not p.empty]
    assert not defaults, "a default stands in the YAML, and only there"
    assert path.read_text().startswith("# "), "the first line says what the option is"


def test_the_targets_import_nothing_heavy():
    modules = sorted({load(path)["_target_"].rpartition(".")[0] for path in OPTIONS})
    code = (
        f"import sys, importlib; [importlib.import_module(m) for m in {modules}];"
        " heavy = ('torch', 'transformers', 'numpy', 'peft', 'tokenizers', 'bitsandbytes');"
        " print([m for m in heavy if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"

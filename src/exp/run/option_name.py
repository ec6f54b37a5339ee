"""An option as the command line names it, from what a config holds of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def option_name(key: str, target: object) -> str:
    """`loop`, or a key in it, and exp.loop.trainer.TrainerLoop -> trainer; else the last name of `target`."""
    name = str(target).rpartition(".")[2]
    group = key.partition(".")[0].capitalize()
    if not name.endswith(group) or name == group:
        return name
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-zA-Z])(?=\d)", "_", name.removesuffix(group)).lower()


def model_name(config: Mapping[str, Any], options: Mapping[str, str]) -> str:
    """Its option; where that is `pretrained`, or not recorded, the last part of the path of its weights.

    Args:
        config: with dotted keys.
        options: run.json's names of options by group; older records have none.
    """
    name = options.get("model")
    path = str(config.get("model.path") or "").rstrip("/")
    if path and name in (None, "pretrained"):
        return path.rpartition("/")[2]
    return name or _snake(config.get("model._target_"))


def adapter_name(config: Mapping[str, Any]) -> str:
    """`lora`, or `-` where there is none. `config` has dotted keys."""
    name = _snake(config.get("adapter._target_"))
    return "-" if name == "no_adapter" else name


def _snake(target: object) -> str:
    """exp.model.tiny.BertTiny -> bert_tiny; `-` where there is no target."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(target or "-").rpartition(".")[2]).lower()

"""How a run is called in a dashboard, and what of its record belongs into the config there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.run.identity import flatten
from exp.run.option_name import model_name

LONGEST = 128  # characters of a name; W&B cuts longer ones
# Words that name the run by themselves, or say where it lies and who watches it.
LEFT_OUT = ("data", "model", "hydra", "tracker", "hub", "cost", "resume", "sweep", "cache_dir", "notes")


def run_name(record: Mapping[str, Any], folder: Path) -> str:
    """`mrpc minilm_l6 optimizer.lr=5e-05 seed=2`: data, model, and the words that differ from the defaults.

    Args:
        record: run.json, at the start of the run.
        folder: its last two parts are the name where the record holds no options.
    """
    options = record.get("options") or {}
    if not options:
        return "/".join(folder.parts[-2:])
    config = dict(flatten(record["config"]))
    data = config.get("data.name") or options.get("data", "data")
    name = " ".join([str(data), model_name(config, options), *map(_short, filter(_tells, record.get("words") or []))])
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."


def facts_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The options by name (`options.model: minilm_l6`), the data's fingerprint and the number of parameters."""
    data, model = record.get("data") or {}, record.get("model") or {}
    return {
        "options": dict(record.get("options") or {}),
        "data_fingerprint": data.get("fingerprint"),
        "parameters": model.get("parameters"),
        "trained_parameters": model.get("trained_parameters"),
    }


def _tells(word: str) -> bool:
    key = word.lstrip("+~").partition("=")[0]
    return key.partition(".")[0].partition("/")[0] not in LEFT_OUT


def _short(word: str) -> str:
    """`optimizer.lr=5e-5` is `lr=5e-5`: the last part of a key says enough in a name."""
    key, equals, value = word.lstrip("+").partition("=")
    return f"{key.rpartition('.')[2]}{equals}{value}"

"""What the Hugging Face Hub calls the data, the model and the metrics of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.metrics.key import Key

GLUE_ID = "nyu-mll/glue"
# The Hub's name of a metric, where it is another than ours.
HUB_METRICS = {"pearson": "pearsonr", "f1_macro": "f1"}


def hub_metric(name: str) -> str:
    return HUB_METRICS.get(name, name)


def hub_split(key: str) -> str:
    """`validation_mm` of eval_mm/accuracy."""
    return Key.of(key).split.replace("eval", "validation", 1)


def hub_dataset(node: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Id and configuration of a config's node `data`; GLUE's own files hold the same data as the Hub's copy."""
    if node["_target_"] == "exp.data.glue.Glue":
        return GLUE_ID, node["task"]
    if node["_target_"] == "exp.data.hub.Hub" and not is_folder(node["path"]):
        return node["path"], node["name"]
    return None, None


def hub_model(node: Mapping[str, Any]) -> str | None:
    """Id of a config's node `model`; None for weights that come from a folder, or from none."""
    path = node.get("path")  # bert_tiny has none
    return None if path is None or is_folder(path) else path


def is_folder(path: str) -> bool:
    return path.startswith(("/", ".", "~")) or path.count("/") > 1 or Path(path).is_dir()

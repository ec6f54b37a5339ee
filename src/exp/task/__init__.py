"""What rows mean: one file a task, base.py is the contract. The reading half is light: no torch, no transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exp.task.base import Reading


def reading_of(config: Mapping[str, Any], facts: Mapping[str, Any]) -> Reading:
    """The reading half of a run's task.

    Args:
        config: of the run, nested; runs of the first version name no task and classify texts.
        facts: the block `data` of its run.json.

    Raises:
        ExpError: the task is of a package that is not trusted here.
    """
    if "task" not in config:
        from exp.task.text_classification import TextReading

        return TextReading(facts.get("label_names"), tuple(facts.get("metrics") or ()))
    from exp.config.trust import resolve

    node = {key: value for key, value in config["task"].items() if not key.startswith("_")}
    return resolve(config["task"]["_target_"], "task._target_")(**node).reading(facts)

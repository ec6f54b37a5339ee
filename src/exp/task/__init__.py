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
        from exp.task.one_label import OneLabelReading

        return OneLabelReading(facts.get("label_names"), tuple(facts.get("metrics") or ()))
    reading: Reading = _option(config, "task").reading(facts)
    return reading


def metrics_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What a run's evaluations will be scored by, as far as its config tells; nothing is read or loaded.

    Args:
        config: nested, in plain containers. An old run's data names its metrics.

    Returns:
        Entries of `task.metrics`: the task's own, else those that its data option gives in `roles`, else the task's
        default. Empty where only the rows will tell (a data option without `roles`), or where there is no task.

    Raises:
        ExpError: a metric does not fit the task.
    """
    task, data = (config[group] if isinstance(config.get(group), Mapping) else {} for group in ("task", "data"))
    if "_target_" not in task:
        return tuple(task.get("metrics") or data.get("metrics") or ())
    source = _option(config, "data")
    if not task.get("metrics") and not hasattr(source, "roles"):
        return ()
    found: tuple[str, ...] = _option(config, "task").check_metrics(getattr(source, "roles", None) or {})
    return found


def _option(config: Mapping[str, Any], group: str) -> Any:
    from exp.options.trust import resolve

    node = {key: value for key, value in config[group].items() if not key.startswith("_")}
    return resolve(config[group]["_target_"], group)(**node)

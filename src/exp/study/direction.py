"""The objectives of a sweep and their directions. Light: it also runs before the plain optuna sweeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from exp.errors import ExpError, nearest
from exp.metrics.key import Key

SPEEDS = ("samples_per_second", "tokens_per_second", "mfu")  # larger is better; of all other costs less


def objective_names(objective: Any, config: Mapping[str, Any]) -> list[str]:
    """The objective keys: as given, else the config's metric_for_best_model, else the data's first metric."""
    if objective:
        return [str(name) for name in objective] if not isinstance(objective, str) else [objective]
    if config.get("metric_for_best_model"):
        return [str(config["metric_for_best_model"])]
    if config.get("eval_strategy") == "no":
        return ["train/loss"]
    metrics = _metrics(config)
    return [f"eval/{metrics[0]}"] if metrics else []


def check_objectives(names: Sequence[str], config: Mapping[str, Any]) -> None:
    """Raises ExpError for an objective that no evaluation of this config produces."""
    from exp.metrics.names import LOSS, produced

    metrics = _metrics(config)
    if not metrics:
        return
    known = (*produced(metrics), LOSS)
    for name in names:
        if name.startswith(("cost/", "train/")):
            continue
        if config.get("eval_strategy") == "no":
            raise ExpError(f"objective {name}: eval_strategy=no makes no evaluation; set it to epoch or steps")
        if name not in known and _metric_name(name) not in known:
            raise ExpError(
                f"objective {name}: no evaluation of this data computes it{nearest(_metric_name(name), known)}"
            )


def greater_is_better(name: str, config: Mapping[str, Any]) -> bool | None:
    """None for a metric that is neither exp's nor in the config: that of another program's objective."""
    from exp.metrics import names, outside

    if name.startswith("cost/"):
        return name.removeprefix("cost/") in SPEEDS
    if config.get("greater_is_better") is not None and _metric_name(name) == _metric_name(
        objective_names(None, config)[0]
    ):
        return bool(config["greater_is_better"])
    short, metrics = _metric_name(name), _metrics(config)
    if not names.is_known(short) and short not in map(outside.short_name, metrics):
        return None
    return names.directions(metrics).get(short, names.greater_is_better(short))


def directions(given: Any, names: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """`maximize` or `minimize` for each objective. Raises ExpError for a given direction that seeks the worst run."""
    words = _given_directions(given)
    if words and names and len(words) != len(names):
        raise ExpError(f"{len(words)} directions for {len(names)} objectives ({', '.join(names)}); leave direction out")
    if not names:
        return words or ["minimize"]
    found = []
    for index, name in enumerate(names):
        greater = greater_is_better(name, config)
        right = None if greater is None else "maximize" if greater else "minimize"
        said = words[index] if words else None
        if said is None and right is None:
            raise ExpError(f"objective {name}: whether more of it is better is not known; set hydra.sweeper.direction")
        if said is not None and right is not None and said != right:
            raise ExpError(
                f"hydra.sweeper.direction={said} on {name} seeks the worst run: "
                f"{'greater' if greater else 'smaller'} is better. Set it to {right}{_hint_for_own_metric(name)}"
            )
        found.append(said or right)
    return found  # type: ignore[return-value]


def check_plain_sweeper(config: DictConfig) -> None:
    """For `hydra/sweeper=optuna`, whose default minimizes. `config` holds Hydra's node."""
    if config.hydra.runtime.choices.get("hydra/sweeper") != "optuna":
        return
    plain = {
        key: OmegaConf.to_container(config[key]) if OmegaConf.is_config(config[key]) else config[key]
        for key in ("task", "data", "metric_for_best_model", "greater_is_better", "eval_strategy")
        if key in config
    }
    names = objective_names(None, plain)
    if names:
        directions(config.hydra.sweeper.direction, names, plain)


def _hint_for_own_metric(name: str) -> str:
    from exp.metrics.names import is_known

    return "" if is_known(_metric_name(name)) else ", or give the metric's function an attribute greater_is_better"


def _given_directions(given: Any) -> list[str]:
    if given is None:
        return []
    items = given if not isinstance(given, str) and hasattr(given, "__iter__") else [given]
    words = [getattr(item, "name", item) for item in items]
    for word in words:
        if word not in ("minimize", "maximize"):
            raise ExpError(f"hydra.sweeper.direction={word}: minimize or maximize, or null for the metric's own")
    return words


def _metrics(config: Mapping[str, Any]) -> list[str]:
    from exp.task import metrics_of

    return list(metrics_of(config))


def _metric_name(name: str) -> str:
    """eval/f1, eval_f1, eval_mm/f1 and f1 are all f1."""
    return Key.parse(name).name

"""Combinations over several groups that cannot work, each refused with one message that names key, value and mend."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from exp.errors import ExpError, nearest
from exp.loss.function import check_function
from exp.metrics import names
from exp.metrics.key import Key
from exp.optim.schedule import PolynomialScheduler, ReduceOnPlateauScheduler
from exp.optim.torch_classes import ByNameScheduler
from exp.options import trust
from exp.options.settings import TrainingSettings
from exp.run.files import user_path
from exp.run.folder import step_of
from exp.task import metrics_of

# group, option -> module, extra of this package that installs it
EXTRAS = {
    ("optimizer", "adamw_8bit"): ("bitsandbytes", "bnb"),
    ("adapter", "qlora"): ("bitsandbytes", "bnb"),
    ("task", "audio_classification"): ("soundfile", "audio"),
    ("task", "image_classification"): ("PIL", "vision"),
    ("tracker", "trackio"): ("trackio", "trackio"),
}
FILES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".gz")


def check_rules(config: Mapping[str, Any], choices: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Args:
        config: Plain values, each of which fits its own declaration.
        choices: Hydra's group choices.
        options: The options by their place in the config; None for what is no dataclass.

    Raises:
        ExpError: The first rule that is broken.
    """
    _streaming(config, choices, options)
    _columns(options)
    _length(config, options)
    _schedule(config, options)
    _extras(choices)
    _precision(config, choices)
    _processes(config)
    _accelerate_variables(config, choices)
    _best_metric(config, choices)
    _init_checkpoint(config)
    _loss(config, options)
    _weights(config)
    for option in options.values():
        if hasattr(option, "check_config"):  # what the option needs of other groups
            option.check_config(config)


def _loss(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """A function of the user's own: what it is called with."""
    node = config.get("loss")
    if node is not None and options.get("loss") is None and node.get("_partial_"):
        given = {key: value for key, value in node.items() if not key.startswith("_")}
        check_function(partial(trust.resolve(node["_target_"], "loss"), **given))


def _weights(config: Mapping[str, Any]) -> None:
    """Groups that say which weights are trained and kept."""
    adapter, freeze, averaging, distributed = (
        str(value_of(config, f"{group}._target_")).rpartition(".")[2]
        for group in ("adapter", "freeze", "averaging", "distributed")
    )
    if freeze == "GradualFreeze" and adapter == "AdaLora":
        raise ExpError("freeze=gradual drops gradients that adapter=adalora reads: take adapter=lora, or freeze=layers")
    if averaging in ("EmaAveraging", "SwaAveraging") and distributed == "Fsdp":
        raise ExpError("averaging needs whole weights, and distributed=fsdp cuts them: take distributed=ddp")


def _init_checkpoint(config: Mapping[str, Any]) -> None:
    path = config["init_checkpoint"]
    if path is not None and config["resume"] is None and step_of(user_path(path).resolve()) is None:
        raise ExpError(f"init_checkpoint={path} is no checkpoint; name one such as <run>/checkpoints/step-000500")


def value_of(config: Mapping[str, Any], dotted: str) -> Any:
    """None where the chosen options have no such key."""
    node: Any = config
    for part in dotted.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node


def _columns(options: Mapping[str, Any]) -> None:
    """The train rows' columns against the task's, where a header or the option itself names them."""
    data, task = options.get("data"), options.get("task")
    if task is None or data is None or not hasattr(data, "roles"):
        return
    roles, there = data.roles or {}, data.columns()
    for column in task.columns_of(roles) if there is not None else ():
        if column not in there:
            keys = [f"task.{one.name}" for one in fields(task) if one.name.endswith(("_column", "_columns"))]
            raise ExpError(
                f"the train rows have no column {column!r}{nearest(column, there)}; say which is which with "
                f"{' and '.join(keys)}"
            )
    for where, option in (("data", data), ("task", task)):
        ids = getattr(option, "id_column", None)
        if ids is not None and there is not None and ids not in there:
            raise ExpError(f"{where}.id_column={ids}: the train rows have no such column{nearest(ids, there)}")


def _streaming(config: Mapping[str, Any], choices: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """What needs to know all train rows."""
    if not getattr(options.get("data"), "streaming", False):
        return
    if not getattr(options.get("task"), "streams", False):
        chosen = f"task={choices['task']}" if choices.get("task") else "this task"
        raise ExpError(
            f"data.streaming=true: {chosen} has to see all rows before it starts; causal_lm and masked_lm have not"
        )
    if config["folds"] is not None:
        raise ExpError(f"folds={config['folds']} deals all rows, and data.streaming=true reads them as they come")
    TrainingSettings(**{one.name: config[one.name] for one in fields(TrainingSettings)}).check_streamed()


def _best_metric(config: Mapping[str, Any], choices: Mapping[str, Any]) -> None:
    """`accuracy`, `eval_accuracy`, `eval/accuracy` and `eval_mm/accuracy` are right here"""
    wanted, metrics = config["metric_for_best_model"], metrics_of(config)
    if wanted is None or not metrics:
        return
    known = {*names.produced(metrics), names.LOSS}
    name = Key.parse(wanted).name
    if wanted in known or name in known:
        return
    chosen = f"data={choices['data']}" if choices.get("data") else "the data"
    raise ExpError(
        f"metric_for_best_model={wanted}: {chosen} does not compute it; choose one of {', '.join(sorted(known))}, or "
        f"name it in task.metrics"
    )


def _length(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """What depends on the number of optimizer steps, as far as the config alone tells it."""
    steps = most_steps(config)
    if steps is None:
        return
    warmup = value_of(config, "scheduler.warmup_steps")
    if warmup and warmup >= steps:
        length = f"max_steps={steps}" if config["max_steps"] > 0 else f"the {steps} steps of this run"
        raise ExpError(
            f"scheduler.warmup_steps={warmup} is no shorter than {length}: the rate would never leave the warmup. "
            "Lower warmup_steps or train longer"
        )
    for option in options.values():
        check_length = getattr(option, "check_length", None)
        if check_length is not None:
            check_length(steps)


def most_steps(config: Mapping[str, Any]) -> int | None:
    """Optimizer steps that the run has at the most; None where only the data tell."""
    if config["max_steps"] > 0:
        return int(config["max_steps"])
    if config.get("max_tokens") is not None:  # their number depends on the rows' lengths
        return None
    sizes = [value_of(config, key) for key in ("data.train_size", "data.max_train_samples")]
    known = [size for size in sizes if isinstance(size, int)]
    if not known:
        return None
    both = value_of(config, "task.both_orders")
    batch = config["per_device_train_batch_size"] * (value_of(config, "distributed.processes") or 1)
    batches = math.ceil(min(known) * (2 if both else 1) / batch)
    return math.ceil(config["num_train_epochs"] * math.ceil(batches / config["gradient_accumulation_steps"]))


def _schedule(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    scheduler, lr = options.get("scheduler"), value_of(config, "optimizer.lr")
    if isinstance(scheduler, PolynomialScheduler) and lr is not None:
        scheduler.check_rate(lr)
    plateau = isinstance(scheduler, ReduceOnPlateauScheduler) or (
        isinstance(scheduler, ByNameScheduler) and scheduler.name == "ReduceLROnPlateau"
    )
    if plateau and config["eval_strategy"] == "no":
        raise ExpError(
            "scheduler=reduce_on_plateau lowers the rate at evaluations, and eval_strategy=no makes none: "
            "set eval_strategy=epoch or eval_strategy=steps"
        )


def _extras(choices: Mapping[str, Any]) -> None:
    for (group, option), (module, extra) in EXTRAS.items():
        chosen = choices.get(group)
        options = [chosen] if isinstance(chosen, str) else list(chosen or [])
        if option in options and importlib.util.find_spec(module) is None:
            raise ExpError(f"{group}={option} needs {module}, which is not installed: pip install 'exp[{extra}]'")


def _precision(config: Mapping[str, Any], choices: Mapping[str, Any]) -> None:
    if _mixed(config, choices) == "fp16" and not _accelerator_here():
        raise ExpError(
            "precision=fp16 cannot train on a CPU: it needs loss scaling, which only GPUs support. "
            "Use precision=bf16 or precision=fp32, or precision=auto to let the machine decide"
        )


def _processes(config: Mapping[str, Any]) -> None:
    if (value_of(config, "distributed.processes") or 1) > 1 and config["auto_find_batch_size"]:
        raise ExpError(
            "auto_find_batch_size=true works in one process: with several, the others wait for the one that ran out of "
            "memory. Set per_device_train_batch_size yourself"
        )
    adapter = str(value_of(config, "adapter._target_")).rpartition(".")[2]
    if adapter in ("AdaLora", "Dora", "QLora") and str(value_of(config, "distributed._target_")).endswith("Fsdp"):
        raise ExpError(
            f"adapter={adapter.lower()} needs whole matrices, and distributed=fsdp cuts them: take adapter=lora, or "
            f"distributed=ddp"
        )
    recomputed = value_of(config, "distributed.activation_checkpointing")
    if recomputed and config["gradient_checkpointing"]:
        raise ExpError("distributed.activation_checkpointing and gradient_checkpointing do the same; set one of them")


def _mixed(config: Mapping[str, Any], choices: Mapping[str, Any]) -> str | None:
    """fp32, bf16, fp16 or auto, also in a resumed run, which has no choices."""
    node = config.get("precision")
    values = list(node.values()) if isinstance(node, Mapping) else [node]
    words = [choices.get("precision"), *values]
    return next((word for word in words if word in ("fp32", "bf16", "fp16", "auto", "no")), None)


def _accelerator_here() -> bool:
    """Without importing torch; True when in doubt, then the build finds out."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    devices = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/kfd")
    return sys.platform != "linux" or any(Path(path).exists() for path in devices) or bool(shutil.which("nvidia-smi"))


def _accelerate_variables(config: Mapping[str, Any], choices: Mapping[str, Any]) -> None:
    """Accelerate reads these variables itself, and some beat the arguments it is given."""
    accumulation = config["gradient_accumulation_steps"]
    precision = {"no": "fp32"}.get(_mixed(config, choices) or "", _mixed(config, choices))
    wanted = {
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": ("gradient_accumulation_steps", {str(accumulation)}),
        # `accelerate launch` always sets "no" unless told otherwise, and there the argument wins.
        "ACCELERATE_MIXED_PRECISION": (
            "precision",
            {"no", str(precision), *(["bf16", "fp16"] * (precision == "auto"))},
        ),
        "ACCELERATE_DYNAMO_BACKEND": ("no compilation", {"no", "NO"}),
        "ACCELERATE_USE_DEEPSPEED": ("no sharding", {"false"}),
        "ACCELERATE_USE_FSDP": ("no sharding", {"false"}),
    }
    for name, (key, allowed) in wanted.items():
        found = os.environ.get(name)
        if found is not None and found not in allowed:
            ours = {"gradient_accumulation_steps": f"gradient_accumulation_steps={accumulation}"}
            said = ours.get(key, f"precision={precision}" if key == "precision" else key)
            raise ExpError(f"the environment says {name}={found}, the config says {said}: unset the variable, or agree")


def check_files(config: Mapping[str, Any]) -> None:
    """Raises ExpError for a path that is not there."""
    for key in ("data.path", "model.path"):
        path = value_of(config, key)
        if not isinstance(path, str) or Path(path).exists():
            continue
        if key.endswith("_file") or looks_local(path):
            raise ExpError(f"{key}={path}: no such file or folder (looked in {Path.cwd()}){_siblings(Path(path))}")


def looks_local(path: str) -> bool:
    """Whether a text can only mean a path here, not an id on the Hub (`name` or `owner/name`)."""
    return path.startswith((".", "/", "~")) or path.count("/") > 1 or path.endswith(FILES)


def _siblings(path: Path) -> str:
    """The nearest names in the folder where `path` should be; nothing where that is missing too."""
    if not path.parent.is_dir():
        return ""
    near = nearest(path.name, (item.name for item in path.parent.iterdir()))
    return near if near.startswith("; did") else ""

"""Combinations of settings that cannot work, each refused with one message that names key, value and mend."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.errors import ExpError, nearest
from exp.metrics import names
from exp.metrics.key import Key
from exp.task import metrics_of

CHOICES = {
    "logging_strategy": ("no", "steps", "epoch"),
    "eval_strategy": ("no", "steps", "epoch"),
    "save_strategy": ("no", "steps", "epoch"),
    "batching": ("random", "length_grouped"),
    "on_bad_loss": ("stop", "skip", "rewind"),
}
AT_LEAST_ONE = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "logging_steps",
    "eval_steps",
    "save_steps",
    "save_total_limit",
    "early_stopping_patience",
    "data.max_train_samples",
    "data.max_eval_samples",
    "data.max_length",
)
NOT_NEGATIVE = (
    "seed",
    "init_seed",
    "data_seed",
    "dropout_seed",
    "max_grad_norm",
    "early_stopping_threshold",
    "optimizer.lr",
    "optimizer.weight_decay",
    "scheduler.warmup_steps",
    "scheduler.warmup_ratio",
)
SEEDS = ("seed", "init_seed", "data_seed", "dropout_seed")
# group, option -> module, extra of this package that installs it
EXTRAS = {
    ("optimizer", "adamw_8bit"): ("bitsandbytes", "bnb"),
    ("adapter", "qlora"): ("bitsandbytes", "bnb"),
    ("tracker", "trackio"): ("trackio", "trackio"),
}
FILES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".gz")


def check_rules(config: Mapping[str, Any], choices: Mapping[str, Any]) -> None:
    """`config` has every root key with its right type; raises ExpError for the first rule that is broken."""
    _choices(config)
    _ranges(config)
    _evaluation(config)
    _warmup(config)
    _extras(choices)
    _precision(config, choices)
    _processes(config)
    _accelerate_variables(config, choices)
    _files(config)
    _best_metric(config, choices)


def value_of(config: Mapping[str, Any], dotted: str) -> Any:
    """None where the chosen options have no such key."""
    node: Any = config
    for part in dotted.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node


def _choices(config: Mapping[str, Any]) -> None:
    for key, known in CHOICES.items():
        if config[key] not in known:
            raise ExpError(f"{key}={config[key]}: no such choice{nearest(config[key], known)}")


def _ranges(config: Mapping[str, Any]) -> None:
    for key in (*AT_LEAST_ONE, *NOT_NEGATIVE):
        value, least = value_of(config, key), 1 if key in AT_LEAST_ONE else 0
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= least):
            raise ExpError(f"{key}={value} must be {least} or more")
    for key in SEEDS:
        if config[key] >= 2**32:
            raise ExpError(f"{key}={config[key]} must be below 2**32: NumPy takes no larger seed")
    if config["max_steps"] == 0 or config["max_steps"] < -1:
        raise ExpError(f"max_steps={config['max_steps']} must be 1 or more, or -1 to go by num_train_epochs")
    epochs = config["num_train_epochs"]
    if config["max_steps"] == -1 and not 0 < epochs < math.inf:
        raise ExpError(f"num_train_epochs={epochs} must be above 0; or set max_steps")


def _evaluation(config: Mapping[str, Any]) -> None:
    if config["eval_strategy"] != "no":
        return
    wants = {
        "early_stopping_patience": config["early_stopping_patience"] is not None,
        "load_best_model_at_end": config["load_best_model_at_end"],
        "metric_for_best_model": config["metric_for_best_model"] is not None,
    }
    for key, wanted in wants.items():
        if wanted:
            raise ExpError(
                f"{key}={config[key]} needs evaluations while training, and eval_strategy=no makes none: "
                f"set eval_strategy=epoch or eval_strategy=steps"
            )


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
    why = f"{chosen} does not compute it"
    own = names.kinds_of(metrics)
    if name in names.METRICS and not own & names.kinds_of([name]):
        theirs, ours = (" or ".join(sorted(kinds)) for kinds in (names.kinds_of([name]), own))
        why = f"{name} is a metric of {theirs}, and {chosen} is {ours}"
    raise ExpError(f"metric_for_best_model={wanted}: {why}; choose one of {', '.join(sorted(known))}")


def _warmup(config: Mapping[str, Any]) -> None:
    steps, ratio = value_of(config, "scheduler.warmup_steps"), value_of(config, "scheduler.warmup_ratio")
    if ratio and ratio >= 1:
        raise ExpError(f"scheduler.warmup_ratio={ratio} is a share of all steps and must be below 1")
    if steps and 0 < config["max_steps"] <= steps:
        raise ExpError(
            f"scheduler.warmup_steps={steps} is no shorter than max_steps={config['max_steps']}: "
            f"the rate would never leave the warmup. Lower warmup_steps or raise max_steps"
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
    if adapter in ("AdaLora", "QLora") and str(value_of(config, "distributed._target_")).endswith("Fsdp"):
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


def _files(config: Mapping[str, Any]) -> None:
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

"""From config to parts: the only file that makes them. After it no component sees a config."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.config.targets import make
from exp.data.base import Fold, RawData
from exp.distributed.joined_ranks import JoinedRanks
from exp.errors import ExpError
from exp.loop.base import Loop, Parts
from exp.loop.charges import UNCHARGED
from exp.loop.curve_alerts import CurveAlerts
from exp.loop.plan import plan
from exp.loss.base import LossFacts, TrainingLoss
from exp.loss.function import build_function
from exp.loss.own import model_loss
from exp.model.padding import longest_input
from exp.optim.averaging import NoAveraging
from exp.optim.freeze import NoFreeze
from exp.options.calls import check_events, checked, giving
from exp.options.settings import TrainingSettings
from exp.run import ranks
from exp.run.files import user_path
from exp.tracker.base import Fanout, NullTracker, Tracker
from exp.tracker.jsonl import JsonlTracker

if TYPE_CHECKING:
    from transformers import PreTrainedModel, TrainerCallback

    from exp.data.examples import TaskData
    from exp.data.features import Encoded
    from exp.distributed.world import World
    from exp.task.base import Task

Stamps = tuple[tuple[str, int, int], ...]  # path, bytes, time of the last change in ns


def build_settings(config: Mapping[str, Any]) -> TrainingSettings:
    older = {"max_tokens": None, "eval_max_tokens": None}  # as runs were made that are older than a key
    return TrainingSettings(**{field.name: {**older, **config}[field.name] for field in fields(TrainingSettings)})


def build_tracker(config: Mapping[str, Any]) -> Tracker:
    """metrics.jsonl first: it is there when another one fails. One process of a run tracks it."""
    if not ranks.current.get().place.first:
        return NullTracker()
    others = [make(one, f"tracker.{name}") for name, one in config["tracker"].items()]
    return CurveAlerts(Fanout(JsonlTracker(), others))


def build_loop(config: Mapping[str, Any]) -> Loop:
    return make(config["loop"], "loop")


def build_hub(config: Mapping[str, Any]) -> Any:
    """An exp.saved.hub.Hub, whose room is above this one."""
    return make(config["hub"], "hub")


def build_world(config: Mapping[str, Any]) -> World:
    """Raises ExpError for what the processes that were started cannot do."""
    from exp.distributed import options, world

    together = ranks.current.get()
    if together.place.size == 1 and "distributed" not in config:  # a run that is older than the group
        return world.SINGLE_PROCESS
    option = make(config["distributed"], "distributed")
    options.check(config["distributed"], together.place.size, goes_on=True)
    return world.ProcessGroupWorld(together, option) if isinstance(together, JoinedRanks) else world.SINGLE_PROCESS


def build_task(config: Mapping[str, Any]) -> Task:
    return make(config["task"], "task")


def build_loss(config: Mapping[str, Any], facts: LossFacts) -> TrainingLoss:
    """Raises ExpError where the loss makes no sense for the task."""
    if "loss" not in config:  # a run that is older than the group
        return model_loss
    made = make(config["loss"], "loss")
    if not hasattr(made, "build"):
        return build_function(made, facts)
    return checked(made.build(facts), Callable, "loss: build")


def build_callbacks(config: Mapping[str, Any]) -> dict[str, TrainerCallback]:
    """Raises ExpError for a part that is no callback of transformers."""
    nodes = config.get("callbacks") or {}
    if not nodes:
        return {}
    from transformers import TrainerCallback

    found = {}
    for name, node in nodes.items():
        made = make(node, f"callbacks.{name}")
        made = made.make() if hasattr(made, "make") else made
        check_events(checked(made, TrainerCallback, f"callbacks.{name}"), f"callbacks.{name}")
        found[name] = made
    return found


def build_raw(config: Mapping[str, Any]) -> RawData:
    """The rows alone, as the data option reads them."""
    return checked(make(config["data"], "data").read(), RawData, "data: read")


def build_data(config: Mapping[str, Any]) -> TaskData:
    """Read once a process: a sweep's worker asks for the same data at every trial."""
    return _data(json.dumps([config["data"], config["task"], fold_of(config)]), _stamps(config["data"]))


@lru_cache(maxsize=2)
def _data(nodes: str, stamps: Stamps) -> TaskData:
    data, task, fold = json.loads(nodes)
    raw = build_raw({"data": data})
    return build_task({"task": task}).read(raw if fold is None else replace(raw, fold=Fold(*fold)))


def fold_of(config: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Number, count and repetition: seeds 0 to K - 1 are the folds of one cut, the next K those of another."""
    count = config.get("folds")  # a run that is older than the key has none
    return None if count is None else (config["seed"] % count, count, config["seed"] // count)


def build_features(config: Mapping[str, Any]) -> tuple[Any, Encoded]:
    """As build_data: the processor of the config's model, and all splits through it."""
    stamps = _stamps(config["data"]) + _stamps(config["model"])
    nodes = json.dumps({name: config.get(name) for name in ("data", "task", "model", "folds", "seed")})
    return _features(nodes, config["cache_dir"], stamps)


@lru_cache(maxsize=2)
def _features(nodes: str, cache_dir: str, stamps: Stamps) -> tuple[Any, Encoded]:
    config = json.loads(nodes)
    data, task = build_data(config), build_task(config)
    processor = make(config["model"], "model").processor(data, task.head(data))
    return processor, task.encode(data, processor, user_path(cache_dir))


def _stamps(node: Mapping[str, Any]) -> Stamps:
    """Size and time of all files that `node` names, so that a changed one is read again."""
    paths = [Path(value) for value in node.values() if isinstance(value, str) and Path(value).exists()]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return tuple((str(file), (at := file.stat()).st_size, at.st_mtime_ns) for file in files)


def mixed_precision(config: Mapping[str, Any]) -> str:
    """What the config's precision means on this machine, in Accelerate's word."""
    return make(config["precision"], "precision").resolve(_device())


def as_trained(config: Mapping[str, Any], model: PreTrainedModel) -> int | None:
    """Gives a saved model the kernels of its training; returns what its batches are padded to a multiple of."""
    speed = make(config["speed"], "speed")
    precision = mixed_precision(config)
    speed.kernels(model, _device(), precision, packed=config["batching"] == "packed")
    return speed.pads_to(_device(), precision)


def build(config: Mapping[str, Any]) -> Parts:
    """What the hardware or the row counts forbid is found before weights load.

    `config` is resolved, in plain containers.
    """
    import torch
    from accelerate.utils import set_seed

    from exp.compat.transformers import import_light
    from exp.loop.outputs import reading_of
    from exp.metrics.names import directions

    settings = build_settings(config)
    world, together = build_world(config), ranks.current.get()
    precision = mixed_precision(config)
    with together.first_on_host("data"):
        task, data = build_task(config), build_data(config)
    processes = config["distributed"]["processes"] if "distributed" in config else 1
    reading = reading_of(task, data)
    source, adapter, head = make(config["model"], "model"), make(config["adapter"], "adapter"), task.head(data)
    _asked(adapter, "check_head", head)
    with together.first_on_host("features"):
        processor, encoded = build_features(config)
    said = directions(data.metrics)
    # Rows of features, which may be more than examples: a long text has several.
    train = encoded.train
    steps = plan(settings, train.lengths, reading.names, list(data.evals), processes, said, streamed=train.in_order)
    train.check_batch(steps.batch_size)
    import_light()  # before the first schedule or model
    scheduler = giving(make(config["scheduler"], "scheduler"), torch.optim.lr_scheduler.LRScheduler, "scheduler")
    scheduler(torch.optim.SGD([torch.zeros(1)], lr=1.0), steps.total_steps, steps.greater_is_better)  # warmup fits

    set_seed(settings.init_seed)  # before the head is drawn
    words = checked(adapter.load_kwargs(), Mapping, "adapter: load_kwargs")
    model = checked(source.model(head, processor, **words), torch.nn.Module, "model: model")
    _asked(adapter, "check_room", head, longest_input(model.config))
    head.prepare(model, processor)
    model = checked(adapter.apply(model, steps.total_steps, head.peft_task), torch.nn.Module, "adapter: apply")
    # A run that is older than one of these groups has none of it.
    freeze = make(config["freeze"], "freeze") if "freeze" in config else NoFreeze()
    averaging = make(config["averaging"], "averaging") if "averaging" in config else NoAveraging()
    freeze.apply(model)
    if settings.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise ExpError(
                f"gradient_checkpointing=true: transformers' {type(model).__name__} cannot recompute its activations; "
                f"set it to false, and take a smaller batch with gradient_accumulation_steps"
            )
        model.activation_checkpointing_enable()
    speed = make(config["speed"], "speed")
    speed.apply(model, _device(), precision, settings.dropout_seed, packed=settings.batching == "packed")
    loss = build_loss(config, LossFacts(head, encoded.train, processor))
    step_loss = speed.recorded(
        loss,
        _device(),
        packed=settings.batching == "packed",
        processes=processes,
        accumulates=settings.gradient_accumulation_steps > 1,
    )
    return Parts(
        task=task,
        reading=reading,
        data=data,
        encoded=encoded,
        model=model,
        processor=processor,
        collator=task.collate(processor, speed.pads_to(_device(), precision), data.labels),
        loss=loss,
        step_loss=step_loss,
        optimizer=giving(make(config["optimizer"], "optimizer"), torch.optim.Optimizer, "optimizer"),
        scheduler=scheduler,
        adapter=adapter,
        freeze=freeze,
        averaging=averaging,
        mixed_precision=precision,
        settings=settings,
        plan=steps,
        world=world,
        charges=make(config["cost"], "cost") if "cost" in config else UNCHARGED,
        callbacks=build_callbacks(config),
    )


def _asked(part: Any, check: str, *given: Any) -> None:
    """A check that a part may have (exp.options.calls)."""
    if hasattr(part, check):
        getattr(part, check)(*given)


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

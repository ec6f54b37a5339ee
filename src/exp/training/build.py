"""From config to parts: the only file that calls instantiate(). After it no component sees a config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate

from exp.config.settings import TrainingSettings
from exp.distributed import ranks
from exp.distributed.together import Together
from exp.loop.base import Loop, Parts
from exp.loop.curve_alerts import Watch
from exp.loop.plan import plan
from exp.run.files import user_path
from exp.saved.hub import Hub
from exp.tracker.base import Fanout, NullTracker, Tracker
from exp.tracker.jsonl import JsonlTracker

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from exp.data.base import RawData
    from exp.data.encode import Encoded
    from exp.distributed.world import World

Stamps = tuple[tuple[str, int, int], ...]  # path, bytes, time of the last change in ns


def _make(node: Mapping[str, Any]) -> Any:
    return instantiate(node, _convert_="all")  # components get lists and dicts, not OmegaConf's


def build_settings(config: Mapping[str, Any]) -> TrainingSettings:
    return TrainingSettings(**{field.name: config[field.name] for field in fields(TrainingSettings)})


def build_tracker(config: Mapping[str, Any]) -> Tracker:
    """metrics.jsonl first: it is there when another one fails. One process of a run tracks it."""
    if not ranks.current.get().place.first:
        return NullTracker()
    return Watch(Fanout(JsonlTracker(), [_make(one) for one in config["tracker"].values()]))


def build_loop(config: Mapping[str, Any]) -> Loop:
    return _make(config["loop"])


def build_hub(config: Mapping[str, Any]) -> Hub:
    return _make(config["hub"])


def build_world(config: Mapping[str, Any]) -> World:
    """Raises ExpError for what the processes that were started cannot do."""
    from exp.distributed import options, world

    together = ranks.current.get()
    if together.place.size == 1 and "distributed" not in config:  # a run that is older than the group
        return world.ALONE
    option = _make(config["distributed"])
    options.check(config["distributed"], together.place.size, goes_on=True)
    return world.Many(together, option) if isinstance(together, Together) else world.ALONE


def build_data(config: Mapping[str, Any]) -> RawData:
    """Read once a process: a sweep's worker asks for the same data at every trial."""
    return _data(json.dumps(config["data"]), _stamps(config["data"]))


@lru_cache(maxsize=2)
def _data(node: str, stamps: Stamps) -> RawData:
    return _make(json.loads(node))


def build_tokens(config: Mapping[str, Any]) -> tuple[PreTrainedTokenizerBase, Encoded]:
    """As build_data: the tokenizer of the config's model, and all splits through it."""
    stamps = _stamps(config["data"]) + _stamps(config["model"])
    return _tokens(json.dumps(config["data"]), json.dumps(config["model"]), config["cache_dir"], stamps)


@lru_cache(maxsize=2)
def _tokens(data: str, model: str, cache_dir: str, stamps: Stamps) -> tuple[PreTrainedTokenizerBase, Encoded]:
    from exp.data.encode import encode

    raw = build_data({"data": json.loads(data)})
    tokenizer = _make(json.loads(model)).tokenizer(raw)
    return tokenizer, encode(raw, tokenizer, user_path(cache_dir))


def _stamps(node: Mapping[str, Any]) -> Stamps:
    """Size and time of all files that `node` names, so that a changed one is read again."""
    paths = [Path(value) for value in node.values() if isinstance(value, str) and Path(value).exists()]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return tuple((str(file), (at := file.stat()).st_size, at.st_mtime_ns) for file in files)


def mixed_precision(config: Mapping[str, Any]) -> str:
    """What the config's precision means on this machine, in Accelerate's word."""
    return _make(config["precision"]).resolve(_device())


def as_trained(config: Mapping[str, Any], model: PreTrainedModel) -> int | None:
    """Gives a saved model the kernels of its training; returns what its batches are padded to a multiple of."""
    speed = _make(config["speed"])
    speed.kernels(model, _device(), mixed_precision(config))
    return speed.pads_to(_device())


def build(config: Mapping[str, Any]) -> Parts:
    """What the hardware or the row counts forbid is found before weights load.

    `config` is resolved, in plain containers.
    """
    import torch
    from transformers import set_seed

    from exp import metrics
    from exp.data.collate import Collator
    from exp.metrics.names import produced

    settings = build_settings(config)
    world, together = build_world(config), ranks.current.get()
    precision = mixed_precision(config)
    with together.first_here("data"):
        data = build_data(config)
    processes = config["distributed"]["processes"] if "distributed" in config else 1
    steps = plan(settings, len(data.train), produced(data.metrics), list(data.evals), processes)
    scheduler = _make(config["scheduler"])
    scheduler(torch.optim.SGD([torch.zeros(1)], lr=1.0), steps.total_steps, steps.greater_is_better)  # warmup fits

    source, adapter = _make(config["model"]), _make(config["adapter"])
    with together.first_here("tokens"):
        tokenizer, encoded = build_tokens(config)
    set_seed(settings.init_seed)  # before the head is drawn
    model = source.model(data, tokenizer, **adapter.load_kwargs())
    model = adapter.apply(model, steps.total_steps)
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable()
    speed = _make(config["speed"])
    speed.apply(model, _device(), precision, settings.dropout_seed)
    return Parts(
        data=data,
        encoded=encoded,
        model=model,
        tokenizer=tokenizer,
        collator=Collator(tokenizer, pad_to_multiple_of=speed.pads_to(_device())),
        optimizer=_make(config["optimizer"]),
        scheduler=scheduler,
        metric=lambda: metrics.build(data.metrics),
        adapter=adapter,
        mixed_precision=precision,
        settings=settings,
        plan=steps,
        world=world,
    )


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

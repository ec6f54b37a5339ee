"""Runs of both loops and of a plain loop, for tests that hold them against each other."""

from __future__ import annotations

import math
import os
import pickle
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from hydra.utils import execution_whitelist

from exp.compat.hydra import put_values
from exp.config.compose import compose, plain
from exp.data.examples import split_name
from exp.loop import outputs
from exp.loop.base import Parts
from exp.loop.trial import NoTrial
from exp.options.trust import whitelist
from exp.run.folder import Run, create
from exp.run.result import Result
from exp.task.base import EvaluatedBatch
from exp.tracker.base import NullTracker
from exp.training.build import build, build_loop
from exp.work.job_configs import VALUE

# Eleven batches an epoch; with an accumulation of 4 the last group has three, and the last batch two examples.
SMALL = [
    "tracker=none",
    "data.max_train_samples=42",
    "data.max_eval_samples=30",
    "per_device_train_batch_size=4",
    "per_device_eval_batch_size=7",
    "num_train_epochs=2",
    "logging_steps=1",
]
Asked = tuple[tuple[str, str], ...]  # variables that configs read


@dataclass
class Recorder(NullTracker):
    """Keeps every event as (step, key, value)."""

    events: list[tuple[int, str, float]] = field(default_factory=list)

    def log(self, metrics: Any, *, step: int, epoch: float) -> None:
        self.events += [(step, key, value) for key, value in metrics.items()]

    def of(self, key: str) -> list[tuple[int, float]]:
        return [(step, value) for step, name, value in self.events if name == key]


def config_of(*overrides: str) -> dict[str, Any]:
    """The config of a small run, over the options of this project and of trusted packages too."""
    asked = tuple(sorted(one for one in os.environ.items() if one[0].startswith("EXP_")))
    return deepcopy(_composed(overrides, str(Path.cwd()), asked))


@lru_cache(maxsize=256)
def _composed(overrides: tuple[str, ...], here: str, asked: Asked) -> dict[str, Any]:
    """Composing takes as long as some steps of a tiny model, and a promise composes the same words several times."""
    words = (*SMALL, *overrides)
    values = [word for word in words if _is_value(word)]
    config = pickle.loads(_with_options(tuple(word for word in words if word not in values), here, asked))
    return plain(config if put_values(config, values) else compose(words))


@lru_cache(maxsize=64)
def _with_options(words: tuple[str, ...], here: str, asked: Asked) -> bytes:
    """The config with Hydra's node. Values are put into a copy: many configs choose the same options."""
    return pickle.dumps(compose(words))


def _is_value(word: str) -> bool:
    """And chooses no option: no group has a dot in its name."""
    found = VALUE.match(word)
    return found is not None and (bool(found[2]) or found[1] in _settings()) and found[1] != "hydra"


@lru_cache(maxsize=1)
def _settings() -> frozenset[str]:
    return frozenset(key for key, value in plain(compose([])).items() if not isinstance(value, dict))


def parts_of(config: dict[str, Any]) -> Parts:
    with execution_whitelist(whitelist()):
        return build(config)


def run_loop(folder: Path, *overrides: str, trial: Any = None) -> tuple[Recorder, Result, Parts, Run]:
    """One run in `folder`, which may hold checkpoints of an earlier one."""
    config = config_of(*overrides)
    folder.mkdir(parents=True, exist_ok=True)
    run = create(folder, config)
    recorder = Recorder()
    parts = parts_of(config)
    with execution_whitelist(whitelist()):
        loop = build_loop(config)
    outputs.describe(parts, run)
    result = loop.fit(parts, run, recorder, trial or NoTrial())
    return recorder, result, parts, run


def plain_loop(*overrides: str) -> tuple[Recorder, Parts]:
    """What a tutorial would write, on the order of examples that docs/architecture.md states."""
    config = config_of(*overrides)
    parts = parts_of(config)
    settings, model, train = parts.settings, parts.model, parts.encoded.train
    optimizer = parts.optimizer(model)
    size = settings.per_device_train_batch_size
    steps, epochs = settings.max_steps, 1  # of a stream, which has no length
    if not train.in_order:
        batches, epochs = math.ceil(len(train) / size), int(settings.num_train_epochs)
        steps = epochs * math.ceil(batches / settings.gradient_accumulation_steps)
    scheduler = parts.scheduler(optimizer, steps, True)
    recorder, step = Recorder(), 0
    torch.manual_seed(settings.dropout_seed)
    for epoch in range(epochs):
        generator = torch.Generator().manual_seed(settings.data_seed + epoch)
        train.begin_epoch(epoch, settings.data_seed)
        if train.in_order:
            order = list(range(steps * size * settings.gradient_accumulation_steps))
        else:
            order = torch.randperm(len(train), generator=generator).tolist()
        chunks = [order[i : i + size] for i in range(0, len(order), size)]
        for start in range(0, len(chunks), settings.gradient_accumulation_steps):
            group = [
                parts.collator([train[i] for i in chunk])
                for chunk in chunks[start : start + settings.gradient_accumulation_steps]
            ]
            model.train()
            units = sum(map(parts.task.units, group))
            total = 0.0
            for batch in group:
                loss = parts.loss(model, batch) * (parts.task.units(batch) / units)
                loss.backward()
                total += loss.item()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm or math.inf)
            lr = optimizer.param_groups[0]["lr"]
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            step += 1
            row = {"train/loss": total, "train/lr": lr, "train/grad_norm": norm.item()}
            recorder.log(row, step=step, epoch=0.0)
        recorder.log(plain_evaluation(parts), step=step, epoch=0.0)
    return recorder, parts


def plain_evaluation(parts: Parts) -> dict[str, float]:
    """Loss and metrics of each evaluation set, one row at a time and in order."""
    found: dict[str, float] = {}
    reading = None
    parts.model.eval()
    for suffix, examples in parts.data.evals.items():
        features = parts.encoded.evals[suffix]
        losses, counts, answers = [], [], []
        with torch.no_grad():
            for row in range(len(features)):
                batch = parts.collator([features[row]])
                output = parts.model(**batch)
                units = parts.task.units(batch)
                losses.append(output.loss.item() * units if units else 0.0)
                counts.append(units)
                one = EvaluatedBatch(parts.model, batch, output, features, [row], parts.processor)
                answered = parts.task.answer(one)
                assert answered is not None  # an evaluation at the end
                answers.append(answered)
        together = {name: [one[name][0] for one in answers] for name in answers[0]}
        table = parts.reading.decode(together, features, examples)
        if reading is None:
            reading, _ = parts.reading.tuned(table)
        scores = {"loss": sum(losses) / sum(counts), **reading.score(reading.applied(table))}
        found.update({f"{split_name('eval', suffix)}/{key}": value for key, value in scores.items()})
    return found

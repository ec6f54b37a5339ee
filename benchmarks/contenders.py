"""The loops that are timed: a tutorial's, stock Trainer's, and ours. Each returns samples a second."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import execution_whitelist
from omegaconf import OmegaConf

from exp.build import build, build_loop
from exp.confdir import conf_dir
from exp.launch import WHITELIST
from exp.loop.base import Parts
from exp.run.folder import create
from exp.tracker.base import NullTracker
from exp.trial import NoTrial

SKIPPED = 5  # steps before the clock starts


def config_of(words: Sequence[str]) -> dict[str, Any]:
    with initialize_config_dir(str(conf_dir())):
        cfg = compose("train", overrides=["tracker=none", *words])
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def parts_of(config: Mapping[str, Any]) -> Parts:
    with execution_whitelist(WHITELIST):
        return build(config)


def _speed(batch: int, steps: int, seconds: float) -> float:
    return batch * (steps - SKIPPED) / seconds


def tutorial(words: Sequence[str], steps: int) -> float:
    """The course's plain loop: random batches, dynamic padding, unfused AdamW, fp32, no clipping.

    Its batches are those of our loops with the same seed: on a few dozen steps lengths would decide otherwise.
    """
    from torch.utils.data import DataLoader, RandomSampler
    from transformers import DataCollatorWithPadding, get_scheduler

    parts = parts_of(config_of(words))
    model, batch = parts.model, parts.settings.per_device_train_batch_size
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    rows = [parts.encoded.train[i] for i in range(len(parts.encoded.train))]
    order = RandomSampler(rows, generator=torch.Generator().manual_seed(parts.settings.data_seed))
    loader = DataLoader(rows, batch_size=batch, sampler=order, collate_fn=DataCollatorWithPadding(parts.tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, foreach=False, fused=False)
    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=steps)
    done, begun = 0, 0.0
    while True:
        for row in loader:
            loss = model(**{key: value.to(device) for key, value in row.items()}).loss
            loss.backward()
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            done += 1
            if done == SKIPPED:
                _wait()
                begun = time.perf_counter()
            if done == steps:
                _wait()
                return _speed(batch, steps, time.perf_counter() - begun)


def stock_trainer(words: Sequence[str], steps: int, pad_to: int | None = None) -> float:
    """transformers.Trainer with default arguments; `pad_to` pads every example to that length, as run_glue does."""
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    parts = parts_of(config_of(words))
    batch = parts.settings.per_device_train_batch_size
    moments: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step in (SKIPPED, steps):
                _wait()
                moments.append(time.perf_counter())

    padding: dict[str, Any] = {"padding": "max_length", "max_length": pad_to} if pad_to else {}
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=parts.model,
            args=TrainingArguments(
                folder, max_steps=steps, per_device_train_batch_size=batch, disable_tqdm=True, save_strategy="no"
            ),
            train_dataset=parts.encoded.train,
            data_collator=DataCollatorWithPadding(parts.tokenizer, **padding),
            callbacks=[Clock()],
        )
        trainer.train()
    return _speed(batch, steps, moments[1] - moments[0])


@dataclass
class Stopwatch(NullTracker):
    """The moments at which steps were logged."""

    moments: dict[int, float] = field(default_factory=dict)

    def log(self, metrics: Any, *, step: int, epoch: float) -> None:
        _wait()
        self.moments.setdefault(step, time.perf_counter())


def ours(words: Sequence[str], steps: int) -> float:
    """One of our loops, logging and all; the last evaluation is left out."""
    config = config_of([*words, f"max_steps={steps}", "eval_strategy=no", f"logging_steps={SKIPPED}"])
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        run = create(Path(folder), config)
        parts = parts_of(config)
        with execution_whitelist(WHITELIST):
            loop = build_loop(config)
        loop.fit(parts, run, watch, NoTrial())
    return _speed(parts.settings.per_device_train_batch_size, steps, watch.moments[steps] - watch.moments[SKIPPED])


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()

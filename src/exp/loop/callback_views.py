"""What callbacks see of a run in transformers' own classes: arguments and state, which they may only read."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from transformers import IntervalStrategy, TrainingArguments
from transformers.trainer_callback import TrainerState

from exp.errors import ExpError

if TYPE_CHECKING:
    import torch

    from exp.loop.base import Parts
    from exp.run.folder import Run


class _Watched:
    """Refuses to be changed while a callback is called."""

    watched_for: str | None = None  # the callback and its event

    def __setattr__(self, key: str, value: Any) -> None:
        if self.watched_for is not None and key != "watched_for":
            what = "state" if isinstance(self, TrainerState) else "args"
            raise ExpError(f"{self.watched_for} sets {what}.{key}, which it may only read; it may set the control")
        super().__setattr__(key, value)


class WatchedState(_Watched, TrainerState):
    """transformers' state of a training."""


class WatchedArguments(_Watched, TrainingArguments):
    """transformers' arguments with the run's own values; made without the side effects of its constructor."""

    def __init__(self, on: torch.device, processes: tuple[int, int], **given: Any) -> None:
        """`processes`: this one's rank, and how many there are."""
        self._device, self._processes = on, processes
        for field in dataclasses.fields(TrainingArguments):
            default = field.default
            if default is dataclasses.MISSING:
                default = None if field.default_factory is dataclasses.MISSING else field.default_factory()
            setattr(self, field.name, given.pop(field.name, default))
        assert not given, given

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def n_gpu(self) -> int:
        return int(self._device.type == "cuda")

    @property
    def world_size(self) -> int:
        return self._processes[1]

    @property
    def process_index(self) -> int:
        return self._processes[0]

    local_process_index = process_index

    @property
    def should_save(self) -> bool:
        return self._processes[0] == 0

    should_log = should_save


def watched_arguments(parts: Parts, run: Run, device: torch.device) -> WatchedArguments:
    settings = parts.settings
    every = {f"{kind}_strategy": getattr(settings, f"{kind}_strategy") for kind in ("logging", "eval", "save")}
    named: tuple[str, ...] = (
        "num_train_epochs",
        "max_steps",
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
    )
    named += ("gradient_accumulation_steps", "max_grad_norm", "gradient_checkpointing", "logging_steps", "save_steps")
    named += ("save_total_limit", "load_best_model_at_end", "seed", "data_seed", "do_predict")
    return WatchedArguments(
        device,
        (parts.world.rank, parts.world.size),
        **{key: getattr(settings, key) for key in named},
        **{key: IntervalStrategy(value) for key, value in every.items()},
        output_dir=str(run.folder),
        run_name=run.id,
        eval_steps=settings.eval_steps or settings.logging_steps,
        metric_for_best_model=parts.plan.objective.replace("/", "_"),
        greater_is_better=parts.plan.greater_is_better,
        bf16=parts.mixed_precision == "bf16",
        fp16=parts.mixed_precision == "fp16",
        report_to=[],
        disable_tqdm=True,
    )


def watched_state(parts: Parts) -> WatchedState:
    settings, plan, first = parts.settings, parts.plan, parts.world.rank == 0
    return WatchedState(
        max_steps=plan.total_steps,
        num_train_epochs=plan.epochs,
        logging_steps=settings.logging_steps,
        eval_steps=settings.eval_steps or settings.logging_steps,
        save_steps=settings.save_steps,
        train_batch_size=settings.per_device_train_batch_size,
        is_local_process_zero=first,
        is_world_process_zero=first,
    )

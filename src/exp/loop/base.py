"""The contract between the parts and the loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel, TrainerCallback

    from exp.data.collate import Collator
    from exp.data.examples import TaskData
    from exp.data.features import Encoded
    from exp.distributed.world import World
    from exp.loop.charges import Charges
    from exp.loop.plan import StepPlan
    from exp.loop.trial import Trial
    from exp.loss.base import TrainingLoss
    from exp.model.base import Adapter
    from exp.optim.averaging import Averaging
    from exp.optim.freeze import Freeze
    from exp.options.settings import TrainingSettings
    from exp.run.folder import Run
    from exp.run.result import Result
    from exp.task.base import Reading, Task
    from exp.tracker.base import Tracker


@dataclass(frozen=True)
class Parts:
    """Everything a loop needs, built. No part sees a config any more."""

    task: Task
    reading: Reading  # of the task, for these data
    data: TaskData
    encoded: Encoded
    model: PreTrainedModel  # fp32, on the CPU, adapter applied
    processor: Any  # tokenizer of the model, saved with it
    collator: Collator
    loss: TrainingLoss  # of a micro-batch, a mean over its units
    step_loss: TrainingLoss  # `loss`, or the same as graphs of CUDA: what a training step calls
    optimizer: Callable[[PreTrainedModel], Optimizer]
    scheduler: Callable[..., LRScheduler]  # (optimizer, total_steps, greater_is_better)
    adapter: Adapter
    freeze: Freeze
    averaging: Averaging
    mixed_precision: str  # "no" | "bf16" | "fp16": Accelerate's words
    settings: TrainingSettings
    plan: StepPlan
    world: World
    charges: Charges
    callbacks: Mapping[str, TrainerCallback]  # the user's, by the name they have in the config


class Loop(Protocol):
    """Turns parts into a trained model: `parts.model` holds the final (or best) weights afterwards."""

    def fit(self, parts: Parts, run: Run, tracker: Tracker, trial: Trial) -> Result: ...

"""How many steps there will be, and what counts as better: arithmetic that needs only the row counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from exp.config.settings import TrainingSettings
from exp.errors import ExpError, nearest
from exp.metrics.names import spec


@dataclass(frozen=True)
class StepPlan:
    batch_size: int  # examples of a micro-batch, over all processes
    batches_per_epoch: int  # micro-batches, the last one may be smaller
    steps_per_epoch: int  # optimizer steps, the last group of micro-batches may be shorter
    total_steps: int
    epochs: int  # begun, the last one may be cut short
    objective: str  # the key that decides what is best, such as eval/accuracy
    greater_is_better: bool


def plan(
    settings: TrainingSettings, examples: int, metrics: Sequence[str], suffixes: Sequence[str], processes: int = 1
) -> StepPlan:
    """`metrics` are the names that an evaluation computes; `suffixes` tell the evaluation sets apart."""
    batch_size = settings.per_device_train_batch_size * processes
    batches = math.ceil(examples / batch_size)
    steps = math.ceil(batches / settings.gradient_accumulation_steps)
    total = settings.max_steps if settings.max_steps > 0 else math.ceil(settings.num_train_epochs * steps)
    if total < 1:
        raise ExpError(f"num_train_epochs={settings.num_train_epochs} makes no single optimizer step; raise it")
    objective = objective_key(settings, metrics, suffixes)
    greater = settings.greater_is_better
    if greater is None:
        greater = spec(objective.rpartition("/")[2]).greater_is_better
    return StepPlan(batch_size, batches, steps, total, math.ceil(total / steps), objective, greater)


def epoch_of(step: int, plan: StepPlan) -> float:
    """Epochs done after `step` optimizer steps, counted in micro-batches (the last group may be shorter)."""
    whole, within = divmod(step, plan.steps_per_epoch)
    per_step = math.ceil(plan.batches_per_epoch / plan.steps_per_epoch)
    return whole + min(within * per_step, plan.batches_per_epoch) / plan.batches_per_epoch


def objective_key(settings: TrainingSettings, metrics: Sequence[str], suffixes: Sequence[str]) -> str:
    """`accuracy`, `eval_accuracy` and `eval/accuracy` all name eval/accuracy; raises ExpError for an unknown one."""
    if settings.eval_strategy == "no":
        return "train/loss"
    wanted = settings.metric_for_best_model or metrics[0]
    known = {eval_key(suffix, name) for suffix in suffixes for name in [*metrics, "loss"]}
    spelled = [wanted, f"eval/{wanted}", wanted.replace("eval_", "eval/", 1)]
    for key in spelled:
        if key in known:
            return key
    raise ExpError(f"metric_for_best_model={wanted} is computed by no evaluation here{nearest(wanted, known)}")


def eval_key(suffix: str, name: str) -> str:
    """eval/accuracy, or eval_mm/accuracy for the evaluation set with the suffix `mm`."""
    return f"eval_{suffix}/{name}" if suffix else f"eval/{name}"

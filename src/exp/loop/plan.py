"""How many steps there will be, and what counts as better: arithmetic that needs only the row counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exp.errors import ExpError, nearest
from exp.loop.token_batches import batch_count
from exp.metrics.best import rises
from exp.metrics.key import Key
from exp.metrics.names import LOSS
from exp.options.settings import TrainingSettings


@dataclass(frozen=True)
class StepPlan:
    batch_size: int  # examples of a micro-batch, over all processes; with a budget of tokens their mean number
    batches_per_epoch: int  # micro-batches, the last one may be smaller
    steps_per_epoch: int  # optimizer steps, the last group of micro-batches may be shorter
    total_steps: int
    epochs: int  # begun, the last one may be cut short
    objective: str  # the key that decides what is best, such as eval/accuracy
    greater_is_better: bool
    directions: Mapping[str, bool]  # of single keys or metrics, where their name does not tell; the objective's too
    max_tokens: int | None = None  # of a micro-batch, over all processes; None: it holds `batch_size` examples


def plan(
    settings: TrainingSettings,
    lengths: Sequence[int],
    metrics: Sequence[str],
    suffixes: Sequence[str],
    processes: int = 1,
    directions: Mapping[str, bool] | None = None,
    streamed: bool = False,
) -> StepPlan:
    """`lengths` are the tokens of each training row, of which a stream (`streamed`) does not know how many there are:
    its only epoch is the whole run. `metrics` are the names that an evaluation computes; `suffixes`
    tell the evaluation sets apart; `directions` is what outside metrics say of themselves
    (`exp.metrics.names.directions`)."""
    batch_size = settings.per_device_train_batch_size * processes
    budget = None
    if streamed:
        settings.check_streamed()
        batches = settings.max_steps * settings.gradient_accumulation_steps
    elif settings.max_tokens is not None:
        budget = settings.max_tokens * processes
        batches = batch_count(lengths, budget, f"max_tokens={settings.max_tokens}")
        batch_size = math.ceil(len(lengths) / batches)
    else:
        batches = math.ceil(len(lengths) / batch_size)
    steps = math.ceil(batches / settings.gradient_accumulation_steps)
    total = settings.max_steps if settings.max_steps > 0 else math.ceil(settings.num_train_epochs * steps)
    if total < 1:
        raise ExpError(f"num_train_epochs={settings.num_train_epochs} makes no single optimizer step; raise it")
    objective = objective_key(settings, metrics, suffixes)
    said = dict(directions or {})
    greater = settings.greater_is_better
    if greater is None:
        greater = rises(objective, said)
    return StepPlan(
        batch_size,
        batches,
        steps,
        total,
        math.ceil(total / steps),
        objective,
        greater,
        {**said, objective: greater},
        budget,
    )


def epoch_of(step: int, plan: StepPlan) -> float:
    """Epochs done after `step` optimizer steps, counted in micro-batches (the last group may be shorter)."""
    whole, within = divmod(step, plan.steps_per_epoch)
    per_step = math.ceil(plan.batches_per_epoch / plan.steps_per_epoch)
    return whole + min(within * per_step, plan.batches_per_epoch) / plan.batches_per_epoch


def objective_key(settings: TrainingSettings, metrics: Sequence[str], suffixes: Sequence[str]) -> str:
    """`accuracy`, `eval_accuracy` and `eval/accuracy` all name eval/accuracy; raises ExpError for an unknown one."""
    if settings.eval_strategy == "no":
        return str(Key("train", LOSS))
    wanted = settings.metric_for_best_model or eval_key(suffixes[0], metrics[0])
    known = {eval_key(suffix, name) for suffix in suffixes for name in [*metrics, LOSS]}
    found = Key.find(wanted, known)
    if found is None:
        raise ExpError(f"metric_for_best_model={wanted} is computed by no evaluation here{nearest(wanted, known)}")
    return found


def eval_key(suffix: str, name: str) -> str:
    """eval/accuracy, or eval_mm/accuracy for the evaluation set with the suffix `mm`."""
    return str(Key.make("eval", suffix, name))

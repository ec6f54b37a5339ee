"""The root settings of a run, named as in transformers.TrainingArguments. Defaults stand in conf/train.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt, MinLen

from exp.errors import ExpError

Count = Annotated[int, Ge(1)]
Text = Annotated[str, MinLen(1)]
Seed = Annotated[int, Ge(0), Lt(2**32)]  # NumPy takes no larger one
When = Literal["no", "steps", "epoch"]


@dataclass(frozen=True)
class TrainingSettings:
    """What both loops obey."""

    seed: Seed
    init_seed: Seed  # draws the head (and all weights of bert_tiny)
    data_seed: Seed  # orders the training examples
    dropout_seed: Seed  # draws dropout masks
    num_train_epochs: Annotated[float, Gt(0)]
    max_steps: Annotated[int, Ge(-1)]  # optimizer steps; -1: from num_train_epochs
    per_device_train_batch_size: Count
    per_device_eval_batch_size: Count
    eval_max_tokens: Count | None  # of an evaluation batch, padding included; None: per_device_eval_batch_size rows
    gradient_accumulation_steps: Count
    max_grad_norm: Annotated[float, Ge(0)]  # 0: gradients are measured, not clipped
    gradient_checkpointing: bool
    batching: Literal["random", "length_grouped", "packed"]
    max_tokens: Count | None  # of a micro-batch, in place of a number of rows; None: per_device_train_batch_size
    logging_strategy: When
    logging_steps: Count
    eval_strategy: When
    eval_steps: Count | None  # None: logging_steps
    save_strategy: When
    save_steps: Count
    save_total_limit: Count | None  # checkpoints kept; the best one is never deleted
    load_best_model_at_end: bool
    metric_for_best_model: Text | None  # None: the data's first metric
    greater_is_better: bool | None  # None: False for a loss, True for every other metric
    early_stopping_patience: Count | None  # evaluations without progress; None: never
    early_stopping_threshold: Annotated[float, Ge(0)]
    auto_find_batch_size: bool
    on_bad_loss: Literal["stop", "skip", "rewind"]
    do_predict: bool  # run the test splits through the final model

    def __post_init__(self) -> None:
        if self.max_steps == 0:
            raise ExpError("max_steps=0 must be 1 or more, or -1 to go by num_train_epochs")
        if self.max_tokens is not None and self.batching != "packed":
            raise ExpError(
                f"max_tokens={self.max_tokens} fills batches by their real tokens, which batching={self.batching} "
                f"pads: set batching=packed, or max_tokens=null"
            )
        if self.max_tokens is not None and self.auto_find_batch_size:
            raise ExpError("auto_find_batch_size=true halves rows, and max_tokens counts none: set one of them")
        if self.eval_strategy != "no":
            return
        wants = {
            "early_stopping_patience": (self.early_stopping_patience, self.early_stopping_patience is not None),
            "load_best_model_at_end": ("true", self.load_best_model_at_end),
            "metric_for_best_model": (self.metric_for_best_model, self.metric_for_best_model is not None),
        }
        for key, (value, wanted) in wants.items():
            if wanted:
                raise ExpError(
                    f"{key}={value} needs evaluations while training, and eval_strategy=no makes none: "
                    f"set eval_strategy=epoch or eval_strategy=steps"
                )

    def check_streamed(self) -> None:
        """Raises ExpError for settings that need to know all train rows, of which a stream knows none."""
        if self.max_steps <= 0:
            raise ExpError("data.streaming=true knows no number of rows: say how long to train, e.g. max_steps=1000")
        if self.batching == "length_grouped":
            raise ExpError(
                "batching=length_grouped sorts all rows by length, and data.streaming=true reads them as they come: "
                "take batching=random or batching=packed"
            )
        if self.max_tokens is not None:
            raise ExpError(
                f"max_tokens={self.max_tokens} cuts batches by the lengths of all rows, and data.streaming=true reads "
                f"them as they come: set max_tokens=null"
            )


@dataclass(frozen=True)
class RootSettings(TrainingSettings):
    """Every key of conf/train.yaml that is no group."""

    folds: Annotated[int, Ge(2)] | None  # evaluate on one part of the training split, drawn by the seed
    resume: Text | None
    init_checkpoint: Text | None
    cache_dir: Text

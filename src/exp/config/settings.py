"""The root settings of a run, named as in transformers.TrainingArguments. Defaults stand in conf/train.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """What both loops obey. Types here are what the config is checked against before anything is imported."""

    seed: int
    init_seed: int  # draws the head (and all weights of bert_tiny)
    data_seed: int  # orders the training examples
    dropout_seed: int  # draws dropout masks
    num_train_epochs: float
    max_steps: int  # optimizer steps; -1: from num_train_epochs
    per_device_train_batch_size: int
    per_device_eval_batch_size: int
    gradient_accumulation_steps: int
    max_grad_norm: float  # 0: gradients are measured, not clipped
    gradient_checkpointing: bool
    batching: str  # random | length_grouped
    logging_strategy: str  # steps | epoch | no
    logging_steps: int
    eval_strategy: str  # steps | epoch | no
    eval_steps: int | None  # None: logging_steps
    save_strategy: str  # steps | epoch | no
    save_steps: int
    save_total_limit: int | None  # checkpoints kept; the best one is never deleted
    load_best_model_at_end: bool
    metric_for_best_model: str | None  # None: the data's first metric
    greater_is_better: bool | None  # None: False for a loss, True for every other metric
    early_stopping_patience: int | None  # evaluations without progress; None: never
    early_stopping_threshold: float
    auto_find_batch_size: bool
    on_bad_loss: str  # stop | skip | rewind
    do_predict: bool  # run the test splits through the final model

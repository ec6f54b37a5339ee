"""Keys that people know from elsewhere, or from the first version, and what they are called here."""

from __future__ import annotations

# Names of transformers.TrainingArguments and of its examples (run_glue.py).
TRAINING_ARGUMENTS = {
    "adafactor": "optimizer=adafactor",
    "adam_beta1": "optimizer.betas, the first of two",
    "adam_beta2": "optimizer.betas, the second of two",
    "adam_epsilon": "optimizer.eps",
    "bf16": "precision=bf16",
    "bf16_full_eval": "precision=bf16",
    "ddp_backend": "chosen by the device",
    "ddp_broadcast_buffers": "distributed.broadcast_buffers",
    "ddp_bucket_cap_mb": "distributed.bucket_cap_mb",
    "ddp_find_unused_parameters": "distributed.find_unused_parameters",
    "ddp_timeout": "distributed.timeout",
    "dataset_config_name": "data.name of data=hub",
    "dataset_name": "data=hub data.path=...",
    "dataloader_drop_last": None,
    "dataloader_num_workers": None,
    "dataloader_pin_memory": None,
    "dataloader_prefetch_factor": None,
    "deepspeed": None,
    "do_eval": "eval_strategy (no, steps or epoch)",
    "do_train": None,
    "eval_delay": None,
    "evaluation_strategy": "eval_strategy",
    "fp16": "precision=fp16",
    "fp16_full_eval": "precision=fp16",
    "fsdp": "distributed=fsdp",
    "fsdp_config": "distributed=fsdp",
    "full_determinism": None,
    "group_by_length": "batching=length_grouped",
    "hub_model_id": "hub.repo_id",
    "hub_private_repo": "hub.private",
    "hub_token": "the environment variable HF_TOKEN",
    "label_smoothing": None,
    "label_smoothing_factor": None,
    "learning_rate": "optimizer.lr",
    "length_column_name": "batching=length_grouped",
    "log_level": None,
    "logging_dir": "hydra.run.dir, which holds the logs too",
    "logging_first_step": None,
    "logging_nan_inf_filter": "on_bad_loss",
    "lr_scheduler_kwargs": "scheduler.<key>",
    "lr_scheduler_type": "scheduler",
    "max_seq_length": "task.max_length",
    "max_train_samples": "data.max_train_samples",
    "max_eval_samples": "data.max_eval_samples",
    "model_name_or_path": "model=pretrained model.path=...",
    "model_revision": "model.revision",
    "neftune_noise_alpha": None,
    "no_cuda": "the environment variable CUDA_VISIBLE_DEVICES=",
    "optim": "optimizer",
    "optim_args": "optimizer.<key>",
    "output_dir": "hydra.run.dir",
    "overwrite_output_dir": "hydra.run.dir, a new folder: no run is ever overwritten",
    "pad_to_max_length": "speed.pad_to_multiple_of",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "project": "tracker.wandb.project",
    "push_to_hub": "hub.push",
    "push_to_hub_model_id": "hub.repo_id",
    "report_to": "tracker",
    "resume_from_checkpoint": "resume",
    "run_name": "tracker.wandb.name",
    "save_safetensors": None,
    "task_name": "data=<task>, such as data=mrpc",
    "test_file": "data.test_file",
    "tf32": None,
    "torch_compile": "speed.compile",
    "train_batch_size": "per_device_train_batch_size",
    "eval_batch_size": "per_device_eval_batch_size",
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "num_epochs": "num_train_epochs",
    "train_file": "data.train_file",
    "train_sampling_strategy": "batching",
    "use_cpu": "the environment variable CUDA_VISIBLE_DEVICES=",
    "use_mps_device": "chosen by the machine",
    "validation_file": "data.validation_file",
    "warmup_ratio": "scheduler.warmup_ratio",
    "warmup_steps": "scheduler.warmup_steps",
    "weight_decay": "optimizer.weight_decay",
}
# Keys of the first version.
MOVED = {
    "data.text_columns": "task.text_columns",
    "data.label_column": "task.label_column",
    "data.label_names": "task.label_names",
    "data.metrics": "task.metrics",
    "data.max_length": "task.max_length",
    "data.both_orders": "task.both_orders",
    "data.task": "task.problem_type",
}


def known_as(key: str) -> str | None:
    """What follows "no such key" for a name from elsewhere: where it is here; None for any other."""
    bare = key.lstrip("+~")
    if bare in MOVED:
        return f"; it is {MOVED[bare]} now"
    if bare not in TRAINING_ARGUMENTS:
        return None
    here = TRAINING_ARGUMENTS[bare]
    return f"; in exp it is {here}" if here else "; exp has no such setting, leave it out"

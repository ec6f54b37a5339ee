"""Run folders written through exp.run's own functions, without training: of this version, or of the first."""

from __future__ import annotations

import math

from exp.run import folder as run_folder
from exp.run.events import EventLog
from exp.run.result import Result, write_result

CODE = {"commit": "0123456789abcdef", "dirty": False, "diff": ""}
TEXT = {
    "_target_": "exp.task.text_classification.TextClassification",
    **dict.fromkeys(("text_columns", "label_column", "label_names", "no_label", "problem_type", "metrics"), None),
    "max_length": None,
    "both_orders": False,
}
CONFIG = {
    "data": {"name": "mrpc", "_target_": "exp.data.glue.Glue"},
    "task": TEXT,
    "model": {"_target_": "exp.model.auto.Auto", "path_or_name": "tiny"},
    "optimizer": {"_target_": "exp.optim.optimizers.adamw", "lr": 5e-5, "weight_decay": 0.0},
    "loop": {"_target_": "exp.loop.trainer.TrainerLoop"},
    "num_train_epochs": 3,
    "tracker": {},
}


def write(
    path,
    *,
    seed=1,
    accuracy=(0.7, 0.8, 0.78),
    status="completed",
    result=True,
    metrics=("accuracy",),
    reason=None,
    facts=None,
    first_version=False,
    **changes,
):
    """`accuracy` is one value an evaluation (at steps 100, 200, ...); `changes` are dotted keys, dots as __.

    `facts` are added to run.json's block `data`. A run of the first version has no task, and counts of labels in place
    of chance levels.
    """
    path.mkdir(parents=True)
    config = {key: dict(value) if isinstance(value, dict) else value for key, value in CONFIG.items()}
    for key, value in changes.items():
        *above, name = key.split("__")
        node = config
        for part in above:
            node = node.setdefault(part, {})
        node[name] = value
    if first_version:
        del config["task"]
    guessing = {"loss": math.log(2), "metrics": {"accuracy": [0.684, 0.023]}}
    config["seed"] = seed
    run = run_folder.create(path, config)
    task = config["data"]["name"]
    run.update(
        git=CODE,
        data={
            "name": task,
            "metrics": list(metrics),
            "objective": f"eval/{metrics[0]}",
            "eval_examples": {"": 408},
            "label_names": ["no", "yes"],
            **({"majority_share": 0.684} if first_version else {"chance": guessing}),
            **(facts or {}),
        },
    )
    log = EventLog(run.metrics_path)
    for index, value in enumerate(accuracy):
        step = 100 * (index + 1)
        for at in range(step - 90, step + 10, 10):
            log.append({"train/loss": 0.7 - at / 1000, "train/lr": 5e-5}, step=at, epoch=at / 100)
        log.append(
            {"eval/loss": 0.6 - 0.1 * value, **{f"eval/{name}": value for name in metrics}}, step=step, epoch=index + 1
        )
    log.close()
    if result and status == "completed":
        top = max(range(len(accuracy)), key=lambda i: -math.inf if math.isnan(accuracy[i]) else accuracy[i])
        best = {f"eval/{name}": {"value": accuracy[top], "step": 100 * (top + 1)} for name in metrics}
        last = {f"eval/{name}": {"value": accuracy[-1], "step": 100 * len(accuracy)} for name in metrics}
        objective = {"name": f"eval/{metrics[0]}", **best[f"eval/{metrics[0]}"]}
        write_result(run.result_path, Result(status, objective, best, last, {"train_seconds": 10.0 + seed}))
    if status != "running":
        run.finish(status, reason)
    return run


def grid(root, seeds=(1, 2, 3), rates=(5e-5, 1e-4)):
    """Accuracy 0.80 + seed/100 at the first rate, 0.02 more at each next one."""
    for number, rate in enumerate(rates):
        for seed in seeds:
            best = 0.80 + seed / 100 + 0.02 * number
            write(root / f"{rate}-{seed}", seed=seed, accuracy=(0.7, best, best - 0.01), optimizer__lr=rate)
    return root


def predict(run, labels, guesses, texts=None, split="eval", scores=None, **columns):
    """predictions/<split>.parquet, and the input column in run.json."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    record = run_folder.read_record(run.folder)
    run.update(data={**record["data"], "inputs": ["text"]})
    run.predictions.mkdir(exist_ok=True)
    n = len(guesses)
    table = {
        "id": [str(number) for number in range(n)],
        "label": list(labels),
        "prediction": list(guesses),
        "scores": scores or [[0.3, 0.7] if guess == "yes" else [0.8, 0.2] for guess in guesses],
        "text": texts or [f"text {number}" for number in range(n)],
        **columns,
    }
    parquet.write_table(pa.table(table), run.predictions / f"{split}.parquet")

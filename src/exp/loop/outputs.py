"""What a run says and leaves: the start line, predictions, the model with its card, the end summary."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from exp.loop.evaluation import Evaluation
from exp.run.result import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyarrow import Table

    from exp.data.base import RawData
    from exp.data.encode import TokenDataset
    from exp.loop.base import Parts
    from exp.run.folder import Run

log = logging.getLogger("exp")


def describe(parts: Parts, run: Run) -> None:
    """The start line, and the facts about the data that readers of the run need."""
    import torch

    model, plan, settings = parts.model, parts.plan, parts.settings
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    precision = {"no": "fp32"}.get(parts.mixed_precision, parts.mixed_precision)
    batch = plan.batch_size * settings.gradient_accumulation_steps
    processes = f"{parts.world.size} processes, each " if parts.world.size > 1 else ""
    log.info(
        "%s on %s: %s of %s parameters trained, %d steps of %d examples (%s epochs of %d), %s on %s",
        model.config.model_type,
        parts.data.name,
        _short(trained),
        _short(total),
        plan.total_steps,
        batch,
        f"{plan.total_steps / plan.steps_per_epoch:g}",
        len(parts.encoded.train),
        precision,
        f"{processes}{device}",
    )
    log.info("run %s, condition %s, seed %d: %s", run.id, run.condition, run.seed, run.folder)
    run.update(
        data=data_facts(parts.data, parts),
        model={"type": model.config.model_type, "parameters": total, "trained_parameters": trained},
        processes=parts.world.size,
        plan={"total_steps": plan.total_steps, "steps_per_epoch": plan.steps_per_epoch},
    )


def data_facts(data: RawData, parts: Parts) -> dict[str, Any]:
    labels = next(iter(data.evals.values()))["label"] if data.evals else []
    commonest = max(Counter(labels).values()) if data.label_names and len(labels) else None
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "text_columns": list(data.text_columns),
        "train_examples": len(data.train),
        "train_tokens": int(sum(parts.encoded.train.lengths)),
        "eval_examples": {suffix: len(split) for suffix, split in data.evals.items()},
        "majority_share": commonest / len(labels) if commonest else None,
        "label_names": list(data.label_names) if data.label_names else None,
        "metrics": list(data.metrics),
        "objective": parts.plan.objective,
        "greater_is_better": parts.plan.greater_is_better,
        "directions": dict(parts.plan.directions),
    }


def write_predictions(run: Run, name: str, split: TokenDataset, found: Evaluation, data: RawData) -> None:
    """predictions/<name>.parquet."""
    import pyarrow.parquet as pq

    run.predictions.mkdir(exist_ok=True)
    pq.write_table(prediction_table(split, found, data.label_names), run.predictions / f"{name}.parquet")


def prediction_table(split: TokenDataset, found: Evaluation, names: Sequence[str] | None) -> Table:
    """One row an example: id, label (null where unknown), prediction, scores.

    Scores are the softmax over classes in the order of the label `names`; in regression (None) they are empty.
    """
    import numpy as np
    import pyarrow as pa

    columns: dict[str, Any] = {"id": [str(one) for one in split.ids]}
    if names is None:
        labels = [None] * len(split) if found.labels is None else found.labels
        columns["label"] = pa.array(labels, pa.float64())
        columns["prediction"] = pa.array(found.predictions, pa.float64())
        columns["scores"] = pa.array([[]] * len(split), pa.list_(pa.float64()))
    else:
        shifted = np.exp(found.logits - found.logits.max(axis=1, keepdims=True))
        scores = shifted / shifted.sum(axis=1, keepdims=True)
        known = [None] * len(split) if found.labels is None else [names[i] for i in found.labels]
        columns["label"] = pa.array(known, pa.string())
        columns["prediction"] = [names[i] for i in found.predictions]
        columns["scores"] = pa.array(list(scores.astype("float64")), pa.list_(pa.float64()))
    return pa.table(columns)


def save_model(parts: Parts, run: Run, result: Result) -> None:
    """model/: loads with from_pretrained. Its card is written last, when the curve is drawn."""
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()  # a bar for one file
    merged = parts.adapter.merge(parts.model)
    merged.save_pretrained(run.model_folder)
    parts.tokenizer.save_pretrained(run.model_folder)


def summarize(run: Run, result: Result) -> None:
    objective, cost = result.objective, result.cost
    speed = cost["samples_per_second"]
    log.info(
        "%s: best %s %.4f at step %d; %d steps in %.1f s%s",
        result.status,
        objective["name"],
        objective["value"],
        objective["step"],
        cost["steps"],
        cost["train_seconds"],
        f", {speed:.1f} examples/s" if speed == speed else "",  # NaN: all steps were warm-up
    )
    if result.reason:
        log.info("%s", result.reason)
    log.info("%s", run.folder)


def _short(count: int) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)

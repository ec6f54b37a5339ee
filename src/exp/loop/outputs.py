"""What a run says and leaves: the start line, predictions, the model with its card, the end summary."""

from __future__ import annotations

import csv
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exp.data import leakage
from exp.data.media import Media
from exp.loop.evaluation import Evaluation
from exp.loss.guessing import guessed_loss
from exp.metrics.key import Key
from exp.options.calls import check_reading
from exp.run.files import write_json
from exp.run.folder import read_record
from exp.run.result import Result
from exp.run.said import MOST, counted, few, near, shown_scores
from exp.task.base import Floors
from exp.task.mistakes import mistakes

if TYPE_CHECKING:
    from exp.data.examples import Examples, TaskData
    from exp.loop.base import Parts
    from exp.run.folder import Run
    from exp.task.base import Reading, Task

log = logging.getLogger("exp")
MOST_MEDIA = 16  # wrongly answered images or recordings of a split that errors/ has copies of


def describe(parts: Parts, run: Run) -> None:
    """The start line, and the facts about the data that readers of the run need."""
    import torch

    model, plan, settings = parts.model, parts.plan, parts.settings
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"CPU, {counted(torch.get_num_threads(), 'thread')}"
    )
    precision = {"no": "fp32"}.get(parts.mixed_precision, parts.mixed_precision)
    batch = plan.batch_size * settings.gradient_accumulation_steps
    epochs = plan.total_steps / plan.steps_per_epoch
    processes = f"{parts.world.size} processes, each " if parts.world.size > 1 else ""
    log.info(
        "%s on %s: %s of %s parameters trained, %s of %s (%s), %s on %s",
        model.config.model_type,
        parts.data.name,
        _short(trained),
        _short(total),
        counted(plan.total_steps, "step"),
        counted(batch, "example"),
        "a stream"
        if parts.data.stream
        else f"{epochs:g} {'epoch' if epochs == 1 else 'epochs'} of {len(parts.encoded.train)}",
        precision,
        f"{processes}{device}",
    )
    log.info("run %s, condition %s, seed %d: %s", run.id, run.condition, run.seed, near(run.folder))
    if counts := label_counts(parts.data):
        log.info("labels: %s", shown_counts(counts))
    if settings.do_predict and not parts.data.tests:
        log.warning("do_predict=true measures nothing: %s has no test set", parts.data.name)
    elif settings.do_predict and all(split.targets is None for split in parts.data.tests.values()):
        log.info("do_predict=true: the test set has no labels; its predictions are written, nothing is measured")
    run.update(
        data={**data_facts(parts), "leaks": _leaks(parts, run)},
        model={"type": model.config.model_type, "parameters": total, "trained_parameters": trained},
        processes=parts.world.size,
        plan={"total_steps": plan.total_steps, "steps_per_epoch": plan.steps_per_epoch},
    )


def _leaks(parts: Parts, run: Run) -> dict[str, Any]:
    """Says which evaluation rows were trained on. leaks.json has their numbers, for scores without them."""
    found = leakage.exact(parts.data)
    told = {name: list(leaks.rows) for name, leaks in found.items() if leaks.rows}
    if line := leakage.line(found):
        if parts.data.stream:
            line += f" (the first {counted(len(parts.data.train), 'row')} of the stream)"
        log.log(logging.WARNING if told else logging.INFO, "%s", line)
    if told and run.kept:
        write_json(run.folder / "leaks.json", told)
    return {name: leaks.facts() for name, leaks in found.items()}


def data_facts(parts: Parts) -> dict[str, Any]:
    """The block `data` of run.json. `chance`: what guessing gives on the first evaluation set;
    `chance_train_loss`: by the loss that is trained."""
    data, encoded = parts.data, parts.encoded
    first = next(iter(data.evals.values()), None)
    chance = Floors(None, {}) if first is None else parts.reading.chance(first)
    head = parts.task.head(data)
    facts = {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "label_names": None if data.labels is None else list(data.labels),
        "metrics": list(data.metrics),
        "max_length": data.max_length,
        "pipeline": head.pipeline,
        "label_counts": label_counts(data),
        # Of a stream nobody knows them.
        **({} if data.stream else {"train_examples": len(data.train), "train_tokens": int(sum(encoded.train.lengths))}),
        "eval_examples": {suffix: len(split) for suffix, split in data.evals.items()},
        "chance": {"loss": chance.loss, "metrics": {name: list(floor) for name, floor in chance.metrics.items()}},
        "chance_train_loss": guessed_loss(
            parts.loss, head, encoded.train.beginning, parts.collator, parts.task.units, chance.loss
        ),
        "objective": parts.plan.objective,
        "greater_is_better": parts.plan.greater_is_better,
        "directions": dict(parts.plan.directions),
    }
    return {**facts, **data.facts}


def label_counts(data: TaskData) -> dict[str, int] | None:
    """Of the train split, each label as often as it stands there; None where the targets are no labels."""
    if data.labels is None or data.train.targets is None:
        return None
    targets = data.train.targets
    found = Counter(targets if set(map(type, targets)) == {int} else _flat(targets))
    if not all(isinstance(index, int) and 0 <= index < len(data.labels) for index in found):
        return None
    return {name: found[index] for index, name in enumerate(data.labels)}


def _flat(targets: Any) -> Iterator[Any]:
    for target in targets:
        if isinstance(target, list | tuple):
            yield from _flat(target)
        else:
            yield target


def shown_counts(counts: Mapping[str, int]) -> str:
    """`neg 54, pos 54`; of many labels the commonest and the rarest."""
    ordered = sorted(counts.items(), key=lambda item: -item[1]) if len(counts) > MOST else list(counts.items())
    return few([f"{name} {count:,}" for name, count in ordered])


def reading_of(task: Task, data: TaskData) -> Reading:
    """As readers of the run will make it from run.json. Raises ExpError for one that exp could not ask."""
    reading = task.reading({"label_names": data.labels, "metrics": data.metrics, **data.facts})
    check_reading(reading)
    return reading


def write_predictions(run: Run, name: str, found: Evaluation, reading: Reading, examples: Examples) -> None:
    """predictions/<name>.parquet; where the examples have labels errors/<name>.parquet and .csv, and F1 by class."""
    import pyarrow.parquet as pq

    run.predictions.mkdir(exist_ok=True)
    pq.write_table(found.table, run.predictions / f"{name}.parquet")
    if found.metrics and (scores := reading.by_class(found.table)):
        run.update_data(by_class={**read_record(run.folder).get("data", {}).get("by_class", {}), name: scores})
        log.info("%s, F1 by class: %s", name, shown_scores(scores))
    wrong = mistakes(reading, found.table)
    if wrong is not None:
        run.errors.mkdir(exist_ok=True)
        pq.write_table(wrong, run.errors / f"{name}.parquet")
        with (run.errors / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(wrong.column_names)
            writer.writerows([row[column] for column in wrong.column_names] for row in wrong.to_pylist())
        _keep_media(run.errors / name, wrong["id"].to_pylist()[:MOST_MEDIA], examples)


def _keep_media(folder: Path, wrong: Sequence[str], examples: Examples) -> None:
    """The images and recordings of the first wrong answers, named by their row: 00.jpg, 01.jpg."""
    columns = [cells for cells in examples.inputs.values() if cells and isinstance(cells[0], Media)]
    shutil.rmtree(folder, ignore_errors=True)
    if not columns or not wrong:
        return
    folder.mkdir()
    rows = {str(one): row for row, one in enumerate(examples.ids)}
    for number, one in enumerate(wrong):
        cell = columns[0][rows[one]]
        with cell.open() as there, (folder / f"{number:02}{Path(cell.name).suffix}").open("wb") as kept:
            shutil.copyfileobj(there, kept)


def keep_tuned(run: Run, found: Mapping[str, Evaluation]) -> None:
    """What the task fitted on the evaluation set, such as a threshold, in run.json's block `data`."""
    tuned = {key: value for evaluation in found.values() for key, value in evaluation.tuned.items()}
    if tuned:
        run.update_data(tuned=tuned)


def keep_calibration(run: Run, reading: Reading, found: Mapping[str, Evaluation]) -> None:
    """The temperature that the first evaluation set asks for, in run.json's block `data`; a line where the model is
    overconfident. Nothing for tasks without probabilities."""
    from exp.metrics import calibration

    if not found:
        return
    table = next(iter(found.values())).table
    if not len(table) or "label" not in table.column_names or table["label"].null_count:
        return
    told = reading.probabilities(table)
    if told is None or not np.isfinite(told[0]).all():
        return
    temperature, measured = calibration.fit_temperature(*told), calibration.measure(*told)
    facts = {"split": "eval", "temperature": temperature, "ece": measured.ece, "overconfident": measured.overconfident}
    run.update_data(calibration=facts)
    if measured.overconfident:
        log.info(
            "overconfident: says %.3f on average and is right in %.3f (ECE %.3f); a temperature of %.2f mends it",
            *(measured.confidence, measured.accuracy, measured.ece, temperature),
        )


def save_model(parts: Parts, run: Run, result: Result) -> None:
    """model/: loads with from_pretrained. Its card is written last, when the curve is drawn."""
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()  # a bar for one file
    merged = parts.adapter.merge(parts.model)
    merged.save_pretrained(run.model_folder)
    parts.processor.save_pretrained(run.model_folder)


def summarize(run: Run, result: Result) -> None:
    objective, cost = result.objective, result.cost
    value: float = objective["value"]
    speed = cost["samples_per_second"]
    log.info(
        "%s: %s; %s in %.1f s%s",
        result.status,
        f"best {objective['name']} {value:.4f} at step {objective['step']}"
        if value == value
        else "nothing was measured",
        counted(int(cost["steps"]), "step"),
        cost["train_seconds"],
        f", {speed:.1f} examples/s" if speed == speed else "",  # NaN: all steps were warm-up
    )
    tested = {key: found for key, found in result.last.items() if Key.of(key).kind == "test"}
    if tested:
        told = ", ".join(f"{key} {found['value']:.4f}" for key, found in tested.items())
        log.info("%s  (weights of step %s)", told, result.saved_step)
    if result.reason:
        log.info("%s", result.reason)


def _short(count: int) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)

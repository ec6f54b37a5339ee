"""What a tracker shows of a finished run, read from its folder: best values, confusion matrix, scatter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.metrics.key import Key
from exp.run.folder import read_record
from exp.run.result import read_result
from exp.task import reading_of
from exp.task.pictures import Confusion, Picture

if TYPE_CHECKING:
    from PIL.Image import Image

    from exp.run.folder import Run

MOST_EXAMPLES = 50  # wrong answers shown of a split; errors/ has all of them
MOST_NUMBERED = 20  # classes whose counts can still be read in a picture of this size


def best_values(run: Run) -> dict[str, float]:
    """`best/<metric>` from result.json, without the prefix `eval/`; empty where there is no result.

    A test set is measured once: its number is a last one, and none was chosen as the best.
    """
    result = read_result(run.result_path)
    if result is None:
        return {}
    found = {
        f"best/{Key.of(key).short}": one["value"] for key, one in result["best"].items() if Key.of(key).kind == "eval"
    }
    return {key: value for key, value in found.items() if value is not None}


def costs(run: Run) -> dict[str, float]:
    """`cost/<what>` from result.json, what was measured of it."""
    result = read_result(run.result_path)
    return {f"cost/{key}": value for key, value in (result or {"cost": {}})["cost"].items() if value is not None}


def pictures(run: Run) -> dict[str, Image]:
    """`<split>/confusion_matrix` or `<split>/scatter`, one a labelled file of predictions/."""
    drawn = {}
    for split, one in outcomes(run):
        kind = "confusion_matrix" if isinstance(one, Confusion) else "scatter"
        drawn[f"{split}/{kind}"] = draw(split, one)
    return drawn


def wrong_examples(run: Run) -> dict[str, list[dict[str, Any]]]:
    """The first rows of each file of errors/ that has any, by split: the surest of the wrong answers."""
    import pyarrow.parquet as pq

    files = sorted(run.errors.glob("*.parquet"))
    found = {path.stem: pq.read_table(path).slice(0, MOST_EXAMPLES).to_pylist() for path in files}
    return {split: rows for split, rows in found.items() if rows}


def wrong_media(run: Run, split: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Path, str]]:
    """The images or recordings of `rows` (wrong examples of `split`) that the run has copies of, with their words."""
    files = sorted((run.errors / split).glob("*")) if (run.errors / split).is_dir() else []
    found = []
    for file in files:
        row = rows[int(file.stem)] if int(file.stem) < len(rows) else None
        if row is not None:
            sure = "" if row.get("confidence") is None else f" ({row['confidence']:.2f})"
            found.append((file, f"{row['label']}, predicted {row['prediction']}{sure}"))
    return found


def outcomes(run: Run) -> list[tuple[str, Picture]]:
    """What the task makes of each file of predictions/, with the name of its split."""
    import pyarrow.parquet as pq

    record, files = read_record(run.folder), sorted(run.predictions.glob("*.parquet"))
    if not files or "data" not in record:  # it ended before it had read any
        return []
    reading = reading_of(run.config, record["data"])
    return [(path.stem, picture) for path in files for picture in reading.pictures(pq.read_table(path))]


def draw(split: str, outcome: Picture) -> Image:
    """A picture, not the service's own chart: a chart of W&B needs an artifact that an offline run keeps outside
    of its folder, so that it could not be uploaded from another machine."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(5, 4.5), dpi=120, layout="constrained")
    canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
    if isinstance(outcome, Confusion):
        counts = np.array(outcome.counts)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # of the actual class
        axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        axes.set(xlabel="predicted", ylabel="actual", title=f"{split}: confusion")
        if len(outcome.names) <= MOST_NUMBERED:
            ticks = range(len(outcome.names))
            axes.set_xticks(ticks, outcome.names, rotation=30, ha="right")
            axes.set_yticks(ticks, outcome.names)
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
    else:
        labels, predictions = zip(*outcome.pairs, strict=True)
        axes.scatter(labels, predictions, s=8, alpha=0.4)
        ends = [min(labels), max(labels)]
        axes.plot(ends, ends, color="grey", linewidth=1)
        axes.set(xlabel="label", ylabel="prediction", title=f"{split}: prediction over label")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")

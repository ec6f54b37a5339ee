"""What a tracker shows of a finished run, read from its folder: best values, confusion matrix, scatter."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exp.metrics.key import Key
from exp.run.result import read_result

if TYPE_CHECKING:
    from PIL.Image import Image

    from exp.run.folder import Run

MOST_POINTS = 5000  # of a scatter: more only make it blacker
MOST_NUMBERED = 20  # classes whose counts can still be read in a picture of this size


@dataclass(frozen=True)
class Confusion:
    """`counts[i][j]`: examples of class i that were predicted as class j."""

    split: str
    names: list[str]
    counts: list[list[int]]


@dataclass(frozen=True)
class Scatter:
    """`pairs`: (label, prediction)."""

    split: str
    pairs: list[tuple[float, float]]


def best_values(run: Run) -> dict[str, float]:
    """`best/<metric>` from result.json, without the prefix `eval/`; empty where there is no result."""
    result = read_result(run.result_path)
    if result is None:
        return {}
    found = {f"best/{Key.of(key).short}": one["value"] for key, one in result["best"].items()}
    return {key: value for key, value in found.items() if value is not None}


def costs(run: Run) -> dict[str, float]:
    """`cost/<what>` from result.json."""
    result = read_result(run.result_path)
    return {} if result is None else {f"cost/{key}": value for key, value in result["cost"].items()}


def pictures(run: Run) -> dict[str, Image]:
    """`<split>/confusion_matrix` or `<split>/scatter`, one a labelled file of predictions/."""
    drawn = {}
    for one in outcomes(run):
        kind = "confusion_matrix" if isinstance(one, Confusion) else "scatter"
        drawn[f"{one.split}/{kind}"] = draw(one)
    return drawn


def outcomes(run: Run) -> list[Confusion | Scatter]:
    """Of each labelled file of predictions/: text labels make a confusion matrix, numbers a scatter."""
    import pyarrow.parquet as pq
    import pyarrow.types as types

    found: list[Confusion | Scatter] = []
    for path in sorted(run.predictions.glob("*.parquet")):
        table = pq.read_table(path, columns=["label", "prediction"])
        labels, predictions = (table[name].to_pylist() for name in ("label", "prediction"))
        pairs = [pair for pair in zip(labels, predictions, strict=True) if pair[0] is not None]
        if not pairs:
            continue
        if types.is_floating(table.schema.field("prediction").type):
            found.append(Scatter(path.stem, pairs[:: -(-len(pairs) // MOST_POINTS)]))
            continue
        names, counted = _class_names(run.model_folder, pairs), Counter(pairs)
        found.append(Confusion(path.stem, names, [[counted[a, p] for p in names] for a in names]))
    return found


def draw(outcome: Confusion | Scatter) -> Image:
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
        axes.set(xlabel="predicted", ylabel="actual", title=f"{outcome.split}: confusion")
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
        axes.set(xlabel="label", ylabel="prediction", title=f"{outcome.split}: prediction over label")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _class_names(model_folder: Path, pairs: list[tuple[str, str]]) -> list[str]:
    """In the model's own order where model/ is there, else sorted."""
    seen = {name for pair in pairs for name in pair}
    try:
        id2label = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))["id2label"]
        names = [id2label[key] for key in sorted(id2label, key=int)]
    except (OSError, ValueError, KeyError):
        return sorted(seen)
    return names if seen <= set(names) else sorted(seen)

"""What guessing gives, for records of the first version: it classified texts and kept label shares alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Chance = tuple[float | None, dict[str, tuple[float, float]], int | None]  # loss, floors, evaluation examples


def first_version_chance(data: Mapping[str, Any], count: int | None, folder: Path | None) -> Chance:
    """From the block `data` of run.json; label shares from predictions/*.parquet where it lacks them."""
    share, names = data.get("majority_share"), data.get("label_names")
    classes = len(names) if names else None
    if share is None and folder is not None:
        share, count, seen = _labels(folder / "predictions")
        classes = classes or seen
    floors: dict[str, tuple[float, float]] = {}
    if count and count >= 2:
        if share is not None:
            floors["accuracy"] = (share, math.sqrt(share * (1 - share) / count))
        for name in ("matthews_correlation", "pearson", "spearmanr"):
            floors[name] = (0.0, 1 / math.sqrt(count - 1))
    return (math.log(classes) if classes and classes > 1 else None), floors, count


def _labels(folder: Path) -> tuple[float | None, int | None, int | None]:
    """Majority share, count and number of labels of the evaluation predictions (classes only)."""
    files = [path for path in sorted(folder.glob("*.parquet")) if not path.stem.startswith("test")]
    if not files:
        return None, None, None
    import pyarrow.parquet as parquet

    try:
        labels = parquet.read_table(files[0], columns=["label"]).column("label").to_pylist()
    except (OSError, ValueError, KeyError):
        return None, None, None
    kept = [label for label in labels if label is not None]
    if not kept or not isinstance(kept[0], str | int):
        return None, len(kept) or None, None
    counts = Counter(kept)
    return max(counts.values()) / len(kept), len(kept), len(counts)

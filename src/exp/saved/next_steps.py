"""What a finished run has left, and what can be done with it: the last lines of a training."""

from __future__ import annotations

from pathlib import Path

from exp.run.said import command, near


def left(folder: Path) -> str:
    """`outputs/mine: curves.png, predictions/eval.parquet, errors/eval.csv, model/`."""
    found = [name for name in ("curves.png",) if (folder / name).is_file()]
    for pattern in ("predictions/*.parquet", "errors/*.csv"):
        found += [str(path.relative_to(folder)) for path in sorted(folder.glob(pattern))]
    if (folder / "model").is_dir():
        found.append("model/")
    return f"{near(folder)}: {', '.join(found)}"


def next_steps(folder: Path) -> list[str]:
    """Commands, as they can be typed now."""
    place = near(folder)
    return [
        f"predict: {command('predict', place)}",
        f"compare: {command('compare', near(folder.parent))}",
    ]

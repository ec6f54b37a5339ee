"""python -m exp.curves RUN...: what each run's learning curves say, and curves.png in each folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from exp.curves.picture import draw
from exp.curves.summary import read
from exp.curves.verdict import Thresholds
from exp.errors import ExpError
from exp.run.exits import shortened, words


def main(arguments: list[str] | None = None) -> int:
    """0; 2 where a folder could not be read. One bad folder does not stop the others."""
    parser = argparse.ArgumentParser(prog="python -m exp.curves", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or folders of run folders")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write <run id>.png here, not into the runs")
    parser.add_argument("--no-picture", action="store_true", help="only print the verdicts")
    parser.add_argument("--json", action="store_true", help="print one JSON object a run")
    try:
        options = parser.parse_args(words(arguments))
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
        folders = _run_folders(options.runs)
    except (ExpError, OSError) as error:
        name = shortened(str(getattr(error, "filename", "")))
        told = f"{name}: {error.strerror}" if isinstance(error, OSError) else str(error)
        print(f"error: {told}", file=sys.stderr)
        return 2
    failed = False
    for folder in folders:
        try:
            summary = read(folder, Thresholds())
            picture = None
            if not options.no_picture:
                picture = (options.out / f"{_name(folder)}.png") if options.out else folder / "curves.png"
                draw(summary.curve, summary.verdict, picture, summary.title, summary.facts)
        except Exception as error:  # a damaged record may break anything, and must hide no other run
            told = str(error) if isinstance(error, ExpError | OSError) else f"{folder}: {type(error).__name__}: {error}"
            print(f"error: {told}", file=sys.stderr)
            failed = True
            continue
        if options.json:
            print(json.dumps({"folder": str(folder), "status": summary.status, **summary.verdict.to_json()}))
        else:
            print(f"{folder} [{summary.status}]\n{summary.verdict.text()}" + (f"\n  {picture}" if picture else ""))
    return 2 if failed else 0


def _name(folder: Path) -> str:
    """Unlike in two runs of a sweep: folder names alone are 0, 1, 2."""
    return "_".join(folder.resolve().parts[-3:])


def _run_folders(given: list[Path]) -> list[Path]:
    """Each given run folder, and every run folder below a given folder that is none itself."""
    found: list[Path] = []
    for path in given:
        below = [] if (path / "run.json").exists() else sorted(item.parent for item in path.rglob("run.json"))
        found.extend(below or [path])
    return found


if __name__ == "__main__":
    raise SystemExit(main())

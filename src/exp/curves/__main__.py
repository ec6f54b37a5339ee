"""exp curves RUN...: what each run's learning curves say, and curves.png in each folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from exp.curves.picture import draw
from exp.curves.summary import read
from exp.curves.verdict import Thresholds
from exp.errors import ExpError
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import complain, plain_exits

GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="RUN",
    least=1,
    key="run",
    options={
        "out": Option("a folder for <run id>.png, in place of the runs' own", arguments.folder),
        "picture": Option("false: only print the verdicts", arguments.switch, True),
        "json": Option("true: print one JSON object a run", arguments.switch, False),
    },
)


def main(argv: list[str] | None = None) -> int:
    """0; 2 where a folder could not be read. One bad folder does not stop the others."""
    with plain_exits():
        return _judge(arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR))


def _judge(given: arguments.Given) -> int:
    out = given["out"]
    if out:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExpError(f"out={out}: {error.strerror}; choose another folder") from None
    failed = False
    for folder in _run_folders([Path(place) for place in given.bare]):
        try:
            summary = read(folder, Thresholds())
            picture = None
            if given["picture"]:
                picture = (out / f"{_name(folder)}.png") if out else folder / "curves.png"
                draw(summary.curve, summary.verdict, picture, summary.title, summary.facts)
        except Exception as error:  # a damaged record may break anything, and must hide no other run
            told = str(error) if isinstance(error, ExpError | OSError) else f"{folder}: {type(error).__name__}: {error}"
            complain(ExpError(told))
            failed = True
            continue
        if given["json"]:
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

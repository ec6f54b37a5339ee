"""exp soup RUN RUN ... out=outputs/soup: the mean of the weights of several finished runs, as a run of its own.

  exp soup multirun/2026-11-20/12-00-00/* out=outputs/soup              the mean of all
  exp soup multirun/2026-11-20/12-00-00/* out=outputs/soup how=greedy   the best first, then each that makes it no worse

The runs have the same task and architecture and began from the same pretrained weights (Wortsman et al. 2022).
exp evaluate, exp predict and exp compare read the new folder like every other run's.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exp.errors import ExpError
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits

GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="RUN",
    least=2,
    options={
        "out": Option("the new run folder", arguments.folder),
        "how": Option("uniform or greedy", arguments.one_of("uniform", "greedy"), "uniform"),
    },
)


def soup(places: Sequence[str], given: Mapping[str, Any]) -> None:
    """Raises ExpError for bad input, before anything is written."""
    from exp.saved import finished

    if "out" not in given:
        raise ExpError(f"out is not given; it is {GRAMMAR.options['out'].help}: out=outputs/soup")
    out: Path = given["out"]
    if out.exists():
        raise ExpError(f"out={out} exists already and is not overwritten; choose another name")
    # A sweep's folder holds more than runs.
    runs = [finished.find(place) for place in places if len(places) == 2 or (Path(place) / "run.json").exists()]
    if len(runs) < 2:
        raise ExpError("a soup takes two runs or more, and fewer of these folders are runs")
    from exp.saved.soup import make

    made = make(runs, out, given["how"])
    for key, value in made.metrics.items():
        each = [_recorded(run, key) for run in runs]
        print(f"{key:<28}{value:.4f}; the runs {min(each):.4f} to {max(each):.4f}")
    print(f"{len(made.members)} of {len(runs)} runs are in it")
    print(f"wrote {made.folder}")


def _recorded(run: Any, key: str) -> float:
    """Of the weights that the run saved; NaN where it measured none."""
    from exp.saved.metrics import recorded

    return recorded(run).get(key, {"value": float("nan")})["value"]


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    with plain_exits():
        given = arguments.parse(sys.argv[1:], GRAMMAR)
        soup(given.bare, given)


if __name__ == "__main__":
    main()

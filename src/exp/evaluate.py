"""exp evaluate RUN: do the saved weights give the recorded numbers?

Measures the model of a finished run on the run's own evaluation sets (and its test sets, where the run did) and sets
every number beside the recorded one. Ends with 0 where all are equal to the last bit, with 1 where one is not.

  exp evaluate RUN                 the run's own sets
  exp evaluate RUN file=other.csv  another labelled file, which has the run's columns; may be given several times
  exp evaluate A B ...             the runs together, as an ensemble: the mean of their probabilities, on A's sets
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.metrics.key import Key
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits
from exp.run.said import counted, shown_scores
from exp.saved import finished

if TYPE_CHECKING:
    from exp.saved.finished import Finished

DIFFERENT = 1
GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="RUN",
    least=1,
    key="run",
    options={"file": Option("a labelled file to measure instead", arguments.file, many=True), "data.": finished.MOVED},
)
# Adding an adapter's update into a weight rounds the sum to fp32: 2**-24 a weight, gathered over a network's depth.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Remeasured:
    key: str
    recorded: float
    now: float

    @property
    def equal(self) -> bool:
        return self.recorded == self.now or (self.recorded != self.recorded and self.now != self.now)

    @property
    def close(self) -> bool:
        return self.equal or abs(self.recorded - self.now) <= ROUNDING * max(1.0, abs(self.recorded))


def evaluate(place: str, given: Mapping[str, Any]) -> int:
    """Prints the table; returns the exit code. Raises ExpError for a run that cannot be evaluated."""
    from exp.data.examples import split_name
    from exp.saved import metrics

    run = finished.find(place)
    moved = finished.checked_moves(run, given)
    if given.get("file"):
        return _files(run, given["file"])
    metrics.check_recorded(run)
    recorded = metrics.recorded(run)
    data = finished.load_data(run, moved)
    model = finished.load_model(run)
    evals = [split_name("eval", suffix) for suffix in data.evals]
    sets = {name: finished.encoded(run, model, data, name) for name in evals}
    if any(Key.of(key).kind == "test" for key in recorded):
        named = {split_name("test", suffix): split for suffix, split in data.tests.items()}
        tests = [name for name, split in named.items() if split.targets is not None]
        sets |= {name: finished.encoded(run, model, data, name) for name in tests}
    measured = model.evaluate(sets, tune=True)
    now = {f"{name}/{key}": value for name, found in measured.items() for key, value in found.metrics.items()}
    rows = [Remeasured(key, recorded[key]["value"], value) for key, value in now.items() if key in recorded]
    lost = sorted(recorded.keys() - now.keys())
    if not any(Key.of(row.key).kind == "eval" for row in rows):
        for key, value in now.items():
            print(f"{key:<28}{value!r}")
        print(f"{run.folder} recorded no evaluation (eval_strategy=no): there is nothing to compare with")
        return 0
    print(table(rows))
    step = next(int(found["step"]) for key, found in recorded.items() if Key.of(key).kind == "eval")
    return _verdict(run, rows, lost, step)


def _files(run: Finished, paths: Sequence[Path]) -> int:
    """The metrics of each labelled file. All files are read before the model is loaded."""
    from exp.saved import predictions

    read = {path: predictions.examples_of(run, predictions.rows_of_file(run, path), "needed") for path in paths}
    model = finished.load_model(run)
    for path, examples in read.items():
        found = predictions.of_examples(run, model, examples, path.stem)
        print(f"{path}: {counted(len(found.table), 'example')}")
        for key, value in found.metrics.items():
            print(f"  {key:<26}{value!r}")
        if scores := model.evaluator.reading.by_class(found.table):
            print(f"  F1 by class: {shown_scores(scores)}")
    return 0


def evaluate_together(places: Sequence[str], given: Mapping[str, Any]) -> int:
    """The ensemble's metrics beside those that its members recorded. Raises ExpError where runs do not fit together."""
    from exp.data.examples import split_name
    from exp.saved import metrics
    from exp.saved.members import check_members

    if given.get("file"):
        raise ExpError("file= is measured with one run; leave it out, or give one run")
    runs = [finished.find(place) for place in places]
    check_members(runs)
    first = runs[0]
    moved = finished.checked_moves(first, given)
    from exp.saved.ensemble import load_ensemble

    data, model = finished.load_data(first, moved), load_ensemble(runs)
    names = [split_name("eval", suffix) for suffix in data.evals]
    measured = model.evaluate({name: finished.encoded(first, model, data, name) for name in names}, tune=True)
    each = [metrics.recorded(run) for run in runs]
    print(f"{'metric':<28}{'together':<12}the {len(runs)} runs alone, as recorded")
    for name, found in measured.items():
        for key, value in found.metrics.items():
            alone = [one[f"{name}/{key}"]["value"] for one in each if f"{name}/{key}" in one]
            said = f"{min(alone):.4f} to {max(alone):.4f}" if alone else "not recorded"
            print(f"{f'{name}/{key}':<28}{value:<12.4f}{said}")
    if any(run.facts["fingerprint"] != first.facts["fingerprint"] for run in runs):
        print(f"the runs were trained on different data; all are measured on those of {first.folder}")
    return 0


def table(rows: list[Remeasured]) -> str:
    """Numbers with every digit that tells them apart."""
    width = max(len(row.key) for row in rows)
    lines = [f"{'metric':<{width}}  {'recorded':<22}{'now':<22}"]
    for row in rows:
        told = "equal" if row.equal else f"differs by {row.now - row.recorded:.3g}"
        lines.append(f"{row.key:<{width}}  {row.recorded!r:<22}{row.now!r:<22}{told}")
    return "\n".join(lines)


def _verdict(run: Finished, rows: list[Remeasured], lost: list[str], step: int) -> int:
    adapter = run.config["adapter"]["_target_"].rpartition(".")[2]
    if lost:
        print(f"different: {', '.join(lost)} cannot be measured any more")
        return DIFFERENT
    if all(row.equal for row in rows):
        print(f"equal: the saved model gives every recorded number exactly (weights of step {step})")
        return 0
    if adapter != "NoAdapter" and all(row.close for row in rows):
        print(f"equal but for rounding: what {adapter} learned was computed into the saved weights (step {step})")
        return 0
    print(f"different: {sum(not row.equal for row in rows)} of {len(rows)} numbers are not the recorded ones")
    for line in _changes(run):
        print(f"  {line}")
    return DIFFERENT


def _changes(run: Finished) -> list[str]:
    from exp.run.differences import differences
    from exp.run.environment import hardware, packages

    return differences(run.record, {"packages": packages(), "hardware": hardware()})


def main() -> None:
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    with plain_exits():
        given = arguments.parse(sys.argv[1:], GRAMMAR)
        code = evaluate(given.bare[0], given) if len(given.bare) == 1 else evaluate_together(given.bare, given)
    raise SystemExit(code)


if __name__ == "__main__":
    main()

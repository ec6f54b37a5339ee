"""A model soup (Wortsman et al. 2022): the mean of the weights of several finished runs, as a run of its own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.metrics.best import gain
from exp.model.unmerged import is_unmerged
from exp.saved import finished
from exp.saved.members import check_members

if TYPE_CHECKING:
    from torch import Tensor

    from exp.loop.evaluation import Evaluation
    from exp.saved.finished import Finished


@dataclass(frozen=True)
class Soup:
    """`members`: the runs whose weights are in it; `metrics`: of the soup, `eval/accuracy` and so on."""

    folder: Path
    members: tuple[Finished, ...]
    metrics: Mapping[str, float]


def make(runs: Sequence[Finished], out: Path, how: str) -> Soup:
    """Writes a run folder that `exp evaluate`, `exp predict` and `exp compare` read.

    Args:
        runs: of the same task and architecture; the first one's config and data are the soup's.
        out: a folder that is not there yet.
        how: "uniform": the mean of all; "greedy": the best run first, then each other one that makes it no worse.

    Raises:
        ExpError: the runs do not fit together, or `out` exists.
    """
    check_members(runs)
    for run in runs:
        if is_unmerged(run.folder / "model"):
            raise ExpError(
                f"{run.folder}: what its adapter learned stands beside the weights, and a soup is a mean of weights; "
                f"exp evaluate RUN RUN asks several runs together"
            )
    if out.exists():
        raise ExpError(f"out={out} exists already and is not overwritten; choose another name")
    scratch = out.with_name(f".{out.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        weights = {run.folder: _weights(run) for run in runs}
        _same_shapes(runs, weights)
        _copy(runs[0], scratch)
        chosen, found = _uniform(runs, weights, scratch) if how == "uniform" else _greedy(runs, weights, scratch)
        metrics = _finish(chosen, found, scratch, how)
        scratch.rename(out)
    except OSError as error:
        raise ExpError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Soup(out, tuple(chosen), metrics)


def _uniform(runs: Any, weights: Any, place: Path) -> tuple[list[Finished], Mapping[str, Evaluation]]:
    return list(runs), _measured(runs, weights, place)


def _greedy(runs: Any, weights: Any, place: Path) -> tuple[list[Finished], Mapping[str, Evaluation]]:
    """Algorithm 1 of the paper, on the evaluation sets of the first run."""
    facts = runs[0].facts
    greater = facts["greater_is_better"]
    alone = {run.folder: _measured([run], weights, place) for run in runs}
    value = {folder: _keyed(found)[facts["objective"]] for folder, found in alone.items()}
    best, *others = sorted(runs, key=lambda run: value[run.folder], reverse=greater)
    chosen, found = [best], alone[best.folder]
    for run in others:
        tried = _measured([*chosen, run], weights, place)
        if gain(_keyed(tried)[facts["objective"]], _keyed(found)[facts["objective"]], greater) >= 0:
            chosen, found = [*chosen, run], tried
    _measured(chosen, weights, place)  # these weights stay
    return chosen, found


def _measured(members: Sequence[Finished], weights: Mapping[Path, Mapping[str, Tensor]], place: Path) -> Any:
    """The evaluation sets of the soup of `members`, whose weights are in `place` afterwards."""
    import torch
    from safetensors.torch import save_file

    from exp.data.examples import split_name

    parts = [weights[run.folder] for run in members]
    mean = {
        name: torch.stack([part[name].double() for part in parts]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in parts[0].items()
    }
    save_file(mean, place / "model" / finished.WEIGHTS, metadata={"format": "pt"})
    run = finished.find(str(place))
    data, model = finished.load_data(run, {}), finished.load_model(run)
    names = [split_name("eval", suffix) for suffix in data.evals]
    return model.evaluate({name: finished.encoded(run, model, data, name) for name in names}, tune=True)


def _weights(run: Finished) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = run.folder / "model" / finished.WEIGHTS
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise ExpError(f"{file} cannot be loaded: {error}") from error


def _same_shapes(runs: Sequence[Finished], weights: Mapping[Path, Mapping[str, Tensor]]) -> None:
    first = {name: tensor.shape for name, tensor in weights[runs[0].folder].items()}
    for run in runs[1:]:
        shapes = {name: tensor.shape for name, tensor in weights[run.folder].items()}
        if shapes != first:
            other = next(name for name in {*first, *shapes} if first.get(name) != shapes.get(name))
            raise ExpError(f"{run.folder} is another architecture than {runs[0].folder}: {other} differs")


def _copy(first: Finished, place: Path) -> None:
    """What the soup has of the first run: its model's other files, and its record."""
    from exp.run.files import write_json

    shutil.copytree(first.folder / "model", place / "model", ignore=shutil.ignore_patterns("README.md", "*.png"))
    write_json(place / "run.json", dict(first.record))


def _finish(members: Sequence[Finished], found: Mapping[str, Evaluation], place: Path, how: str) -> dict[str, float]:
    from datetime import UTC, datetime

    import pyarrow.parquet as pq

    from exp.run.events import EventLog
    from exp.run.files import write_json
    from exp.run.result import Result, write_result

    first = members[0]
    metrics = _keyed(found)
    ids = "+".join(run.record["id"] for run in members)
    tuned = {key: value for one in found.values() for key, value in one.tuned.items()}
    record = {
        **finished.find(str(place)).record,
        "id": f"soup-{hashlib.sha256(f'{how}:{ids}'.encode()).hexdigest()[:12]}",
        "condition": hashlib.sha256(f"{how}:{ids}".encode()).hexdigest()[:12],
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "status": "completed",
        "reason": None,
        "soup": {"how": how, "members": [{"id": run.record["id"], "folder": str(run.folder)} for run in members]},
        "data": {**first.facts, **({"tuned": tuned} if tuned else {})},
    }
    write_json(place / "run.json", record)
    log = EventLog(place / "metrics.jsonl")
    log.append(metrics, step=0, epoch=0.0)
    log.close()
    points = {key: {"value": value, "step": 0} for key, value in metrics.items()}
    objective = first.facts["objective"]
    (place / "predictions").mkdir()
    for name, one in found.items():
        pq.write_table(one.table, place / "predictions" / f"{name}.parquet")
    write_result(
        place / "result.json",
        Result("completed", {"name": objective, **points.get(objective, {})}, points, points, {}, saved_step=0),
    )
    return metrics


def _keyed(found: Mapping[str, Evaluation]) -> dict[str, float]:
    return {f"{name}/{key}": value for name, one in found.items() for key, value in one.metrics.items()}

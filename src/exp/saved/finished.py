"""A finished run as something to use: its config, its data, the model it saved."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.config.grammar import word
from exp.config.targets import make
from exp.errors import ExpError, nearest
from exp.model.unmerged import is_unmerged, load_unmerged, plain_folder
from exp.options import trust
from exp.options.arguments import Option
from exp.options.confdir import cache_dir
from exp.options.trusted_code import warn_of_changes
from exp.run.files import user_path
from exp.run.folder import read_record
from exp.run.said import command, near

if TYPE_CHECKING:
    import torch

    from exp.data.examples import Examples, TaskData
    from exp.data.features import FeatureSet
    from exp.loop.evaluation import Evaluation, Evaluator
    from exp.task.base import Head, Task

log = logging.getLogger(__name__)
WEIGHTS = "model.safetensors"
# What of a run's data may be said anew: where it lies now, and how much of it to take.
MOVABLE = ("path", "train_file", "validation_file", "test_file", "test_files", "max_eval_samples")
MOVED = Option(
    "data.path, .train_file, .validation_file, .test_file, .test_files.NAME: where the run's data lies now; "
    "data.max_eval_samples=null: the whole split"
)


class DataFacts(dict[str, Any]):
    """run.json's block about the data: a key that is asked for and not there ends in an ExpError."""

    path: str

    def __missing__(self, key: str) -> Any:
        raise ExpError(f"{self.path} is no run's record: its data.{key} is not there")


@dataclass(frozen=True)
class Finished:
    """A run folder that holds a model."""

    folder: Path
    record: Mapping[str, Any]
    config: Mapping[str, Any]

    @cached_property
    def facts(self) -> DataFacts:
        found = DataFacts(self.record["data"])
        found.path = near(self.folder / "run.json")
        return found

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions"


def find(path: str) -> Finished:
    """Looks at names only.

    Raises ExpError for a folder that is no run, a run of a newer exp, one without model/, or with parts that are not
    trusted.
    """
    folder = user_path(path).resolve()
    if folder.is_file():
        raise ExpError(f"{path} is a file, and a run is a folder")
    if not folder.is_dir():
        beside = [item.name for item in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise ExpError(f"{path}: there is no such folder{nearest(folder.name, beside) if beside else ''}")
    record = read_record(folder)
    place = plain_folder(folder / "model")
    lacking = [name for name in ("config.json", WEIGHTS) if not (place / name).is_file()]
    if lacking or record.get("data") is None:
        reason = f" ({record['reason']})" if record.get("reason") else ""
        what = "it saved no model" if len(lacking) == 2 else f"model/ lacks {' and '.join(lacking) or 'its record'}"
        again = command("train", word("resume", near(folder)))
        mend = f"; go on with it: {again}" if record["status"] != "completed" else ""
        raise ExpError(f"{near(folder)}: {what}; its status is {record['status']}{reason}{mend}")
    if "task" not in record["config"]:
        raise ExpError(
            f"{folder} was trained by the first version of exp, which had no tasks: its numbers and curves can be read "
            f"(exp.compare, exp.curves) and its model/ loads with from_pretrained, but exp cannot use it any more"
        )
    # Whose run it is does not matter: it names parts of ours or of a trusted package, and caches where this user does.
    trust.check(record["config"])
    warn_of_changes(record)
    return Finished(folder, record, {**record["config"], "cache_dir": str(cache_dir())})


@dataclass(frozen=True)
class Model:
    """Loaded as the run evaluated it: same precision, kernels, batches and, on a CPU, number of threads."""

    module: torch.nn.Module
    processor: Any
    task: Task
    evaluator: Evaluator

    def evaluate(self, sets: Mapping[str, tuple[FeatureSet, Examples]], *, tune: bool) -> dict[str, Evaluation]:
        """By the names of `sets`. `tune`: what the task fits on an evaluation set is fitted anew on the first."""
        found, _ = self.evaluator.sets(self.module, sets, tune=tune)
        return found

    def fitted(self, sets: Mapping[str, tuple[FeatureSet, Examples]]) -> Model:
        """With what the task fits on the first of `sets`."""
        _, reading = self.evaluator.sets(self.module, dict(list(sets.items())[:1]), tune=True)
        return replace(self, evaluator=self.evaluator.with_reading(reading))


def labels_of(run: Finished) -> TaskData:
    """What a task's head needs to know of the run's data."""
    from exp.data.examples import Examples

    return as_data(run, Examples([], {}, None), run.facts["name"])


def task_of(run: Finished) -> Task:
    from exp.training.build import build_task

    with whitelisted():
        return build_task(run.config)


def head_of(run: Finished) -> Head:
    """What the run's task asks of a model."""
    return task_of(run).head(labels_of(run))


def load_model(run: Finished) -> Model:
    """From run/model alone. Raises ExpError where its files are damaged."""
    import torch
    from accelerate import Accelerator
    from transformers.utils import logging as hf_logging

    from exp.compat.accelerate import forget_last_run
    from exp.loop.evaluation import Evaluator
    from exp.model.processors import load_processor
    from exp.training.build import as_trained, mixed_precision

    if threads := run.record["hardware"].get("threads"):
        torch.set_num_threads(threads)  # sums are split among them, which changes their last bits
    place = run.folder / "model"
    task = task_of(run)
    head = task.head(labels_of(run))
    hf_logging.disable_progress_bar()
    try:
        processor = load_processor(head, str(place), trust_remote_code=False, local_files_only=True)
        module = _module(run, plain_folder(place), head)
        head.prepare(module, processor)
        if is_unmerged(place):
            module = load_unmerged(module, place)
    except ExpError:
        raise
    except Exception as error:  # transformers and tokenizers raise whatever they like for a damaged file
        kind = "" if isinstance(error, OSError | ValueError | RuntimeError) else f"{type(error).__name__}: "
        raise ExpError(f"{place} cannot be loaded: {kind}{(str(error).strip().splitlines() or ['?'])[0]}") from error
    forget_last_run()
    with whitelisted():
        multiple = as_trained(run.config, module)
        accelerator = Accelerator(mixed_precision=mixed_precision(run.config))
    evaluator = Evaluator(
        task=task,
        reading=task.reading(run.facts),
        processor=processor,
        collator=task.collate(processor, multiple, run.facts["label_names"]),
        batch_size=run.config["per_device_eval_batch_size"],
        device=accelerator.device,
        max_tokens=run.config.get("eval_max_tokens"),  # a run that is older than the key has none
    )
    return Model(accelerator.prepare_model(module, evaluation_mode=True), processor, task, evaluator)


def _module(run: Finished, place: Path, head: Head) -> Any:
    """The saved weights in the class of the task's head, or in that of the user's own model."""
    import torch
    import transformers

    with whitelisted():
        source = make(run.config["model"], "model")
    if hasattr(source, "load"):
        return source.load(place, head)
    # Two kernels for the same attention differ in their last bits, and config.json does not name the one used.
    attention = run.config["model"].get("attn_implementation")
    module, info = getattr(transformers, head.auto_class).from_pretrained(
        place,
        dtype=torch.float32,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        **({"attn_implementation": attention} if attention else {}),
    )
    if absent := sorted(info["missing_keys"]):
        raise ExpError(f"{place / WEIGHTS} is not whole: {absent[0]} is missing")
    return module


def load_data(run: Finished, moved: Mapping[str, Any]) -> TaskData:
    """The run's data, read again; `moved` says some of MOVABLE anew. Warns where the contents have changed."""
    from exp.training.build import build_data

    node = {**run.config["data"], **moved}
    with whitelisted(), standing_in(run.record["cwd"]):
        try:
            data = build_data({**run.config, "data": node})
        except ExpError as error:
            hint = "; say where it lies now, e.g. data.path=..." if "path" in node or "train_file" in node else ""
            raise ExpError(f"the data of {run.folder} cannot be read any more: {error}{hint}") from None
    if "max_eval_samples" not in moved and data.fingerprint != run.facts["fingerprint"]:
        log.warning("the data are not those of the run: their contents have changed since")
    return data


def checked_moves(run: Finished, given: Mapping[str, Any]) -> dict[str, Any]:
    """`data.<key>` words for this run's data; raises ExpError for a key that its data option does not have."""
    moved: dict[str, Any] = {}
    for key, value in given.items():
        if not key.startswith("data.") or key == "data.split":
            continue
        name, _, part = key.removeprefix("data.").partition(".")
        if name not in MOVABLE:
            raise ExpError(f"{key}: no such key{nearest(name, MOVABLE)}")
        sets = run.config["data"].get(name)
        if name not in run.config["data"] or (part and part not in (sets or {})):
            known = sets if part else run.config["data"]
            raise ExpError(f"{key}: the data of {run.folder} has no such key{nearest(part or name, known or ())}")
        if name == "max_eval_samples":
            if value != "null" and not (value.isdigit() and int(value) > 0):
                raise ExpError(f"{key}={value} has the wrong type: it takes a number from 1 up, or null")
            moved[name] = None if value == "null" else int(value)
            continue
        place = str(Path(value).expanduser().resolve()) if name == "path" or Path(value).exists() else value
        moved[name] = {**(moved.get(name) or sets), part: place} if part else place
    return moved


def as_data(run: Finished, examples: Examples, name: str) -> TaskData:
    """Examples of another file, as data of the run's task: a train split and nothing else."""
    from exp.data.examples import TaskData
    from exp.task.assemble import with_fingerprint

    facts = run.facts
    labels = None if facts["label_names"] is None else tuple(facts["label_names"])
    max_length = facts["max_length"]
    return with_fingerprint(TaskData(name, examples, {}, {}, labels, tuple(facts["metrics"]), max_length, "", facts))


def encoded(run: Finished, model: Model, data: TaskData, name: str) -> tuple[FeatureSet, Examples]:
    """One split alone; the others need not be encoded for it."""
    split = data.splits()[name]
    alone = replace(data, train=split, evals={}, tests={}, fingerprint=f"{data.fingerprint}/{name}")
    return model.task.encode(alone, model.processor, user_path(run.config["cache_dir"])).train, split


@contextlib.contextmanager
def standing_in(folder: str) -> Iterator[None]:
    """In the working folder of the run, where it still is: relative paths in its config are meant from there.

    Modules are looked for where they were before, not in that folder.
    """
    if not Path(folder).is_dir():
        yield
        return
    sys.path[:] = [entry or str(Path.cwd()) for entry in sys.path]
    with contextlib.chdir(folder):
        yield


@contextlib.contextmanager
def whitelisted() -> Iterator[None]:
    from hydra.utils import execution_whitelist

    with execution_whitelist(trust.whitelist()):
        yield

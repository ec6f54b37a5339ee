"""Parts built and fitted; once more with half the batch where memory ran out and auto_find_batch_size allows it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.loop import outputs
from exp.run.folder import step_of
from exp.run.logs import TO_FILE_ONLY
from exp.training.build import build, build_loop
from exp.training.resume import check_same_data, go_back

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from exp.loop.base import Parts
    from exp.loop.trial import Trial
    from exp.run.folder import Run
    from exp.run.result import Result
    from exp.tracker.base import Tracker

log = logging.getLogger(__name__)


def fit(config: Mapping[str, Any], run: Run, tracker: Tracker, trial: Trial) -> tuple[Parts, Result]:
    """The batch of an optimizer step keeps its size: half the examples at a time, twice as often."""
    while True:
        parts = build(config)
        if config["init_checkpoint"] is not None and not any(run.checkpoints.glob("step-*")):
            begin_with(Path(config["init_checkpoint"]), parts.model)
        if run.kept:
            check_same_data(run, parts.data.fingerprint)
        outputs.describe(parts, run)
        try:
            result = build_loop(config).fit(parts, run, tracker, trial)
            parts.world.leave()
            return parts, result
        except Exception as error:
            smaller = _half_the_batch(config, error)
            if smaller is None:
                _raise_memory_error(error)
                raise
        del parts  # its memory is needed
        gc.collect()
        config = smaller
        batch = {key: config[key] for key in ("per_device_train_batch_size", "gradient_accumulation_steps")}
        log.warning("out of memory; going on with %s", " ".join(f"{key}={value}" for key, value in batch.items()))
        run.update(auto_batch=batch)
        go_back(run)


def begin_with(path: Path, model: PreTrainedModel) -> None:
    """The weights of a checkpoint, and nothing else of it. Raises ExpError where there is none, or of another model."""
    from exp.loop.checkpoint import Checkpoint, load_weights

    path = path.expanduser().resolve()
    step = step_of(path)
    if step is None:
        raise ExpError(f"init_checkpoint={path} is no checkpoint; name one such as <run>/checkpoints/step-000500")
    if damage := Checkpoint(path, step).damage():
        raise ExpError(f"init_checkpoint={path} is damaged ({damage}); name another")
    load_weights(Checkpoint(path, step), model)
    log.info("begins with the weights of %s", path)


def _raise_memory_error(error: Exception) -> None:
    """Raises an ExpError for memory that did not suffice; the traceback stands in train.log."""
    from accelerate.utils.memory import should_reduce_batch_size

    if should_reduce_batch_size(error):
        log.error("out of memory", exc_info=error, extra=TO_FILE_ONLY)
        raise ExpError(
            f"out of memory ({str(error).splitlines()[0]}): lower per_device_train_batch_size (and raise "
            f"gradient_accumulation_steps), per_device_eval_batch_size or the lengths of the task, or set "
            f"auto_find_batch_size=true"
        ) from error


def _half_the_batch(config: Mapping[str, Any], error: Exception) -> dict[str, Any] | None:
    """None where the error is another one, halving was not asked for, or one example is too much already."""
    from accelerate.utils.memory import should_reduce_batch_size

    size = config["per_device_train_batch_size"]
    if not (config["auto_find_batch_size"] and size > 1 and should_reduce_batch_size(error)):
        return None
    half = size // 2 if size % 2 == 0 else 1  # the step's examples must stay the same
    times = size // half
    steps = config["gradient_accumulation_steps"] * times
    return {**config, "per_device_train_batch_size": half, "gradient_accumulation_steps": steps}

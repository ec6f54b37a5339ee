"""What exp promises of every part, each as one function that raises AssertionError where it does not hold.

`words` choose the part, and the data where the default is not meant: ["optimizer=lion"]. Each runs small trainings in
an empty `folder` of the test's own; dropout and the task's own draws are on unless it says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exp.loop.base import Parts
from exp.run.folder import Run
from exp.testing.loops import SMALL, Recorder, plain_loop, run_loop

LOOPS = ("trainer", "accelerate")
EXACT = ("train/lr",)
UNEVEN = ("gradient_accumulation_steps=4", "max_grad_norm=0.5")  # the last of an epoch's groups is smaller


def both_loops_equal_a_plain_loop(folder: Path, words: Sequence[str]) -> Recorder:
    """Loss, rate and gradient norm of every step and every metric, with an uneven last group of micro-batches.

    Returns the numbers of the plain loop.
    """
    recipe = [*words, *UNEVEN]
    reference, _ = plain_loop(*recipe)
    for loop in LOOPS:
        recorder, result, _, _ = run_loop(folder / loop, f"loop={loop}", *recipe)
        same_events(recorder, reference)
        assert result.status == "completed", result
    return reference


def both_loops_equal_a_plain_loop_and_go_on(folder: Path, words: Sequence[str]) -> tuple[Recorder, Parts, Run]:
    """The promise above and the one on cut runs, from the same trainings.

    Returns the last run's numbers, parts and record.
    """
    recipe = [*words, *UNEVEN, *_saving(2)]
    reference, _ = plain_loop(*recipe)
    for loop in LOOPS:
        words_of_loop = [f"loop={loop}", *recipe]
        recorder, result, parts, run = run_loop(folder / loop / "whole", *words_of_loop)
        same_events(recorder, reference)
        assert result.status == "completed", result
        _goes_on(folder / loop, words_of_loop, recorder, parts, step=2)
    return recorder, parts, run


def both_loops_agree(folder: Path, words: Sequence[str]) -> tuple[Recorder, Run]:
    """As above for what a plain loop cannot do (adapters, trained parts of a model); weights too.

    Returns the numbers and the run.
    """
    import torch

    ours, result, parts, run = run_loop(folder / "accelerate", "loop=accelerate", *words)
    theirs, other, parts_too, _ = run_loop(folder / "trainer", "loop=trainer", *words)
    same_events(ours, theirs)
    assert result.objective == other.objective and result.status == other.status == "completed"
    own, their = parts.model.state_dict(), parts_too.model.state_dict()
    for key, weight in own.items():
        assert torch.allclose(weight.float(), their[key].float(), rtol=1e-6, atol=1e-7), f"{key} differs"
    return ours, run


def accumulation_changes_no_loss(folder: Path, words: Sequence[str], loop: str = "accelerate") -> None:
    """Batch 8 and batch 2 x 4 give the same loss and gradient norm (1e-5), without dropout."""
    found = []
    for batch, accumulation in ((8, 1), (2, 4)):
        recorder, _, _, _ = run_loop(
            folder / str(batch),
            *words,
            "model.dropout=0",
            f"loop={loop}",
            f"per_device_train_batch_size={batch}",
            f"gradient_accumulation_steps={accumulation}",
            "num_train_epochs=1",
        )
        found.append([value for key in ("train/loss", "train/grad_norm") for _, value in recorder.of(key)])
    assert len(found[0]) >= 6 and all(map(math.isfinite, found[0])), found[0]
    for one, two in zip(*found, strict=True):
        assert math.isclose(one, two, rel_tol=1e-5), f"{one} with batch 8, {two} with accumulation"


def a_run_that_was_cut_ends_as_one_that_never_was(folder: Path, words: Sequence[str], loop: str = "accelerate") -> None:
    """Resumed in the middle of an epoch: every later event and every weight, to the last bit."""
    recipe = [*words, f"loop={loop}", *_saving(4)]
    whole, _, parts, _ = run_loop(folder / "whole", *recipe)
    _goes_on(folder, recipe, whole, parts, step=8)


def _saving(steps: int) -> list[str]:
    return ["save_strategy=steps", f"save_steps={steps}", "save_total_limit=null"]


def _goes_on(folder: Path, recipe: Sequence[str], whole: Recorder, parts: Parts, step: int) -> None:
    """From the checkpoint of `step` in folder/whole."""
    import torch

    cut = folder / "cut" / "checkpoints"
    cut.mkdir(parents=True)
    (folder / "whole" / "checkpoints" / f"step-{step:06d}").rename(cut / f"step-{step:06d}")
    resumed, _, again, _ = run_loop(cut.parent, *recipe)
    assert resumed.events == [event for event in whole.events if event[0] > step], "numbers differ after the resume"
    own, their = parts.model.state_dict(), again.model.state_dict()
    for key, weight in own.items():
        assert torch.equal(weight, their[key]), f"{key} differs after the resume"


def the_saved_model_gives_the_recorded_numbers(folder: Path, words: Sequence[str]) -> None:
    """A whole run; its model, loaded from the run folder, gives every number and every prediction again."""
    import exp
    from exp.data.examples import split_name
    from exp.saved import finished

    run = exp.train([*SMALL, *words, f"hydra.run.dir={folder / 'run'}", "num_train_epochs=1"])
    assert run.status == "completed", run
    found = finished.find(str(run.folder))
    data, model = finished.load_data(found, {}), finished.load_model(found)
    names = [split_name("eval", suffix) for suffix in data.evals]
    measured = model.evaluate({name: finished.encoded(found, model, data, name) for name in names}, tune=True)
    for name, evaluation in measured.items():
        for key, value in evaluation.metrics.items():
            recorded = run.last[f"{name}/{key}"]
            assert value == recorded or (value != value and recorded != recorded), f"{name}/{key}: {recorded}, {value}"
        assert evaluation.table.equals(_read(run.folder / "predictions" / f"{name}.parquet")), f"{name} differs"


def _read(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def same_events(one: Recorder, two: Recorder) -> None:
    """Equal steps and keys; values to 1e-6, rates exactly."""
    assert [(step, key) for step, key, _ in one.events] == [(step, key) for step, key, _ in two.events]
    for (step, key, first), (_, _, second) in zip(one.events, two.events, strict=True):
        tolerance = 0.0 if key in EXACT else 1e-6
        both_nan = math.isnan(first) and math.isnan(second)
        close = both_nan or math.isclose(first, second, rel_tol=tolerance, abs_tol=tolerance)
        assert close, f"{key} at step {step}: {first!r} and {second!r}"

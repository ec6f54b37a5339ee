"""The evaluation and test sets of a run: measured, shown to the tracker, and written at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

from exp.data.examples import split_name
from exp.loop import outputs
from exp.loop.evaluation import Evaluation, Evaluator
from exp.loop.plan import eval_key
from exp.metrics.key import Key
from exp.metrics.names import LOSS
from exp.tracker.base import ShowsPredictions

if TYPE_CHECKING:
    from exp.data.examples import Examples
    from exp.loop.base import Parts
    from exp.optim.averaging import Average, OptimizersAverage
    from exp.run.folder import Run
    from exp.tracker.base import Tracker

Publish = Callable[[Mapping[str, float], int], None]  # metrics by their keys, and the step of the weights


class Evaluations:
    """`found`: of the weights as they are now, by suffix; empty once a step has changed them."""

    def __init__(
        self,
        parts: Parts,
        run: Run,
        tracker: Tracker,
        *,
        model: torch.nn.Module,
        average: Average | OptimizersAverage | None,
        device: torch.device,
    ) -> None:
        self.parts, self.run, self.tracker = parts, run, tracker
        self.model, self.average = model, average
        self.evaluator = Evaluator(
            parts.task,
            parts.reading,
            parts.processor,
            parts.collator,
            parts.settings.per_device_eval_batch_size,
            device,
            parts.world,
            parts.settings.eval_max_tokens,
        )
        self.reading = parts.reading
        self.found: dict[str, Evaluation] = {}

    def measure(self, final: bool) -> dict[str, float]:
        """All evaluation sets; their metrics by key. `final` False: in the middle of a training."""
        encoded, data = self.parts.encoded, self.parts.data
        sets = {suffix: (encoded.evals[suffix], examples) for suffix, examples in data.evals.items()}
        with nullcontext() if self.average is None else self.average.evaluated():
            self.found, self.reading = self.evaluator.sets(self.model, sets, tune=True, final=final)
        return {
            eval_key(suffix, name): value
            for suffix, found in self.found.items()
            for name, value in found.metrics.items()
        }

    def forget(self) -> None:
        """The weights have changed."""
        self.found = {}

    def show(self, step: int) -> None:
        """To a tracker that shows predictions."""
        if isinstance(self.tracker, ShowsPredictions):
            for suffix, found in self.found.items():
                if found.answered:
                    self.tracker.predictions(split_name("eval", suffix), found.table, step=step)

    def write(self, weights_step: int, total_steps: int, publish: Publish) -> None:
        """The predictions of the final weights, those of `weights_step`, whatever the evaluation strategy was; with
        `do_predict` those of the test sets, and their metrics."""
        if not self.found or not all(one.answered for one in self.found.values()):
            metrics = self.measure(final=True)
            if self.parts.reading.names == (LOSS,) and weights_step < total_steps:
                # The evaluation of these weights was of the loss alone.
                publish({key: value for key, value in metrics.items() if Key.of(key).name != LOSS}, weights_step)
        data = self.parts.data
        for suffix, found in self.found.items():
            self._write(split_name("eval", suffix), found, data.evals[suffix])
        if self.parts.settings.do_predict:
            tests = {suffix: (self.parts.encoded.tests[suffix], examples) for suffix, examples in data.tests.items()}
            tested, _ = self.evaluator.with_reading(self.reading).sets(self.model, tests, tune=False)
            for suffix, found in tested.items():
                name = split_name("test", suffix)
                self._write(name, found, data.tests[suffix])
                if found.metrics:
                    publish({f"{name}/{key}": value for key, value in found.metrics.items()}, weights_step)
        if self.parts.world.rank == 0:
            outputs.keep_tuned(self.run, self.found)
            outputs.keep_calibration(self.run, self.reading, self.found)

    def _write(self, name: str, found: Evaluation, examples: Examples) -> None:
        if self.parts.world.rank == 0:
            outputs.write_predictions(self.run, name, found, self.reading, examples)

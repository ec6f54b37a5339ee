"""One pass over an evaluation set, the same for both loops and for `exp.evaluate`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from exp.distributed.world import SINGLE_PROCESS, in_batch_order, own_batches
from exp.loop.token_batches import SPREAD, evaluation_batches
from exp.speed.memory import release_freed_memory
from exp.speed.precision import weights_cast_once
from exp.task.base import EvaluatedBatch

if TYPE_CHECKING:
    from exp.data.collate import Collator
    from exp.data.examples import Examples
    from exp.data.features import FeatureSet
    from exp.distributed.world import World
    from exp.task.base import Answers, Reading, Task

# Batches after which freed memory is given back. Answers are small and stay; glibc puts them into the room of freed
# logits, where the next batch's then do not fit, and the process grows by some 30 MB a batch.
RELEASED = 2


@dataclass(frozen=True)
class Evaluation:
    """`table`: the predictions, one row an example; `metrics` is empty for an unlabelled set."""

    table: pa.Table
    metrics: dict[str, float]
    tuned: Mapping[str, float] = field(default_factory=dict)  # what was fitted on this set, such as a threshold
    answered: bool = True  # False: the loss alone was measured, and the table has no columns


@dataclass(frozen=True)
class Evaluator:
    """What all passes of a run have in common."""

    task: Task
    reading: Reading
    processor: Any  # of the model
    collator: Collator
    batch_size: int
    device: torch.device
    world: World = SINGLE_PROCESS
    max_tokens: int | None = None  # of a batch, padding included, in place of `batch_size` rows

    def sets(
        self,
        model: torch.nn.Module,
        sets: Mapping[str, tuple[FeatureSet, Examples]],
        tune: bool,
        final: bool = True,
    ) -> tuple[dict[str, Evaluation], Reading]:
        """Every set, and the reading that was tuned on the first one where `tune` and the task ask for it.

        `final` False: in the middle of a training, where a task may measure the loss alone.
        """
        found: dict[str, Evaluation] = {}
        reading = self.reading
        for name, (features, examples) in sets.items():
            loss, answers = self._passed(model, features, final)
            if answers is None:
                found[name] = Evaluation(pa.table({}), {"loss": loss}, answered=False)
                continue
            table = reading.decode(answers, features, examples)
            tuned: Mapping[str, float] = {}
            if tune and not found:
                reading, tuned = reading.tuned(table)
            table = reading.applied(table)
            metrics = {} if examples.targets is None else {"loss": loss, **reading.score(table)}
            found[name] = Evaluation(table, metrics, tuned)
        return found, reading

    def _passed(self, model: torch.nn.Module, features: FeatureSet, final: bool) -> tuple[float, Answers | None]:
        """Loss as a mean over units (not over batches: the last one may be short), and the answers.

        Batches are cut from the set sorted by length, because padding costs time; results come back in the set's
        order. The longest comes first: what would run out of memory does so at once, and later batches fit into the
        memory of those before, though answers have come to lie in between. Several processes take the batches in turn,
        and each gets the whole evaluation. The model's mode is put back as it was.
        """
        was_training = model.training
        model.eval()
        order = sorted(range(len(features)), key=lambda row: features.lengths[row])
        # Each token that is generated costs the batch a pass, and what the encoder pads is little beside that.
        spread = math.inf if getattr(self.task, "generates", False) else SPREAD
        batches = evaluation_batches(order, features.longest, self.batch_size, self.max_tokens, spread)
        found: list[tuple[Answers | None, float, int]] = []  # answers, sum of losses, units
        with torch.no_grad(), weights_cast_once(self.device):  # in inference_mode autocast keeps no copies
            for number, rows in enumerate(own_batches(self.world, batches[::-1]), start=1):
                batch = {
                    key: value.to(self.device) for key, value in self.collator([features[i] for i in rows]).items()
                }
                output = model(**batch)
                units = 0 if output.loss is None else self.task.units(batch)
                loss = output.loss.item() * units if units else 0.0
                one = EvaluatedBatch(model, batch, output, features, rows, self.processor, final)
                answers = self.task.answer(one)
                found.append((answers, loss, units))
                del batch, output, one  # else the logits of two batches are there at once
                if number % RELEASED == 0 and self.device.type == "cpu":
                    release_freed_memory()
        model.train(was_training)

        found = in_batch_order(self.world, found, len(batches))[::-1]
        units = sum(count for _, _, count in found)
        mean = sum(loss for _, loss, _ in found) / units if units else float("nan")
        kept = [answers for answers, _, _ in found if answers is not None]
        if not kept:
            return mean, None
        back = np.argsort(np.asarray(order))
        flat = {name: [one for answers in kept for one in answers[name]] for name in kept[0]}
        return mean, {name: [values[i] for i in back] for name, values in flat.items()}

    def with_reading(self, reading: Reading) -> Evaluator:
        return replace(self, reading=reading)

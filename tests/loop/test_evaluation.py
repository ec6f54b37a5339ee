"""An evaluation holds one batch's output at a time, and answers come back in the set's order."""

from __future__ import annotations

import math
import weakref
from types import SimpleNamespace

import numpy as np
import torch

from exp.data.features import FeatureSet, Ragged
from exp.loop.evaluation import Evaluator
from exp.loop.token_batches import evaluation_batches


class Output:
    """Stands for logits, which are much larger than what is kept of them."""

    def __init__(self, values: torch.Tensor) -> None:
        self.loss, self.logits = values.float().mean(), values


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before: weakref.ref | None = None
        self.alive: list[bool] = []

    def forward(self, input_ids: torch.Tensor) -> Output:
        self.alive.append(self.before is not None and self.before() is not None)
        output = Output(input_ids.sum(1))
        self.before = weakref.ref(output)
        return output


def passed(model):
    """Loss and answers of five rows in three batches."""
    task = SimpleNamespace(
        units=lambda batch: len(batch["input_ids"]), answer=lambda one: {"sum": one.output.logits.tolist()}
    )
    rows = [np.arange(size, dtype=np.int32) for size in (5, 2, 4, 3, 1)]
    features = FeatureSet({"input_ids": Ragged.of(rows, np.int32)}, None, {}, None)

    def collate(chosen):
        longest = max(len(row["input_ids"]) for row in chosen)
        padded = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in chosen]
        return {"input_ids": torch.tensor(padded)}

    evaluator = Evaluator(task, None, None, collate, 2, torch.device("cpu"))
    return evaluator._passed(model, features, final=True)


def test_no_output_is_there_any_more_when_the_next_is_made():
    model = Model()
    loss, answers = passed(model)
    assert model.alive == [False] * 3
    assert answers == {"sum": [10, 1, 6, 3, 0]} and loss == 4.0


def test_mixed_precision_casts_a_weight_once_an_evaluation():
    class Weighted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        @torch.autocast("cpu", dtype=torch.bfloat16)
        def forward(self, input_ids: torch.Tensor) -> Output:
            return Output(self.layer(torch.ones(len(input_ids), 3))[:, 0])

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
        passed(Weighted())
    casts = [event for event in profile.events() if event.name == "aten::_to_copy" and event.input_shapes[0] == [1, 3]]
    assert len(casts) == 2  # the weight, and the input of the batch with one row


def test_batches_by_tokens_hold_every_row_once_and_their_padding_counts():
    lengths = [1, 1, 2, 2, 3, 8, 9, 9, 30]
    batches = evaluation_batches(range(9), lengths, 2, 20)
    assert batches == [[0, 1, 2, 3], [4], [5, 6], [7], [8]]  # of like lengths, and a longer row is alone
    assert [row for batch in batches for row in batch] == list(range(9))


def test_batches_are_of_rows_without_a_budget_and_where_a_model_reads_no_tokens():
    by_rows = [[0, 1], [2, 3], [4]]
    assert evaluation_batches(range(4), [1, 2, 4, 9], 2, 20) == [[0, 1], [2], [3]]
    assert evaluation_batches(range(4), [1, 2, 4, 9], 2, 20, math.inf) == [
        [0, 1, 2],
        [3],
    ]  # generated: as full as can be
    assert evaluation_batches(range(5), [1, 2, 3, 4, 5], 2, None) == by_rows
    assert evaluation_batches(range(5), None, 2, 10) == by_rows

"""An evaluation holds one batch's output at a time, and answers come back in the set's order."""

from __future__ import annotations

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


def test_no_output_is_there_any_more_when_the_next_is_made():
    task = SimpleNamespace(
        units=lambda batch: len(batch["input_ids"]), answer=lambda one: {"sum": one.output.logits.tolist()}
    )
    rows = [np.arange(size, dtype=np.int32) for size in (5, 2, 4, 3, 1)]
    features = FeatureSet({"input_ids": Ragged.of(rows, np.int32)}, None, {}, None)

    def collate(chosen):
        longest = max(len(row["input_ids"]) for row in chosen)
        padded = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in chosen]
        return {"input_ids": torch.tensor(padded)}

    model = Model()
    evaluator = Evaluator(task, None, None, collate, 2, torch.device("cpu"))
    loss, answers = evaluator._passed(model, features, final=True)
    assert model.alive == [False] * 3
    assert answers == {"sum": [10, 1, 6, 3, 0]} and loss == 4.0


def test_batches_by_tokens_hold_every_row_once_and_their_padding_counts():
    lengths = [1, 1, 2, 2, 3, 8, 9, 9, 30]
    batches = evaluation_batches(range(9), lengths, 2, 20)
    assert batches == [[0, 1, 2, 3], [4], [5, 6], [7], [8]]  # of like lengths, and a longer row is alone
    assert [row for batch in batches for row in batch] == list(range(9))


def test_batches_are_of_rows_without_a_budget_and_where_a_model_reads_no_tokens():
    by_rows = [[0, 1], [2, 3], [4]]
    assert evaluation_batches(range(5), [1, 2, 3, 4, 5], 2, None) == by_rows
    assert evaluation_batches(range(5), None, 2, 10) == by_rows

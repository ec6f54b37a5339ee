"""The loss of a step is a mean over all its units, however they lie on micro-batches and processes."""

from __future__ import annotations

import math

import pytest
import torch

from exp.distributed.world import SINGLE_PROCESS, ProcessGroupWorld


def process(rank: int, size: int) -> ProcessGroupWorld:
    """One of several processes, without the others."""
    made = object.__new__(ProcessGroupWorld)
    made.rank, made.size = rank, size
    return made


def test_one_process_weighs_micro_batches_by_their_units():
    losses, units = torch.tensor([1.0, 4.0, 2.5]), [3, 1, 4]
    parts = [SINGLE_PROCESS.scale_loss(loss, count, sum(units)) for loss, count in zip(losses, units, strict=True)]
    assert sum(parts).item() == pytest.approx((3 * 1.0 + 1 * 4.0 + 4 * 2.5) / 8)
    assert (
        SINGLE_PROCESS.total_units(7) == 7
        and SINGLE_PROCESS.own_examples([4, 2]) == [4, 2]
        and SINGLE_PROCESS.has_own_examples([4])
    )


def test_a_step_of_one_micro_batch_is_left_to_the_last_bit():
    loss = torch.tensor(0.1234567)
    assert SINGLE_PROCESS.scale_loss(loss, 5, 5) is loss


def test_a_micro_batch_without_units_adds_nothing_and_keeps_its_graph():
    loss = torch.tensor(math.nan, requires_grad=True)
    part = SINGLE_PROCESS.scale_loss(loss, 0, 5)
    assert part.item() == 0.0
    part.backward()
    assert loss.grad.item() == 0.0


def test_processes_together_make_the_mean_over_all_units():
    """Their gradients, and so their losses, are averaged afterwards."""
    values = torch.tensor([5.0, 1.0, 3.0, 2.0, 8.0])  # one a unit
    examples = [2, 0, 1, 3, 4]
    worlds = [process(rank, 3) for rank in range(3)]
    shares = [world.own_examples(examples) for world in worlds]
    assert shares == [[2, 3], [0, 4], [1]]
    parts = [
        world.scale_loss(values[share].mean(), len(share) if world.has_own_examples(examples) else 0, len(examples))
        for world, share in zip(worlds, shares, strict=True)
    ]
    assert (sum(parts) / 3).item() == pytest.approx(values.mean().item())


def test_a_process_that_has_no_example_repeats_one_that_does_not_count():
    worlds = [process(rank, 3) for rank in range(3)]
    assert [world.own_examples([7, 9]) for world in worlds] == [[7], [9], [7]]
    assert [world.has_own_examples([7, 9]) for world in worlds] == [True, True, False]


def test_more_processes_than_cores_is_said_by_the_first(caplog, monkeypatch):
    from exp.distributed import world

    monkeypatch.setattr(world, "cores", lambda: 2)
    for started, first in ((2, True), (3, False), (3, True)):
        world._warn_of_few_cores(started, first)
    assert [record.getMessage() for record in caplog.records] == [
        "3 processes share 2 cores here and wait for each other; start 2 at most"
    ]

"""Batches by tokens instead of rows: as many rows as `max_tokens` holds, and equally many batches in every epoch.

A run's number of steps must be known before it starts, and be the same for every seed. So it comes from the lengths
alone: what first-fit-decreasing needs, and a twentieth more, which leaves room to fill batches in random order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from exp.errors import ExpError

OPEN = 32  # batches that are filled side by side
SLACK = 1.05
SPREAD = 1.125  # of lengths in a batch of an evaluation


def batch_count(lengths: Sequence[int], budget: int, settings: str) -> int:
    """Batches of an epoch.

    Args:
        lengths: tokens of each row.
        budget: the most tokens of a batch.
        settings: how the budget is called in the config.

    Raises:
        ExpError: A row is longer than the budget.
    """
    longest = max(lengths)
    if longest > budget:
        raise ExpError(
            f"{settings}: row {lengths.index(longest) + 1} of the training features has {longest} tokens, and a batch "
            f"holds whole rows: raise it to {longest} or more, or shorten the rows (task.max_length)"
        )
    decreasing = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    fewest = len(_filled(decreasing, lengths, budget))
    return min(max(fewest, math.ceil(SLACK * sum(lengths) / budget)), len(lengths))


def token_batches(order: Sequence[int], lengths: Sequence[int], budget: int, count: int) -> list[list[int]]:
    """`count` batches of at most `budget` tokens that hold the rows of `order`, filled in that order.

    Where they came out fewer, the fullest are halved; where more, the longest rows of `order` go first.
    """
    batches = _filled(order, lengths, budget)
    if len(batches) > count:
        batches = _filled(sorted(order, key=lambda row: -lengths[row]), lengths, budget)
    while len(batches) < count:
        most = max(range(len(batches)), key=lambda number: len(batches[number]))
        half = len(batches[most]) // 2
        batches[most : most + 1] = [batches[most][:half], batches[most][half:]]
    return batches


def evaluation_batches(
    order: Sequence[int], lengths: Sequence[int] | None, rows: int, budget: int | None, spread: float = SPREAD
) -> list[list[int]]:
    """`order` cut into batches: a function of the set and the settings alone, so that numbers are the same anew.

    Args:
        order: the rows, sorted by length.
        lengths: tokens of each row's longest field; None: there are none, and rows are counted.
        rows: of a batch.
        budget: the most tokens of a batch in place of a number of rows, each row counted with its padding. A longer
            row has a batch of its own.
        spread: Few rows of many lengths would be padded much, so a batch of a budget also ends before a row that is so
            many times as long as its first.
    """
    if budget is None or lengths is None:
        return [list(order[start : start + rows]) for start in range(0, len(order), rows)]
    batches: list[list[int]] = []
    longest, most = 0, 0.0
    for row in order:
        longest = max(longest, lengths[row])
        if not batches or (len(batches[-1]) + 1) * longest > budget or longest > most:
            batches.append([])
            longest = lengths[row]
            most = spread * longest + 1
        batches[-1].append(row)
    return batches


def _filled(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """First fit, over at most `OPEN` batches at a time; the fullest is closed for a new one."""
    closed: list[list[int]] = []
    rows: list[list[int]] = []
    room: list[int] = []  # tokens left in each open batch
    for row in order:
        length = lengths[row]
        place = next((number for number, left in enumerate(room) if left >= length), None)
        if place is None:
            if len(room) == OPEN:
                fullest = min(range(OPEN), key=room.__getitem__)
                closed.append(rows.pop(fullest))
                room.pop(fullest)
            place = len(room)
            room.append(budget)
            rows.append([])
        room[place] -= length
        rows[place].append(row)
    return closed + rows

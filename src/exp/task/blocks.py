"""Token sequences to rows for a language model, and which tokens of a row belong to which example.

Every row is a list of segments. `kept` says of each segment whose tokens it holds: `of` (the example), `end` (the
place behind its last token), and the `words` and `bytes` of the text that its predicted tokens spell.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exp.data.collate import IGNORED
from exp.data.features import EncodedRows, Ragged

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class TokenSequence:
    """What the model is shown of one example, or of a piece of it."""

    example: int
    ids: Ids  # the first token is context and never predicted
    labels: Ids  # the same ids, IGNORED where a token is not to be predicted
    words: int
    bytes: int


@dataclass(frozen=True)
class Row:
    ids: Ids
    labels: Ids
    positions: Ids | None  # counted anew in each segment of a packed row; None: 0, 1, 2, ...
    of: list[int]
    end: list[int]
    words: list[int]
    bytes: list[int]


def separate(sequences: Sequence[TokenSequence]) -> list[Row]:
    """A row each."""
    return [
        Row(one.ids, one.labels, None, [one.example], [len(one.ids)], [one.words], [one.bytes]) for one in sequences
    ]


def concatenated(sequences: Sequence[TokenSequence], block_size: int, begin: Sequence[int], overlap: int) -> list[Row]:
    """All sequences end to end, cut into blocks; the last block may be shorter.

    Args:
        sequences: whole documents, every token of them labelled.
        block_size: tokens of a row.
        begin: tokens in front of all, which are not predicted.
        overlap: 1: a block begins with the last token of the one before, so that a model which predicts the next
            token predicts every token once. 0: blocks share nothing.
    """
    ids = np.concatenate([np.asarray(begin, np.int32), *(one.ids for one in sequences)])
    ends = len(begin) + np.cumsum([len(one.ids) for one in sequences])  # [sequences], in the stream
    starts = ends - [len(one.ids) for one in sequences]
    rows = []
    for start in range(0, max(len(ids) - overlap, 1), block_size - overlap):
        stop = min(start + block_size, len(ids))
        first = 0 if start == 0 else start + overlap  # the first token that this block answers for
        touched = range(int(np.searchsorted(ends, first, "right")), int(np.searchsorted(starts, stop, "left")))
        held = [number for number in touched if ends[number] > starts[number]]
        begun = [starts[number] >= first for number in held]
        rows.append(
            Row(
                ids[start:stop],
                ids[start:stop],
                None,
                [sequences[number].example for number in held],
                [int(min(ends[number], stop)) - start for number in held],
                # A document's counts stand where it begins; their sums over its segments are what is read.
                [sequences[number].words if new else 0 for number, new in zip(held, begun, strict=True)],
                [sequences[number].bytes if new else 0 for number, new in zip(held, begun, strict=True)],
            )
        )
    return rows


def packed(sequences: Sequence[TokenSequence], block_size: int) -> list[Row]:
    """Several sequences a row, none of which may attend to another: the fullest row that has room takes the next.

    Best fit, the longest sequence first (Johnson 1974); equal ones in their order. Longer ones are cut into pieces that
    share a token.
    """
    pieces = [piece for one in sequences for piece in _pieces(one, block_size)]
    order = sorted(range(len(pieces)), key=lambda number: (-len(pieces[number].ids), number))
    rows: list[list[TokenSequence]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), ascending
    for number in order:
        size = len(pieces[number].ids)
        place = bisect_left(room, (size, -1))
        if place < len(room):
            left, row = room.pop(place)
        else:
            left, row = block_size, len(rows)
            rows.append([])
        rows[row].append(pieces[number])
        if left - size > 1:  # no sequence has fewer than two tokens
            insort(room, (left - size, row))
    return [_packed_row(row) for row in rows]


def made(rows: Sequence[Row], labelled: bool) -> EncodedRows:
    """`labelled` False leaves the labels out: nothing is measured, texts are only continued."""
    fields = {"input_ids": Ragged.of([row.ids for row in rows], np.int32)}
    if labelled:
        fields["labels"] = Ragged.of([row.labels for row in rows], np.int32)
    if rows and rows[0].positions is not None:
        fields["position_ids"] = Ragged.of([row.positions for row in rows], np.int32)  # type: ignore[misc]
    kept = {
        name: Ragged.of([np.asarray(getattr(row, name), np.int32) for row in rows], np.int32)
        for name in ("of", "end", "words", "bytes")
    }
    first = [row.of[0] if row.of else 0 for row in rows]
    return EncodedRows(fields, kept, np.asarray(first, np.int64))


def sums(values: Any, ends: NDArray[np.int32]) -> NDArray[np.float64]:
    """Of one value a token over each segment: [tokens] to [segments]."""
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    return np.add.reduceat(np.asarray(values, np.float64), starts)


def _pieces(one: TokenSequence, block_size: int) -> list[TokenSequence]:
    if len(one.ids) <= block_size:
        return [one]
    found = []
    for start in range(0, len(one.ids) - 1, block_size - 1):
        stop, first = start + block_size, start == 0
        words, size = (one.words, one.bytes) if first else (0, 0)
        found.append(TokenSequence(one.example, one.ids[start:stop], one.labels[start:stop], words, size))
    return found


def _packed_row(segments: Sequence[TokenSequence]) -> Row:
    labels = [one.labels.copy() for one in segments]
    for one in labels:
        one[0] = IGNORED  # or the last token of the segment before would have to predict it
    return Row(
        np.concatenate([one.ids for one in segments]),
        np.concatenate(labels),
        np.concatenate([np.arange(len(one.ids), dtype=np.int32) for one in segments]),
        [one.example for one in segments],
        np.cumsum([len(one.ids) for one in segments]).tolist(),
        [one.words for one in segments],
        [one.bytes for one in segments],
    )

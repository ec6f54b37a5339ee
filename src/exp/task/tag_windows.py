"""Sentences as word pieces, long ones in windows; every word is answered in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from exp.data.collate import IGNORED
from exp.task import tokens

if TYPE_CHECKING:
    from exp.data.features import EncodedRows


def windows(
    tokenizer: Any,
    sentences: Sequence[list[str]],
    targets: Sequence[list[int]] | None,
    max_length: int,
    stride: int,
    inside: list[int] | None,
) -> EncodedRows:
    import numpy as np

    from exp.data.features import EncodedRows, Ragged

    columns: dict[str, list[Any]] = {"input_ids": [], "token_type_ids": [], "labels": [], "at": [], "word": []}
    example: list[int] = []
    for start in range(0, len(sentences), tokens.BATCH):
        chunk = list(sentences[start : start + tokens.BATCH])
        batch = tokenizer(
            chunk,
            is_split_into_words=True,
            truncation=True,
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            padding=False,
            return_attention_mask=False,
        )
        owners = batch["overflow_to_sample_mapping"]
        words = [batch.word_ids(window) for window in range(len(owners))]
        own = _owned(words, owners)
        for window, owner in enumerate(owners):
            row = start + owner
            at = own[window]
            columns["input_ids"].append(np.asarray(batch["input_ids"][window], np.int32))
            if "token_type_ids" in batch:
                columns["token_type_ids"].append(np.asarray(batch["token_type_ids"][window], np.int8))
            columns["at"].append(np.asarray(at, np.int32))
            columns["word"].append(np.asarray([words[window][place] for place in at], np.int32))
            if targets is not None:
                columns["labels"].append(_labels(words[window], at, targets[row], inside))
            example.append(row)
    tokens.without_length_options(tokenizer)
    fields = {"input_ids": Ragged.of(columns["input_ids"], np.int32)}
    if columns["token_type_ids"]:
        fields["token_type_ids"] = Ragged.of(columns["token_type_ids"], np.int8)
    if targets is not None:
        fields["labels"] = Ragged.of(columns["labels"], np.int32)
    kept = {"at": Ragged.of(columns["at"], np.int32), "word": Ragged.of(columns["word"], np.int32)}
    return EncodedRows(fields, kept, np.asarray(example, np.int64))


def _owned(words: Sequence[Sequence[int | None]], owners: Sequence[int]) -> list[list[int]]:
    """For each window the places of first word pieces that it answers for.

    A word that stands in several windows belongs to the one where its first piece is farthest from the edges.
    """
    best: dict[tuple[int, int], tuple[int, int, int]] = {}  # (example, word) -> (context, window, place)
    for window, (row, owner) in enumerate(zip(words, owners, strict=True)):
        seen = owners[window - 1] == owner if window else False
        before: int | None = None
        for place, word in enumerate(row):
            if word is None or word == before:
                continue
            first = before is None and seen and (owner, word) in best
            before = word
            context = min(place, len(row) - 1 - place)
            held = best.get((owner, word))
            # A window may begin in the middle of a word; its first piece is in the window before.
            if held is None or (context > held[0] and not first):
                best[owner, word] = (context, window, place)
    own: list[list[int]] = [[] for _ in owners]
    for _, window, place in best.values():
        own[window].append(place)
    return [sorted(places) for places in own]


def _labels(words: Sequence[int | None], at: Sequence[int], tags: Sequence[int], inside: list[int] | None) -> Any:
    import numpy as np

    found = np.full(len(words), IGNORED, np.int32)
    for place in at:
        word = words[place]
        assert word is not None
        found[place] = tags[word]
        if inside is not None:  # the other pieces of the word as well
            for after in range(place + 1, len(words)):
                if words[after] != word:
                    break
                found[after] = inside[tags[word]]
    return found

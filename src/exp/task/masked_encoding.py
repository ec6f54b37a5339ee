"""Texts as token rows for a masked language model, with the word of every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exp.data.features import EncodedRows, Ragged
from exp.errors import ExpError
from exp.task import blocks
from exp.task.blocks import Row, TokenSequence
from exp.task.masking import Masker
from exp.task.tokens import BATCH

SPECIAL = -1  # the word of a special token


def masker_of(tokenizer: Any, probability: float, whole_words: bool) -> Masker:
    special = set(tokenizer.all_special_ids)
    ordinary = np.asarray([one for one in range(len(tokenizer)) if one not in special], np.int64)
    return Masker(probability, whole_words, tokenizer.mask_token_id, ordinary)


def encoded_texts(tokenizer: Any, texts: Sequence[str], block_size: int, together: bool) -> EncodedRows:
    """Rows of at most `block_size` tokens, special tokens included.

    `together`: texts run on in blocks, with a separator between two; else each is a row, or several where it is longer.
    Raises ExpError where no text has a token that could be masked.
    """
    ids, words = _tokenized(tokenizer, [str(text) for text in texts])
    if not any(word != SPECIAL for row in words for word in row):
        raise ExpError(f"none of {len(texts)} texts has a token for this tokenizer, so there is nothing to mask")
    before, behind = _frame_of(tokenizer)
    room = block_size - len(before) - len(behind)
    separator = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    sequences = []
    stream: list[int] = []  # the word of each token, end to end
    for example, (own, word) in enumerate(zip(ids, words, strict=True)):
        between = [separator] if together and own and separator is not None and example < len(texts) - 1 else []
        array = np.asarray(own + between, np.int32)
        sequences.append(
            TokenSequence(example, array, array, len(texts[example].split()), len(texts[example].encode()))
        )
        stream += word + [SPECIAL] * len(between)
    if together:
        rows = blocks.concatenated(sequences, room, [], overlap=0)
    else:
        rows = [row for one in sequences if len(one.ids) for row in blocks.concatenated([one], room, [], overlap=0)]
    at, framed, row_words = 0, [], []
    for row in rows:
        spelt = stream[at : at + len(row.ids)]
        at += len(row.ids)
        framed.append(_framed(row, before, behind))
        row_words.append(_spread(spelt, len(before), len(framed[-1].ids)))
    made = blocks.made(framed, labelled=False)  # labels are drawn when a row is asked for
    empty = Ragged.of([np.zeros(0, np.int32)] * len(framed), np.int32)
    kept = {**made.kept, "word": Ragged.of(row_words, np.int32), "prompt_of": empty}
    if not together:  # the example itself, for what is shown of it
        kept["prompt_of"] = Ragged.of([np.asarray([row.of[0]], np.int32) for row in framed], np.int32)
    fields = dict(made.fields)
    if "token_type_ids" in tokenizer.model_input_names:
        fields["token_type_ids"] = Ragged.of([np.zeros(len(row.ids), np.int8) for row in framed], np.int8)
    return EncodedRows(fields, kept, made.example)


def _tokenized(tokenizer: Any, texts: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
    """Ids and words, without special tokens around them; a special token in the text has the word SPECIAL."""
    ids: list[list[int]] = []
    words: list[list[int]] = []
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}  # an unknown word is a word
    for start in range(0, len(texts), BATCH):
        chunk = list(texts[start : start + BATCH])
        batch = tokenizer(
            chunk, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )
        for row, own in enumerate(batch["input_ids"]):
            ids.append(own)
            found = zip(own, batch.word_ids(row), strict=True)
            words.append([SPECIAL if one in special or word is None else word for one, word in found])
    return ids, words


def _frame_of(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens before and behind a text."""
    ids, text = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (True, False))
    before = next(at for at in range(len(ids)) if ids[at : at + len(text)] == text)
    return ids[:before], ids[before + len(text) :]


def _framed(row: Row, before: list[int], behind: list[int]) -> Row:
    """The row between its special tokens, as [CLS] ... [SEP]."""
    ids = np.asarray([*before, *row.ids.tolist(), *behind], np.int32)
    ends = [end + len(before) for end in row.end]
    ends[-1] = len(ids)
    return Row(ids, ids, None, row.of, ends, row.words, row.bytes)


def _spread(words: Sequence[int], before: int, size: int) -> Any:
    """The words of a framed row's tokens."""
    found = np.full(size, SPECIAL, np.int32)
    found[before : before + len(words)] = words
    return found

"""What tasks on text share: limits of a tokenizer, its part of a cache key, the padding of its fields."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from exp.data.features import Ragged

log = logging.getLogger("exp")
MOST_TOKENS = 1_000_000  # a row's; no model reads more, and tokenizers count in 32 bits
BATCH = 1000  # rows a tokenizer call: enough to keep its threads busy, little memory


def longest(tokenizer: PreTrainedTokenizerBase, max_length: int, pair: bool) -> int:
    """Tokens that a row may have: no more than the tokenizer itself allows, which is said.

    Raises ExpError where special tokens alone fill it.
    """
    allowed = min(max_length, tokenizer.model_max_length)
    if allowed < max_length:
        log.warning(
            "task.max_length=%s, but the tokenizer's own limit is %s tokens, and longer texts are cut there; raise "
            "model_max_length in its tokenizer_config.json if the model reads more",
            *(max_length, allowed),
        )
    if allowed <= tokenizer.num_special_tokens_to_add(pair=pair):
        raise ExpError(f"task.max_length={max_length}: no room for text beside the special tokens")
    return allowed


def tokenizer_key(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Everything of a tokenizer that token ids depend on. Contents, not paths or names."""
    import tokenizers

    return {
        "tokenizer": _contents(tokenizer),
        "class": type(tokenizer).__name__,
        "inputs": sorted(tokenizer.model_input_names),
        "truncation_side": tokenizer.truncation_side,
        "empty": tokenizer.eos_token_id,
        "tokenizers": tokenizers.__version__,
    }


def without_length_options(tokenizer: PreTrainedTokenizerBase) -> None:
    """Some checkpoints (MiniLM's) bring truncation and padding to 128 in tokenizer.json, and every call with
    `truncation=True` leaves its length behind, from where it would be saved with the model."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()


def tokenized(tokenizer: PreTrainedTokenizerBase, columns: Sequence[list[str]], max_length: int) -> dict[str, Ragged]:
    """`input_ids`, and `token_type_ids` where the tokenizer gives them, of texts or pairs of texts.

    Pairs are cut from the longer text first. The tokenizer is left without truncation and padding.
    """
    import numpy as np

    from exp.data.features import Ragged
    from exp.task.rust_tokens import encoded_ahead

    kinds = {"input_ids": np.int32, "token_type_ids": np.int8}
    pieces: dict[str, list[Any]] = {"input_ids": [np.zeros(0, np.int32)], "token_type_ids": []}
    lengths: list[Any] = []
    for batch in encoded_ahead(tokenizer, columns, max_length):
        fill_empty(tokenizer, batch)
        lengths.append(np.fromiter(map(len, batch["input_ids"]), np.int64, len(batch["input_ids"])))
        total = int(lengths[-1].sum())
        for name, rows in batch.items():
            pieces[name].append(np.fromiter(chain.from_iterable(rows), kinds[name], total))
    without_length_options(tokenizer)
    starts = np.concatenate([[0], *lengths]).cumsum()
    return {name: Ragged(np.concatenate(parts), starts) for name, parts in pieces.items() if parts}


def fill_empty(tokenizer: PreTrainedTokenizerBase, batch: Any) -> None:
    """Gives a row without a token the end token: no model reads nothing, and some tokenizers add no token of theirs.

    Raises ExpError where the tokenizer has none.
    """
    for row, ids in enumerate(batch["input_ids"]):
        if not ids:
            if tokenizer.eos_token_id is None:
                raise ExpError("a text is empty, and the tokenizer adds no token to it; leave out rows without a text")
            batch["input_ids"][row] = [tokenizer.eos_token_id]
            if "token_type_ids" in batch:
                batch["token_type_ids"][row] = [0]


def fills(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """What pads each field of a text."""
    assert tokenizer.pad_token_id is not None, "the model option gives every tokenizer a padding token"
    types = getattr(tokenizer, "pad_token_type_id", 0)
    return {"input_ids": tokenizer.pad_token_id, "token_type_ids": types, "attention_mask": 0}


def texts_of(inputs: Mapping[str, list[Any]]) -> list[str]:
    """All texts of a split: cells that are texts, and the words of cells that are lists of them."""
    found: list[str] = []
    for column in inputs.values():
        for cell in column:
            if isinstance(cell, str):
                found.append(cell)
            else:
                found.extend(word for word in cell if isinstance(word, str))
    return found


def _contents(tokenizer: PreTrainedTokenizerBase) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return hashlib.sha256(backend.to_str().encode()).hexdigest()
    total = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()

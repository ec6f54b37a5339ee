"""Text to token ids: once per data set, tokenizer and length, for all runs that share a cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exp.data.base import RawData
from exp.errors import ExpError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)
_FORMAT = 1  # of the cache file; a new number makes old entries unreadable
_BATCH = 1000  # rows a tokenizer call: enough to keep its threads busy, little memory


@dataclass(frozen=True)
class Tokens:
    """All rows of one split end to end; row i is `ids[starts[i]:starts[i + 1]]`."""

    ids: NDArray[np.int32]  # [tokens]
    types: NDArray[np.int8] | None  # [tokens], where the tokenizer gives token types
    starts: NDArray[np.int64]  # [rows + 1]


class TokenDataset:
    """Rows as dicts of lists, unpadded: `input_ids`, `attention_mask`, `token_type_ids` where the tokenizer
    gives them, and `labels` (int or float) where the split is labelled."""

    def __init__(self, tokens: Tokens, labels: list[int] | list[float] | None, ids: list[int] | list[str]) -> None:
        self.labels = labels
        self.ids = ids  # the examples' own ids, for predictions
        self.lengths: list[int] = np.diff(tokens.starts).tolist()  # tokens of each row
        self._tokens = tokens

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        here = slice(self._tokens.starts[row], self._tokens.starts[row + 1])
        item: dict[str, Any] = {"input_ids": self._tokens.ids[here].tolist()}
        if self._tokens.types is not None:
            item["token_type_ids"] = self._tokens.types[here].tolist()
        item["attention_mask"] = [1] * self.lengths[row]
        if self.labels is not None:
            item["labels"] = self.labels[row]
        return item


@dataclass(frozen=True)
class Encoded:
    train: TokenDataset
    evals: Mapping[str, TokenDataset]  # suffixes as in RawData
    tests: Mapping[str, TokenDataset]
    cache_file: Path | None  # None: the cache folder cannot be written
    from_cache: bool  # True: nothing was tokenized


def encode(raw: RawData, tokenizer: PreTrainedTokenizerBase, cache_dir: str | Path) -> Encoded:
    """Tokenize all splits, cut to `raw.max_length` (or to what the tokenizer allows, if that is less).

    Pairs are cut from the longer text first. The result is kept in `cache_dir`/tokens under a key over the
    data's and the tokenizer's contents; the file appears at once or not at all, so any number of processes
    may share the folder. An entry that cannot be read is made anew. A folder that cannot be written costs a
    warning and the next run's time, nothing else. The tokenizer is left without truncation and padding.

    Raises ExpError where special tokens alone fill `max_length`.
    """
    pair = len(raw.text_columns) == 2
    max_length = min(raw.max_length, tokenizer.model_max_length)
    if max_length <= tokenizer.num_special_tokens_to_add(pair=pair):
        raise ExpError(f"data.max_length={raw.max_length}: no room for text beside the special tokens")
    splits = {"train": raw.train}
    splits |= {f"eval/{suffix}": split for suffix, split in raw.evals.items()}
    splits |= {f"test/{suffix}": split for suffix, split in raw.tests.items()}
    rows = {name: split.num_rows for name, split in splits.items()}

    _unset_length_options(tokenizer)
    file: Path | None = Path(cache_dir).expanduser() / "tokens" / f"{cache_key(raw, tokenizer)}.npz"
    assert file is not None
    tokens = _read(file, rows)
    from_cache = tokens is not None
    if tokens is None:
        tokens = {name: _tokenize(split, raw.text_columns, tokenizer, max_length) for name, split in splits.items()}
        _unset_length_options(tokenizer)
        if not _write(file, tokens):
            file = None
    sets = {name: TokenDataset(tokens[name], _labels(split), split["idx"][:]) for name, split in splits.items()}
    return Encoded(
        train=sets["train"],
        evals={suffix: sets[f"eval/{suffix}"] for suffix in raw.evals},
        tests={suffix: sets[f"test/{suffix}"] for suffix in raw.tests},
        cache_file=file,
        from_cache=from_cache,
    )


def cache_key(raw: RawData, tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 over everything that token ids depend on. Contents, not paths or names."""
    import tokenizers

    parts = {
        "format": _FORMAT,
        "data": raw.fingerprint,
        "text_columns": raw.text_columns,
        "max_length": min(raw.max_length, tokenizer.model_max_length),
        "tokenizer": _tokenizer_contents(tokenizer),
        "class": type(tokenizer).__name__,
        "inputs": sorted(tokenizer.model_input_names),
        "truncation_side": tokenizer.truncation_side,
        "tokenizers": tokenizers.__version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _unset_length_options(tokenizer: PreTrainedTokenizerBase) -> None:
    """Some checkpoints (MiniLM's) bring truncation and padding to 128 in tokenizer.json, and every call with
    `truncation=True` leaves its length behind, from where it would be saved with the model."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()


def _tokenizer_contents(tokenizer: PreTrainedTokenizerBase) -> str:
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


def _tokenize(
    split: Dataset, text_columns: tuple[str, ...], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Tokens:
    columns = [split[column][:] for column in text_columns]
    ids: list[NDArray[np.int32]] = []
    types: list[NDArray[np.int8]] = []
    lengths: list[int] = []
    for start in range(0, split.num_rows, _BATCH):
        batch = tokenizer(
            *(column[start : start + _BATCH] for column in columns),
            truncation=True,
            max_length=max_length,
            padding=False,
            return_attention_mask=False,
        )
        ids.extend(np.asarray(row, dtype=np.int32) for row in batch["input_ids"])
        types.extend(np.asarray(row, dtype=np.int8) for row in batch.get("token_type_ids", ()))
        lengths.extend(len(row) for row in batch["input_ids"])
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(np.concatenate(ids), np.concatenate(types) if types else None, starts)


def _labels(split: Dataset) -> list[int] | list[float] | None:
    return split["label"][:] if "label" in split.column_names else None


def _read(file: Path, rows: Mapping[str, int]) -> dict[str, Tokens] | None:
    """None where there is no whole entry. `rows` are the numbers of rows that it has to have."""
    try:
        with np.load(file, allow_pickle=False) as entry:  # a zip with a checksum for every array
            tokens = {
                name: Tokens(
                    ids=entry[f"{name}/ids"],
                    types=entry.get(f"{name}/types"),
                    starts=entry[f"{name}/starts"],
                )
                for name in rows
            }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("the cache entry %s cannot be read (%s); tokenizing again", file, error)
        return None
    for name, split in tokens.items():
        if len(split.starts) != rows[name] + 1 or split.starts[-1] != len(split.ids):
            log.warning("the cache entry %s does not fit the data; tokenizing again", file)
            return None
    return tokens


def _write(file: Path, tokens: Mapping[str, Tokens]) -> bool:
    arrays: dict[str, Any] = {}
    for name, split in tokens.items():
        arrays |= {f"{name}/ids": split.ids, f"{name}/starts": split.starts}
        if split.types is not None:
            arrays[f"{name}/types"] = split.types
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent, prefix=file.stem[:16], suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez(stream, **arrays)
            Path(part).replace(file)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        log.warning("tokens are not cached: %s cannot be written (%s)", file.parent, error.strerror or error)
        return False
    return True

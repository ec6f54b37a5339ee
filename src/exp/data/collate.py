"""Rows of unequal length to one batch of tensors, padded to the longest row of that batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


class Collator:
    """Equals `transformers.DataCollatorWithPadding`, without the detour over the tokenizer's own padding."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pad_to_multiple_of: int | None) -> None:
        self._fill = {
            "input_ids": tokenizer.pad_token_id,
            "token_type_ids": getattr(tokenizer, "pad_token_type_id", 0),
            "attention_mask": 0,
        }
        self._left = tokenizer.padding_side == "left"
        self._multiple = pad_to_multiple_of or 1

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """int64 tensors [rows, longest]; `labels` [rows] in int64, or in float32 for regression."""
        import torch

        longest = max(len(row["input_ids"]) for row in rows)
        longest = -(-longest // self._multiple) * self._multiple
        batch: dict[str, Tensor] = {}
        for key, fill in self._fill.items():
            if key not in rows[0]:
                continue
            padded = np.full((len(rows), longest), fill, dtype=np.int64)
            for number, row in enumerate(rows):
                values = row[key]
                if self._left:
                    padded[number, longest - len(values) :] = values
                else:
                    padded[number, : len(values)] = values
            batch[key] = torch.from_numpy(padded)
        if "labels" in rows[0]:
            kind = torch.float32 if isinstance(rows[0]["labels"], float) else torch.int64
            batch["labels"] = torch.tensor([row["labels"] for row in rows], dtype=kind)
        return batch

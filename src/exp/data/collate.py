"""Rows of unequal length to one batch of tensors, each field padded to its longest row in that batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100  # a label that counts for nothing: torch's ignore_index


class Collator:
    """For models that read tokens.

    `fills` are the values that pad each field, `target_dtype` is torch's name for the type of whole rows' labels.
    With the fields of a text it equals `transformers.DataCollatorWithPadding`, without the detour over the
    tokenizer's own padding.
    """

    def __init__(
        self, fills: Mapping[str, int], *, left: bool, pad_to_multiple_of: int | None, target_dtype: str | None = None
    ) -> None:
        self.fills = fills
        self.left = left
        self.multiple = pad_to_multiple_of or 1
        self.target_dtype = target_dtype

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """int64 tensors [rows, longest of the field]. `labels` likewise where they have a fill, else [rows, ...] of
        target_dtype."""
        import numpy as np
        import torch

        batch: dict[str, Tensor] = {}
        for key, fill in self.fills.items():
            if key not in rows[0]:
                continue
            longest = max(len(row[key]) for row in rows)  # labels may be another text than the input
            longest = -(-longest // self.multiple) * self.multiple
            padded = np.full((len(rows), longest), fill, dtype=np.int64)
            for number, row in enumerate(rows):
                values = row[key]
                if self.left:
                    padded[number, longest - len(values) :] = values
                else:
                    padded[number, : len(values)] = values
            batch[key] = torch.from_numpy(padded)
        if "labels" in rows[0] and "labels" not in self.fills:
            assert self.target_dtype is not None, "labels of whole rows need a type"
            batch["labels"] = torch.tensor([row["labels"] for row in rows], dtype=getattr(torch, self.target_dtype))
        return batch

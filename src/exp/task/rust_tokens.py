"""A tokenizer's batches one ahead: while one is turned into arrays, its Rust half is at work on the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

from exp.task.tokens import BATCH

Batch = dict[str, list[list[int]]]


def encoded_ahead(tokenizer: PreTrainedTokenizerBase, columns: Sequence[list[str]], max_length: int) -> Iterator[Batch]:
    """`input_ids`, and `token_type_ids` where the tokenizer gives them, of every BATCH rows in their order.

    transformers makes lists of every encoding's masks and offsets, which takes longer than the tokens. So its Rust half
    is called itself, set up as the first batch has left it, and only where it gives that batch as transformers does.
    """
    from exp.compat.transformers import rust_half

    def of_transformers(start: int) -> Batch:
        rows = (column[start : start + BATCH] for column in columns)
        whole = tokenizer(*rows, truncation=True, max_length=max_length, padding=False, return_attention_mask=False)
        return {name: whole[name] for name in ("input_ids", "token_type_ids") if name in whole}

    starts = range(0, len(columns[0]), BATCH)
    if not starts:
        return
    first = of_transformers(0)
    backend = rust_half(tokenizer)

    def of_rust(start: int) -> Batch:
        rows = [column[start : start + BATCH] for column in columns]
        made = backend.encode_batch_fast(list(zip(*rows, strict=True)) if len(rows) > 1 else rows[0])
        found = {"input_ids": [one.ids for one in made]}
        if "token_type_ids" in first:
            found["token_type_ids"] = [one.type_ids for one in made]
        return found

    if len(starts) == 1 or backend is None or of_rust(0) != first:
        yield first
        yield from map(of_transformers, starts[1:])
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(of_rust, starts[1])
        yield first
        for start in starts[2:]:
            now, coming = coming, pool.submit(of_rust, start)
            yield now.result()
        yield coming.result()

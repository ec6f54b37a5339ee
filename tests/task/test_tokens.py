"""What tasks on text share."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from exp.errors import ExpError
from exp.task import rust_tokens, tokens
from exp.task.tokens import longest


def tokenizer(limit: int) -> Any:
    return SimpleNamespace(model_max_length=limit, num_special_tokens_to_add=lambda pair: 3 if pair else 2)


def test_the_tokenizers_own_limit_is_kept_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert longest(tokenizer(512), 64, pair=False) == 64 and caplog.text == ""
        assert longest(tokenizer(16), 64, pair=False) == 16
    assert "task.max_length=64, but the tokenizer's own limit is 16 tokens, and longer texts are cut" in caplog.text
    with pytest.raises(ExpError, match=r"task\.max_length=3: no room for text"):
        longest(tokenizer(16), 3, pair=True)


@pytest.mark.parametrize("columns", [1, 2])
def test_batches_ahead_hold_what_the_tokenizer_gives(columns, minilm, monkeypatch):
    """Its Rust half is asked itself, unless a class of its own has a hand in it; rows are cut, in their order."""
    from transformers import AutoTokenizer

    known = AutoTokenizer.from_pretrained(minilm)
    texts = [" ".join(["many", "words", "unbelievably"][: 1 + row % 3] * (row % 5)) for row in range(23)]
    given = [texts, texts[::-1]][:columns]
    expected = known(*given, truncation=True, max_length=12)
    monkeypatch.setattr(tokens, "BATCH", 5)
    monkeypatch.setattr(rust_tokens, "BATCH", 5)
    seen = []
    encode = type(known)._encode_plus

    def counted(self, *args, **options):
        seen.append(1)
        return encode(self, *args, **options)

    made = tokens.tokenized(known, given, 12)
    monkeypatch.setattr(type(known), "_encode_plus", counted)
    slowly = tokens.tokenized(known, given, 12)
    assert len(seen) == 5
    for fields in (made, slowly):
        assert list(fields) == ["input_ids", "token_type_ids"]
        for name, field in fields.items():
            assert [row.tolist() for row in field] == expected[name]
    assert known.backend_tokenizer.truncation is None

"""What tasks on text share."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from exp.errors import ExpError
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

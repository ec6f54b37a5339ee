"""How an entry ends, and what a terminal can show."""

from __future__ import annotations

import io
import os
import sys

import pytest

from exp.run.exits import PIPE_CLOSED, plain_exits


def test_a_terminal_without_utf8_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with plain_exits():
        print("0.84 ± 0.01 – Δ ↑ ü")
    assert raw.getvalue() == b"0.84 +- 0.01 - d ^ ?\n"


def test_a_closed_pipe_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writer, "w"))
    with pytest.raises(SystemExit) as ending, plain_exits():
        print("a line that nobody reads")
    assert ending.value.code == PIPE_CLOSED
    sys.stdout.close()  # flushed into nothing

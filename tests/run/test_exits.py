"""How an entry ends, and what a terminal can show."""

from __future__ import annotations

import io
import logging
import os
import sys
from pathlib import Path

import pytest

from exp.errors import ExpError, nearest
from exp.run.exits import PIPE_CLOSED, plain_exits
from exp.run.logs import logged_to


def test_a_terminal_without_utf8_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with plain_exits():
        print("0.84 ± 0.01 – Δ ↑ ü")
    assert raw.getvalue() == b"0.84 +- 0.01 - d ^ ?\n"


def test_an_error_shows_no_sign_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), plain_exits():
        raise ExpError("there is no '\x1b]0;evil\x07'" + nearest("x", []))
    assert capsys.readouterr().err == "exp: there is no '\ufffd]0;evil\ufffd'\n"


def test_log_lines_show_none_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logged_to(tmp_path / "train.log"):
        logging.getLogger("exp").info("labels: %s", "a\x1b]0;evil\x07\tb")
    assert capsys.readouterr().err == "labels: a\ufffd]0;evil\ufffd\tb\n"
    assert "\x1b" not in (tmp_path / "train.log").read_text()


def test_a_closed_pipe_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writer, "w"))
    with pytest.raises(SystemExit) as ending, plain_exits():
        print("a line that nobody reads")
    assert ending.value.code == PIPE_CLOSED
    sys.stdout.close()  # flushed into nothing


def test_a_home_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    """As in a container whose user has neither HOME nor a line in /etc/passwd."""
    with pytest.raises(SystemExit) as ending, plain_exits():
        Path("~nosuchuser/x").expanduser()
    assert ending.value.code == 2
    assert "set HOME, or write the whole path" in capsys.readouterr().err

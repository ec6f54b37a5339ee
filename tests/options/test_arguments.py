"""The words of the commands that compose no config."""

from __future__ import annotations

from pathlib import Path

import pytest

from exp.errors import ExpError
from exp.options import arguments
from exp.options.arguments import Given, Grammar, Option

GRAMMAR = Grammar(
    "what it does",
    {
        "where": Option("a filter", many=True),
        "precision": Option("digits", arguments.whole(0), 4),
        "picture": Option("a picture", arguments.switch, True),
        "log_wandb": Option("a project"),
        "cells": Option("cells", arguments.listed),
        "over.": Option("by name", arguments.listed),
        "html": Option("a file", arguments.file),
    },
    bare="RUN",
    least=1,
    key="run",
)


def parsed(*words: str) -> Given:
    return arguments.parse(words, GRAMMAR)


def test_bare_words_and_options() -> None:
    given = parsed("a", "where=lr<1e-4", "b/c=1", "where=seed!=3", "over.RTE=[y=2,z=[1,2]]", "cells=[a/*,b/c]")
    assert given.bare == ["a", "b/c=1"]  # a sweep's folder may be named so
    assert given["where"] == ["lr<1e-4", "seed!=3"] and given["over.RTE"] == ["y=2", "z=[1,2]"]
    assert given["cells"] == ["a/*", "b/c"]
    assert (given["precision"], given["picture"], given["html"]) == (4, True, None)
    assert "precision" not in given


@pytest.mark.parametrize(
    "words",
    [
        ["a", "precision=2", "picture=false", "log_wandb=p", "html=x.html"],
        ["--precision", "2", "a", "--no-picture", "--log-wandb=p", "--html", "x.html"],
        ["run=a", "--precision=2", "--picture=false", "--log_wandb", "p", "html='x.html'"],
    ],
)
def test_flags_are_another_spelling(words: list[str]) -> None:
    given = parsed(*words)
    assert given.bare == ["a"]
    assert dict(given) == {"precision": 2, "picture": False, "log_wandb": "p", "html": Path("x.html")}


def test_a_folder_that_is_there_is_no_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lr=1e-4").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parsed("lr=1e-4").bare == ["lr=1e-4"]
    with pytest.raises(ExpError, match="lr: no such key"):
        parsed("lr=1e-5")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "precison=2"], "precison: no such key; did you mean 'precision'"),
        (["a", "--precison", "2"], "no such key; did you mean 'precision'"),
        (["a", "-p"], "-p: no such flag"),
        (["a", "precision=-1"], "precision=-1: it takes a whole number from 0 to 100000"),
        (["a", "precision=two"], "precision=two: it takes a whole number from 0 to 100000"),
        (["a", "picture=1"], "picture=1: it takes true or false"),
        (["a", "html="], "html= is empty; it is a file"),
        (["a", "html=" + "x" * 300], "a name in it has 255 bytes at most"),
        (["a", "html"], None),
        (["a", "--html"], "--html is given no value"),
        (["a", "html=x", "html=y"], "html is given twice: x and y"),
        ([], "RUN is not given"),
        ([""], "a RUN is empty"),
        (["~nosuchuser"], "there is no such user"),
        (["x" * 300], "has 255 bytes at most"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], message: str | None) -> None:
    if message is None:
        assert parsed(*words).bare == words
        return
    with pytest.raises(ExpError) as error:
        parsed(*words)
    assert message in str(error.value) and len(str(error.value)) < 250


def test_bare_words_can_be_counted() -> None:
    with pytest.raises(ExpError, match="'b' is one RUN too many; give 1"):
        arguments.parse(["a", "b"], Grammar("", {}, "RUN", 1, 1))
    with pytest.raises(ExpError, match="'a' is no key=value"):
        arguments.parse(["a"], Grammar(""))


def test_help_lists_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        parsed("a", "--help")
    out = capsys.readouterr().out
    assert ending.value.code == 0 and out.startswith("what it does") and "precision  digits" in out

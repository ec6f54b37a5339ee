"""Values in the grammar of Hydra's overrides."""

from __future__ import annotations

import re
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

CHOICE = re.compile(r"([^=]+)=\s*choice\((.*)\)\s*")


def quoted(path: Path | str) -> str:
    """A path or address as Hydra's override grammar takes it, whatever characters it has."""
    return QuotedString(literal(path), Quote.single).with_quotes()


def word(key: str, path: Path | str) -> str:
    """`key=path`, quoted for the grammar only where the path needs it."""
    if re.fullmatch(r"[\w./-]+", str(path), re.ASCII):
        return f"{key}={path}"
    # In double quotes a shell's own quoting stays readable.
    return f"{key}={quoted(path)}" if set('"\\') & set(literal(path)) else f'{key}="{path}"'


def literal(path: Path | str) -> str:
    """The path as a config value in which nothing is interpolated."""
    return str(path).replace("${", "\\${")


def null_choice(word: str) -> str:
    """`key=choice(null,1)` as `key=null,1`, which is the same: Hydra's functions take no null."""
    found = CHOICE.fullmatch(word)
    return f"{found[1]}={found[2]}" if found and re.search(r"(^|,)\s*null\s*(,|$)", found[2]) else word

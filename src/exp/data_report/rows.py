"""What the rows of one split are like, before any tokenizer."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exp.data import leakage
from exp.data.examples import Examples

NAMED = 3  # rows that a finding names
LONGEST = 70  # characters of a text in a finding
REPLACED = "\ufffd"
# UTF-8 that was read as Latin-1 or cp1252: Ã©, â€™.
MOJIBAKE = ("Ã©", "Ã¨", "Ã¤", "Ã¶", "Ã¼", "â€", "Â\u00a0", "ï¿½")


@dataclass(frozen=True)
class Finding:
    """Something odd about `count` rows; `rows` are the first of them, with a text."""

    what: str
    count: int
    rows: tuple[tuple[Any, str], ...] = ()  # id, text


@dataclass(frozen=True)
class SplitReport:
    """`labels`: name -> rows; None: the task has no classes, or the split no labels. `several`: a row may have more
    than one."""

    name: str
    rows: int
    labelled: bool
    labels: dict[str, int] | None
    several: bool
    findings: tuple[Finding, ...]


def look(name: str, split: Examples, names: Sequence[str] | None) -> SplitReport:
    """`names` are the classes by index."""
    labels = counts(split, names)
    findings = [*_empty(split), *_repeated(split, names), *_signs(split)]
    if labels is not None and name == "train":
        once = [label for label, count in labels.items() if count == 1]
        if once:
            findings.append(Finding(f"labels that occur once: {', '.join(once[:10])}", len(once)))
        never = [label for label, count in labels.items() if not count]
        if never:
            findings.append(Finding(f"labels that never occur: {', '.join(never[:10])}", len(never)))
    first = split.targets[0] if split.targets else None
    several = names is not None and isinstance(first, list | tuple) and _is_hot(first, names)
    return SplitReport(name, len(split), split.targets is not None, labels, several, tuple(findings))


def counts(split: Examples, names: Sequence[str] | None) -> dict[str, int] | None:
    """Rows, or words with a tag each, by label."""
    if names is None or split.targets is None:
        return None
    found: Counter[int] = Counter()
    for target in split.targets:
        if isinstance(target, list | tuple) and _is_hot(target, names):
            found.update(at for at, hot in enumerate(target) if hot)
        elif isinstance(target, list | tuple):
            found.update(target)
        else:
            found[target] += 1
    if not all(isinstance(at, int) and 0 <= at < len(names) for at in found):
        return None
    return {name: found[at] for at, name in enumerate(names)}


def _is_hot(target: Sequence[Any], names: Sequence[str]) -> bool:
    """Several labels a row stand as 0 and 1 for each of them; a tag a word is an index. Floats tell them apart."""
    return len(target) == len(names) and all(isinstance(one, float) for one in target)


def text_of(split: Examples, row: int) -> str:
    cells = [cells[row] for cells in split.inputs.values()]
    return " | ".join(" ".join(map(str, cell)) if isinstance(cell, list) else str(cell) for cell in cells)


def named(split: Examples, rows: Sequence[int]) -> tuple[tuple[Any, str], ...]:
    return tuple((split.ids[row], _short(text_of(split, row))) for row in rows[:NAMED])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _texts(split: Examples) -> Iterator[tuple[int, str]]:
    for cells in split.inputs.values():
        for row, cell in enumerate(cells):
            if isinstance(cell, str):
                yield row, cell
            elif isinstance(cell, list):
                yield row, " ".join(one for one in cell if isinstance(one, str))


def _empty(split: Examples) -> list[Finding]:
    found = []
    for name, cells in split.inputs.items():
        rows = [row for row, cell in enumerate(cells) if isinstance(cell, str | list) and not _filled(cell)]
        if rows:
            found.append(Finding(f"rows whose {name} is empty", len(rows), named(split, rows)))
    return found


def _filled(cell: str | list[Any]) -> bool:
    return bool(cell.strip()) if isinstance(cell, str) else bool(cell)


def _repeated(split: Examples, names: Sequence[str] | None) -> list[Finding]:
    first: dict[Any, int] = {}
    again, conflicting = [], []
    for row, key in enumerate(leakage.keys(split)):
        at = first.setdefault(key, row)
        if at != row:
            again.append(row)
            if split.targets is not None and names is not None and split.targets[at] != split.targets[row]:
                conflicting.append(row)
    found = []
    if again:
        found.append(Finding("rows whose text has occurred before", len(again), named(split, again)))
    if conflicting:
        found.append(Finding("of them with another label than before", len(conflicting), named(split, conflicting)))
    return found


def _signs(split: Examples) -> list[Finding]:
    """Signs that tell of a file read in the wrong encoding, or that nobody sees."""
    texts = [(row, text) for row, text in _texts(split) if not (text.isascii() and text.isprintable())]
    there = set().union(*(text for _, text in texts))  # few signs, so what they are is asked once
    controls = {sign for sign in there if unicodedata.category(sign) == "Cc" and sign not in "\t\n\r"}
    # The joiner is a part of many emoji.
    invisible = {sign for sign in there if unicodedata.category(sign) == "Cf" and sign != "\u200d"}
    kinds: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("rows with U+FFFD, where a character was lost", lambda text: REPLACED in text),
        ("rows that look like UTF-8 read as cp1252 (â€™, Ã©)", lambda text: any(one in text for one in MOJIBAKE)),
        ("rows with control characters", lambda text: not controls.isdisjoint(text)),
        ("rows with invisible signs (zero-width, byte-order mark, soft hyphen)", lambda t: not invisible.isdisjoint(t)),
    )
    found = []
    for what, odd in kinds:
        rows = sorted({row for row, text in texts if odd(text)})
        if rows:
            found.append(Finding(what, len(rows), named(split, rows)))
    return found

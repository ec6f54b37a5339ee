"""Which rows of an evaluation set a model has seen in training: the same text, with the same label or another one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exp.data.examples import Examples, TaskData
from exp.errors import ExpError

NO_WORD = re.compile(r"[\W_]+")
NO_ASCII_WORD = bytes(sign for sign in range(128) if not chr(sign).isalnum())
NEAR = 0.8  # Jaccard similarity of word 3-grams from which two texts are near duplicates (Lee et al. 2022 take 0.8)
SHINGLE = 3  # words
PERMUTATIONS = 64
NEAR_ROWS = 20_000  # of each split that near duplicates are looked for in


@dataclass(frozen=True)
class Leaks:
    """Of one split, against the train rows. `rows` are its row numbers whose text stands there."""

    n: int
    rows: tuple[int, ...]
    same_label: int  # of `rows`; -1: the split has no labels

    def facts(self) -> dict[str, int | None]:
        """For run.json."""
        label = None if self.same_label < 0 else self.same_label
        return {"rows": self.n, "in_train": len(self.rows), "with_the_same_label": label}


def exact(data: TaskData) -> dict[str, Leaks]:
    """Every evaluation and test split by name; a row's text is all its inputs. 400,000 rows take less than a second."""
    return _against_train(data, _same)


def normalised(data: TaskData) -> dict[str, Leaks]:
    """The same where only letters and digits count: not case, accents' spelling (NFKC), punctuation or spaces."""
    return _against_train(data, _normal)


def columns(data: TaskData) -> dict[str, dict[str, tuple[int, int]]]:
    """Split -> input column -> how many rows, and how many different values, stand in that column of train. Empty for
    data with one input: two questions about one paragraph leak, though no row is the same."""
    if len(data.train.inputs) < 2:
        return {}
    train = {name: set(map(_same, cells)) for name, cells in data.train.inputs.items()}
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for split_name, split in data.splits().items():
        if split_name != "train":
            shared = {
                name: [mark for mark in map(_same, cells) if mark in train[name]]
                for name, cells in split.inputs.items()
            }
            found[split_name] = {name: (len(marks), len(set(marks))) for name, marks in shared.items()}
    return found


def _against_train(data: TaskData, form: Any) -> dict[str, Leaks]:
    train: dict[Any, set[str] | str] = {}
    for key, label in zip(keys(data.train, form), _labels(data.train), strict=True):
        held = train.get(key)
        if held is None:
            train[key] = label
        elif held != label:  # a text with several labels
            train[key] = (held if isinstance(held, set) else {held}) | {label}
    found = {}
    for name, split in data.splits().items():
        if name == "train":
            continue
        marks = keys(split, form)
        rows = [row for row, key in enumerate(marks) if key in train]
        same = -1
        if split.targets is not None:
            labels = _labels(split)
            same = sum(_among(labels[row], train[marks[row]]) for row in rows)
        found[name] = Leaks(len(split), tuple(rows), same)
    return found


def _among(label: str, held: set[str] | str) -> bool:
    return label in held if isinstance(held, set) else label == held


def keys(split: Examples, form: Any = None) -> list[Any]:
    """One a row, equal where all inputs are; `form` is applied to each cell."""
    make = form or _same
    columns = [_made(cells, make) for cells in split.inputs.values()]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def _made(cells: Sequence[Any], make: Any) -> list[Any]:
    texts = make is _same and set(map(type, cells)) == {str}
    return list(cells) if texts else [make(cell) for cell in cells]


def _same(cell: Any) -> Any:
    if isinstance(cell, str | int | float | bytes) or cell is None:
        return cell
    return repr(cell)


def _normal(cell: Any) -> Any:
    text = cell if isinstance(cell, str) else " ".join(map(str, cell)) if isinstance(cell, list) else repr(cell)
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if plain.isascii():  # four times as fast
        return plain.lower().encode().translate(None, NO_ASCII_WORD).decode() or text.strip()
    return NO_WORD.sub("", plain.casefold()) or text.strip()


def _labels(split: Examples) -> list[str]:
    return [""] * len(split) if split.targets is None else [repr(target) for target in split.targets]


def line(found: Mapping[str, Leaks]) -> str:
    """`leakage: 12 of 408 eval rows stand in train, 10 with the same label; none of 1725 test rows`"""
    told = []
    for name, leaks in found.items():
        if not leaks.rows:
            told.append(f"none of {leaks.n} {name} rows")
            continue
        label = "" if leaks.same_label < 0 else f", {leaks.same_label} with the same label"
        told.append(f"{len(leaks.rows)} of {leaks.n} {name} rows stand in train{label}")
    return f"leakage: {'; '.join(told)}" if told else ""


# ---- near duplicates ----


def near(data: TaskData, threshold: float = NEAR) -> dict[str, list[tuple[int, int, float]]]:
    """Pairs of a split's row and the train row most like it, with their similarity, that are not equal as `normalised`
    has it. By MinHash; each candidate's similarity is then computed.

    Looks at NEAR_ROWS rows of each split, the first ones. Raises ExpError where datasketch is missing.
    """
    minhash, index_of = _datasketch()
    train = [_shingles(row) for row in _texts(data.train)]
    index = index_of(threshold=threshold, num_perm=PERMUTATIONS)
    for number, marks in zip(range(len(train)), minhash(train), strict=True):
        if train[number]:
            index.insert(number, marks)
    normal = keys(data.train, _normal)
    found: dict[str, list[tuple[int, int, float]]] = {}
    for name, split in data.splits().items():
        if name == "train":
            continue
        pairs = []
        shingles = [_shingles(row) for row in _texts(split)]
        own = keys(split, _normal)
        for number, marks in zip(range(len(shingles)), minhash(shingles), strict=True):
            others = (at for at in index.query(marks) if own[number] != normal[at])
            like = [(_jaccard(shingles[number], train[at]), at) for at in others]
            best = max(like, default=(0.0, 0))
            if best[0] >= threshold:
                pairs.append((number, best[1], best[0]))
        found[name] = pairs
    return found


def _texts(split: Examples) -> Iterable[str]:
    columns = list(split.inputs.values())
    for row in range(min(len(split), NEAR_ROWS)):
        cells = (column[row] for column in columns)
        yield " ".join(cell if isinstance(cell, str) else " ".join(map(str, cell)) for cell in cells if cell)


def _shingles(text: str) -> frozenset[str]:
    words = text.casefold().split()
    return frozenset(" ".join(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1)) if words)


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / len(first | second) if first and second else 0.0


def _datasketch() -> tuple[Any, Any]:
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise ExpError("near duplicates need datasketch, which is not installed: pip install 'exp[evidence]'") from None

    def minhash(rows: Sequence[frozenset[str]]) -> Any:
        return MinHash.generator(([one.encode() for one in row] for row in rows), num_perm=PERMUTATIONS)

    return minhash, MinHashLSH

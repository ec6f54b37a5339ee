"""From examples to splits: a validation share, fixed samples, the fingerprint. Every task's `read` ends here."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from exp.data.examples import Examples, TaskData
from exp.data.rows import shortened
from exp.data.stream import ExampleStream
from exp.errors import ExpError
from exp.run.said import counted

if TYPE_CHECKING:
    from exp.data.base import Fold, RawData
    from exp.data.rows import Rows


log = logging.getLogger("exp")


@dataclass(frozen=True)
class Splits:
    """The examples of a source's splits; evaluation and test splits by suffix."""

    train: Examples
    evals: Mapping[str, Examples]
    tests: Mapping[str, Examples]
    more: Callable[[Rows], Examples] | None = None  # further train rows, of a task that can be streamed


def read_splits(
    raw: RawData,
    examples: Callable[..., Examples],
    kept: Callable[[Rows, bool], tuple[Rows, bool]] = lambda rows, labelled: (rows, labelled),
) -> Splits:
    """Args:
    raw: the source's splits. Train and evaluation rows have labels, test rows may.
    examples: called as `examples(rows, labelled=...)`.
    kept: leaves out rows, and says of those that stay whether they have labels.
    """

    def split(rows: Rows, labelled: bool) -> Examples:
        rows, labelled = kept(rows, labelled)
        return replace(examples(rows, labelled=labelled), ids=ids_of(rows, raw.id_column))

    return Splits(
        train=split(raw.train, True),
        evals={suffix: split(rows, True) for suffix, rows in raw.evals.items()},
        tests={suffix: split(rows, False) for suffix, rows in raw.tests.items()},
        more=partial(examples, labelled=True),
    )


def assemble(
    raw: RawData,
    splits: Splits,
    *,
    metrics: Sequence[str],
    max_length: int,
    labels: Sequence[str] | None = None,
    strata: Sequence[Any] | None = None,
    groups: Sequence[Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> TaskData:
    """Holds out a validation share where the source has none, then takes the samples that the data option asks for.

    Args:
        raw: the rows that the examples were read from; its fold, where it has one, is the evaluation set.
        splits: all of their examples.
        metrics: names, the first is the primary one.
        max_length: tokens of the longest input.
        labels: names by index, or None.
        strata: one value a train row; a held-out share is the same of each. None: rows are alike.
        groups: one value a train row; rows with the same one are held out together. None: rows stand alone.
        facts: what else readers of the run need.

    Raises:
        ExpError: a split is left without rows.
    """
    train, evals, tests = splits.train, splits.evals, splits.tests
    facts = dict(facts or {})
    if raw.fold is not None:
        kept, held_out = cut_fold(strata, groups, len(train), raw.fold)
        train, evals = train.take(kept), {"": train.take(held_out)}
        facts["fold"] = asdict(raw.fold)
        if raw.evals:
            log.info(
                "evaluated on fold %d of the training rows; the source's own evaluation rows are not used",
                raw.fold.number,
            )
    elif raw.hold_out is not None:
        share, seed = raw.hold_out.share, raw.hold_out.seed
        if groups is None:
            kept, held_out = carve(strata, len(train), share, seed)
        else:
            kept, held_out = carve_groups(groups, share, seed)
        train, evals = train.take(kept), {"": train.take(held_out)}
    stream = None
    if raw.stream is not None and splits.more is not None:
        stream = ExampleStream(raw.stream, splits.more, raw.whole)
        facts["stream"] = dict(raw.stream.facts)
    train = train.take(sample(train.ids, raw.max_train_samples))
    evals = {suffix: split.take(sample(split.ids, raw.max_eval_samples)) for suffix, split in evals.items()}
    tests = {suffix: split.take(sample(split.ids, raw.max_eval_samples)) for suffix, split in tests.items()}
    data = TaskData(
        name=raw.name,
        train=train,
        evals=evals,
        tests=tests,
        labels=None if labels is None else tuple(labels),
        metrics=tuple(metrics),
        max_length=max_length,
        fingerprint="",
        facts=facts,
        stream=stream,
    )
    for name, split in data.splits().items():
        if not len(split):
            raise ExpError(f"data {raw.name!r}: the {name} split has no rows")
    return with_fingerprint(data)


def warn_of_blanks(data: TaskData) -> None:
    """Says of each split how many of its rows hold no text at all; for tasks whose rows are texts to be judged."""
    for name, split in data.splits().items():
        first, *others = split.inputs.values()
        blank = [row for row, text in enumerate(first) if not text.strip()]
        blank = [row for row in blank if not any(cells[row].strip() for cells in others)]
        if blank:
            log.warning("%s split: no text in %s of %s", name, f"{len(blank):,}", counted(len(split), "row"))


def with_fingerprint(data: TaskData) -> TaskData:
    """Of a stream the first rows count, and what says where the others come from."""
    found = fingerprint(data.splits(), data.labels)
    if data.stream is not None:
        told = json.dumps([found, data.stream.stream.facts], sort_keys=True)
        found = hashlib.sha256(told.encode()).hexdigest()
    return replace(data, fingerprint=found)


def sample(ids: Sequence[int] | Sequence[str], count: int | None) -> list[int]:
    """Row numbers of a fixed sample of `count` rows, in the source's order.

    Rows are ranked by a hash of their id and the first `count` are kept. So the sample does not depend on a
    seed, a file sorted by label still gives every class, and a larger sample contains every smaller one.
    """
    if count is None or count >= len(ids):
        return list(range(len(ids)))
    ranked = sorted(range(len(ids)), key=lambda row: (_digest(str(ids[row])), row))
    return sorted(ranked[:count])


def carve(strata: Sequence[Any] | None, rows: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Row numbers for (train, validation), each in the source's order; the same on every machine.

    With `strata` every value gives the same share, and a value with a single row stays in train. Raises ExpError if
    nothing would be left for one of the two.
    """
    groups: dict[Any, list[int]] = {}
    for row in range(rows):
        groups.setdefault(0 if strata is None else strata[row], []).append(row)
    held_out: set[int] = set()
    for members in groups.values():
        ranked = sorted(members, key=lambda row: (_digest(f"{seed}:{row}"), row))
        held_out.update(ranked[: min(round(share * len(members)), len(members) - 1)])
    if not held_out:
        why = (
            f" (the {len(groups)} labels have {max(map(len, groups.values()))} rows at most)" if len(groups) > 1 else ""
        )
        raise ExpError(
            f"data.validation_share={share} of {rows} rows leaves no row to validate on{why}: raise it, give a "
            f"validation file, or look whether the label column holds labels"
        )
    return [row for row in range(rows) if row not in held_out], sorted(held_out)


def carve_groups(groups: Sequence[Any], share: float, seed: int) -> tuple[list[int], list[int]]:
    """As `carve`, with rows of the same group on the same side: at most `share` of the rows, as near as whole groups,
    drawn by the seed, come. Raises ExpError if no group is that small."""
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(str(group), []).append(row)
    room = share * len(groups)
    held_out: set[int] = set()
    for name in sorted(members, key=lambda name: (_digest(f"{seed}:{name}"), name)):
        if len(held_out) + len(members[name]) <= room:
            held_out.update(members[name])
    if not held_out:
        raise ExpError(
            f"data.validation_share={share} of {len(groups)} rows leaves no row to validate on: the smallest of the "
            f"{len(members)} texts that rows share has {min(map(len, members.values()))} rows; raise it, or give a "
            f"validation file"
        )
    return [row for row in range(len(groups)) if row not in held_out], sorted(held_out)


def cut_fold(
    strata: Sequence[Any] | None, groups: Sequence[Any] | None, rows: int, fold: Fold
) -> tuple[list[int], list[int]]:
    """Row numbers for (train, validation), each in the source's order; the folds of a repetition hold every row once.

    Args:
        strata: rows of one value are dealt evenly to the folds. None: rows are alike.
        groups: rows of one value are in the same fold, the largest groups dealt first. None: rows stand alone.

    Raises:
        ExpError: there are fewer rows, or groups, than folds.
    """
    members: dict[str, list[int]] = {}
    for row in range(rows):
        members.setdefault(str(groups[row] if groups is not None else row), []).append(row)
    if len(members) < fold.count:
        what = "rows" if groups is None else "texts that rows share"
        raise ExpError(f"folds={fold.count} is more than the {len(members)} {what} of the training split; lower it")
    drawn = sorted(members, key=lambda name: (_digest(f"{fold.repetition}:{name}"), name))
    if groups is None and strata is not None:
        place = {value: at for at, value in enumerate(dict.fromkeys(map(str, strata)))}
        drawn.sort(key=lambda name: place[str(strata[members[name][0]])])  # stable: drawn within each value
    if groups is not None:
        drawn.sort(key=lambda name: -len(members[name]))
    sizes = [0] * fold.count
    held_out: list[int] = []
    for name in drawn:
        smallest = sizes.index(min(sizes))
        sizes[smallest] += len(members[name])
        held_out += members[name] if smallest == fold.number else []
    out = set(held_out)
    return [row for row in range(rows) if row not in out], sorted(out)


def fingerprint(splits: Mapping[str, Examples], labels: Sequence[str] | None) -> str:
    """sha256 over inputs, targets and label names. Ids stay out: they do not change what is learned, and the
    Hub numbers MRPC's rows differently from GLUE's own files. So do column names."""
    total = hashlib.sha256()

    def add(values: Iterable[object]) -> None:
        # Lengths first, so that moving a word from one cell to the next changes the sum.
        texts = list(map(str, values))
        whole = "".join(texts)
        # Of ASCII a character is a byte, so no text is encoded by itself.
        coded: Iterable[Any] = texts if whole.isascii() else (text.encode("utf-8", "surrogatepass") for text in texts)
        total.update(f"{len(texts)}:{','.join(map(str, map(len, coded)))};".encode())
        total.update(whole.encode("utf-8", "surrogatepass"))

    add(labels or ())
    for key in sorted(splits):
        split = splits[key]
        add([key, len(split.inputs), split.targets is not None])
        for column in split.inputs.values():
            add(column)
        add(split.targets or ())
    return total.hexdigest()


def ids_of(rows: Rows, column: str | None) -> list[int] | list[str]:
    """Row numbers where there is no column; else integers where all are, else texts.

    Raises ExpError for an id that is missing or occurs twice.
    """
    if column is None:
        return list(range(len(rows)))
    cells = rows.column(column)
    seen: dict[str, int] = {}
    for row, cell in enumerate(cells):
        if cell is None or cell == "":
            raise ExpError(f"{rows.where(row)}: no id in column {column!r}")
        if str(cell) in seen:
            raise ExpError(f"{rows.where(row)}: id {shortened(cell)} stands in {rows.where(seen[str(cell)])} too")
        seen[str(cell)] = row
    if all(isinstance(cell, int) and not isinstance(cell, bool) and abs(cell) < 2**63 for cell in cells):
        return cells
    return [str(cell) for cell in cells]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

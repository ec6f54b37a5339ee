"""Words and their tags, read off rows: lists of one length, and entities that begin with B- where the tags are IOB2."""

from __future__ import annotations

from collections.abc import Sequence

from exp.data.rows import Rows, shortened
from exp.errors import ExpError
from exp.task import labels

OUTSIDE = "O"


def words_of(rows: Rows, column: str, row: int) -> list[str]:
    cell = rows.column(column)[row]
    if not isinstance(cell, list):
        raise ExpError(f"{rows.where(row)}: column {column!r} is {shortened(cell)}, no list of words")
    if not cell:
        raise ExpError(f"{rows.where(row)}: column {column!r} holds a sentence without words")
    for place, word in enumerate(cell):
        if not isinstance(word, str):
            raise ExpError(f"{rows.where(row)}: word {place + 1} in column {column!r} is {shortened(word)}, not a text")
    return cell


def tags_of(rows: Rows, words: str, tags: str, names: Sequence[str]) -> list[list[str]]:
    """`names`: where they were given, rows may hold indices in their place."""
    found = []
    index = labels.index_of(names, by_index=True)
    for row, cell in enumerate(rows.column(tags)):
        if not isinstance(cell, list):
            raise ExpError(f"{rows.where(row)}: column {tags!r} is {shortened(cell)}, no list of tags")
        sentence = words_of(rows, words, row)
        if len(cell) != len(sentence):
            raise ExpError(
                f"{rows.where(row)}: {len(cell)} tags in column {tags!r} for {len(sentence)} words in column {words!r}"
            )
        found.append([names[index[tag]] if tag in index else tag for tag in labels.names_in(cell, rows, tags, row)])
    return found


def scheme_of(found: Sequence[Sequence[str]]) -> str:
    """IOB2 where a tag begins or goes on with an entity and the others are O, or would be but for slips.

    A slip must not turn all tags into plain ones: entities would not be scored any more, without a word.
    """
    seen = {tag for row in found for tag in row}
    entities = {tag for tag in seen if tag[:2] in ("B-", "I-") and len(tag) > 2}
    return "iob2" if entities and (OUTSIDE in seen or entities == seen) else "plain"


def tag_names(found: Sequence[Sequence[str]], scheme: str) -> list[str]:
    """O first, then B- and I- of each type; I- also where training has none, so that it can be predicted."""
    seen = {tag for row in found for tag in row}
    if scheme == "plain":
        return sorted(seen)
    types = sorted({tag[2:] for tag in seen if tag != OUTSIDE})
    return [OUTSIDE, *(f"{kind}-{name}" for name in types for kind in "BI")]


def check_iob2(tags: Sequence[str], rows: Rows, column: str, row: int) -> None:
    before = OUTSIDE
    for place, tag in enumerate(tags):
        where = f"{rows.where(row)}: tag {tag!r} of word {place + 1} in column {column!r}"
        if tag != OUTSIDE and (tag[:2] not in ("B-", "I-") or len(tag) < 3):
            raise ExpError(f"{where} is no IOB2 tag (O, B-type, I-type); for other tags set task.scheme=plain")
        if tag.startswith("I-") and before[2:] != tag[2:]:
            raise ExpError(
                f"{where} goes on with an entity that no B-{tag[2:]} began; mend the tags, or set task.scheme=plain to "
                f"score words alone"
            )
        before = tag


def continuations(names: Sequence[str]) -> list[int]:
    """For each tag's index that of the tag which goes on with it: B-X is followed by I-X."""
    index = {name: number for number, name in enumerate(names)}
    return [
        index.get(f"I-{name[2:]}", number) if name.startswith("B-") else number for number, name in enumerate(names)
    ]

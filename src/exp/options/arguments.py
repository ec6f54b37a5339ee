"""The words of every command that composes no config: bare words name run folders, options are key=value.

    exp compare outputs multirun where='optimizer.lr<1e-4' html=report.html

`--key value` and `--key=value` are read as key=value, `--key` of a switch as key=true and `--no-key` as key=false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.errors import ExpError, nearest

DAY = 86_400  # seconds
LONGEST_NAME = 255  # bytes of one part of a path, on every common file system


def switch(text: str) -> bool:
    """`true` or `false`."""
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def whole(least: int, most: int = 100_000) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return read


def seconds(text: str) -> float:
    """A number above 0, at most a day."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= DAY:
        raise ValueError(f"a number above 0 and at most {DAY}")
    return number


def one_of(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"one of {', '.join(known)}{_meant(text, known)}")
        return text

    return read


def _meant(text: str, known: Sequence[str]) -> str:
    told = nearest(text, known)
    return told if "mean" in told else ""


def listed(text: str) -> list[str]:
    """`a,b` or `[a,b]`, cut at the commas that stand in no brackets."""
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(inner):
        depth += (sign in "[{(") - (sign in "]})")
        if sign == "," and depth == 0:
            parts.append(inner[start:at])
            start = at + 1
    parts.append(inner[start:])
    kept = [part.strip() for part in parts if part.strip()]
    if inner and not kept:
        raise ValueError("names with commas between them")
    return kept


def place(text: str) -> str:
    """A path, with `~` for a home; a file system must be able to hold its name."""
    try:
        text = str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        raise ValueError("a path, and there is no such user") from None
    if "\0" in text or any(len(part.encode("utf-8", "surrogateescape")) > LONGEST_NAME for part in text.split("/")):
        raise ValueError(f"a path, and a name in it has {LONGEST_NAME} bytes at most")
    return text


def folder(text: str) -> Path:
    return Path(place(text))


def there(text: str) -> str:
    """A folder that exists."""
    if not Path(place(text)).is_dir():
        raise ValueError("a folder, and there is none of this name")
    return place(text)


def file(text: str) -> Path:
    """A path that ends in a name, so that something can be written there."""
    path = folder(text)
    if not path.name or path.is_dir():
        raise ValueError("a file, and this is a folder")
    return path


@dataclass(frozen=True)
class Option:
    """One key of a command.

    Args:
        help: what it is, for --help and for messages.
        read: from its text to its value; raises ValueError with what it takes.
        default: its value where it is not given.
        many: may be given several times; the value is a list.
    """

    help: str
    read: Callable[[str], Any] = str
    default: Any = None
    many: bool = False


@dataclass(frozen=True)
class Grammar:
    """What a command takes.

    Args:
        doc: what --help says first.
        options: by key; a key that ends in a dot stands for all keys that begin so.
        bare: what bare words are, such as RUN; None: the command takes none.
        least, most: how many bare words there may be; None: any number.
        key: an option that is another spelling of a bare word.
    """

    doc: str
    options: Mapping[str, Option] = field(default_factory=dict)
    bare: str | None = None
    least: int = 0
    most: int | None = None
    key: str | None = None


class Given(dict[str, Any]):
    """The options that were given; `[key]` of another one is its default. `bare`: the bare words."""

    def __init__(self, grammar: Grammar, bare: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> None:
        super().__init__(values or {})
        self.grammar, self.bare = grammar, list(bare)

    def __missing__(self, key: str) -> Any:
        option = self.grammar.options[key]
        return [] if option.many and option.default is None else option.default


def parse(argv: Sequence[str], grammar: Grammar) -> Given:
    """Reads the words of a command line; --help prints and ends the process.

    Raises:
        ExpError: an unknown key, a value that its option does not take, a key given twice, too few or too many bare
            words.
    """
    if {"-h", "--help"} & set(argv):
        print(usage(grammar))
        raise SystemExit(0)
    given = Given(grammar)
    for word in _spelled(argv, grammar):
        key, equals, text = word.partition("=")
        if equals and key == grammar.key:
            given.bare.append(_bare(_unquoted(text), grammar))
        elif equals and (option := _option(key, grammar)) is not None:
            _keep(given, key, option, _unquoted(text))
        elif equals and "/" not in key and not _exists(word):
            raise ExpError(f"{key}: no such key{nearest(key, _names(grammar))}")
        elif grammar.bare is None:
            raise ExpError(f"{_short(word)!r} is no key=value{nearest(word, _names(grammar))}")
        else:
            given.bare.append(_bare(word, grammar))
    if len(given.bare) < grammar.least:
        raise ExpError(f"{grammar.bare} is not given; --help says what this command takes")
    if grammar.most is not None and len(given.bare) > grammar.most:
        raise ExpError(f"{_short(given.bare[grammar.most])!r} is one {grammar.bare} too many; give {grammar.most}")
    return given


def usage(grammar: Grammar) -> str:
    width = max(map(len, grammar.options), default=0)
    rows = [f"  {key:<{width}}  {option.help}" for key, option in grammar.options.items()]
    return "\n".join([grammar.doc.strip(), *(["", "options, as key=value:", *rows] if rows else [])])


def _spelled(argv: Sequence[str], grammar: Grammar) -> Iterator[str]:
    """Every word as a bare one or as key=value."""
    words = iter(argv)
    for word in words:
        name, equals, _ = word[2:].partition("=")
        key = name.replace("-", "_")
        if not word.startswith("--"):
            if word.startswith("-") and len(word) > 1:
                raise ExpError(f"{_short(word)}: no such flag; options are key=value, and --help lists them")
            yield word
            continue
        option = _option(key, grammar)
        if equals:
            yield key + word[2 + len(name) :]
        elif option is None and key.startswith("no_") and _is_switch(_option(key[3:], grammar)):
            yield f"{key[3:]}=false"
        elif option is None and key != grammar.key:
            raise ExpError(f"{_short(word)}: no such key{nearest(key, _names(grammar))}")
        elif _is_switch(option):
            yield f"{key}=true"
        else:
            value = next(words, None)
            if value is None:
                raise ExpError(f"{word} is given no value; write {key}=...")
            yield f"{key}={value}"


def _option(key: str, grammar: Grammar) -> Option | None:
    if key in grammar.options and not key.endswith("."):
        return grammar.options[key]
    return next((one for name, one in grammar.options.items() if name.endswith(".") and key.startswith(name)), None)


def _is_switch(option: Option | None) -> bool:
    return option is not None and option.read is switch


def _keep(given: Given, key: str, option: Option, text: str) -> None:
    if not text:
        raise ExpError(f"{key}= is empty; it is {option.help}")
    if key in given and not option.many:
        raise ExpError(f"{key} is given twice: {given[key]} and {text}")
    try:
        value = option.read(text)
    except ValueError as error:
        raise ExpError(f"{key}={_short(text)}: it takes {error}") from None
    given[key] = [*given.get(key, []), value] if option.many else value


def _bare(word: str, grammar: Grammar) -> str:
    if not word:
        raise ExpError(f"a {grammar.bare} is empty; leave the word out")
    try:
        return place(word)
    except ValueError as error:
        raise ExpError(f"{_short(word)}: {grammar.bare} takes {error}") from None


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def _names(grammar: Grammar) -> list[str]:
    return [name for name in grammar.options if not name.endswith(".")]


def _short(word: str) -> str:
    return word if len(word) <= 100 else f"{word[:100]}..."

"""`key=value` words of an entry that composes no config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exp.errors import ExpError, nearest


def parse(argv: Sequence[str], keys: Mapping[str, str], doc: str) -> dict[str, str]:
    """The given keys. `keys` maps each known one to its help; --help prints `doc` and them, and ends the process.

    Raises ExpError for a word that is no key=value, an unknown key, an empty value and a key given twice.
    """
    if {"-h", "--help"} & set(argv):
        print(usage(keys, doc))
        raise SystemExit(0)
    found: dict[str, str] = {}
    for word in argv:
        key, equals, value = word.partition("=")
        if not equals:
            raise ExpError(f"{word!r} is no key=value{nearest(word, keys)}")
        if key not in keys:
            raise ExpError(f"{key}: no such key{nearest(key, keys)}")
        if key in found:
            raise ExpError(f"{key} is given twice: {found[key]} and {value}")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        if not value:
            raise ExpError(f"{key}= is empty; it is {keys[key]}")
        found[key] = value
    return found


def flag(key: str, value: str) -> bool:
    """`true` or `false`; raises ExpError for anything else."""
    if value.lower() not in ("true", "false"):
        raise ExpError(f"{key}={value} has the wrong type: it takes true or false")
    return value.lower() == "true"


def usage(keys: Mapping[str, str], doc: str) -> str:
    width = max(map(len, keys))
    return "\n".join([doc.strip(), "", *(f"  {key:<{width}}  {text}" for key, text in keys.items())])

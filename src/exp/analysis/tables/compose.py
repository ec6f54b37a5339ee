"""The config of every cell, and its condition hash, without composing every cell.

Hydra takes about 30 ms a config, and a table of 20 rows and 50 columns has 1,000 configs. So only the first cell, each
row with the first column and each column with the first row are composed. Another cell merges the changes of its row
and its column if they share no key; else it is composed too. Overrides of single values are set without Hydra.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from exp.analysis.tables.schema import SEEDS
from exp.errors import ExpError
from exp.options.confdir import groups
from exp.run.files import user_path, write_atomic
from exp.run.identity import condition_hash, flatten

Flat = dict[str, Any]
PLAIN = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


def merged_overrides(*lists: Iterable[str]) -> tuple[str, ...]:
    """Overrides in order; a later one of the same key takes the place of an earlier, as Hydra wants for groups."""
    held: dict[str, str] = {}
    for words in lists:
        for word in words:
            key = key_of(word)
            held.pop(key, None)
            held[key] = word
    return tuple(held.values())


def key_of(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


@dataclass(frozen=True)
class Change:
    """What one part (a row, a column, a point) does to the first cell's config; `touched` includes keys it names."""

    values: Mapping[str, Any]
    removed: frozenset[str]
    touched: frozenset[str]
    above: frozenset[str]  # every prefix of a touched key: a part that names `data` touches all of data.*

    def overlaps(self, other: Change) -> bool:
        return bool(self.touched & other.touched or self.touched & other.above or self.above & other.touched)


class CellComposer:
    """Compositions are kept in memory and, for as long as conf/ does not change, in `cache_dir`."""

    def __init__(
        self,
        base: Sequence[str],
        first: Sequence[Sequence[str]],
        cache_dir: Path | None,
        config_dir: Path | None = None,
    ) -> None:
        """`base` are overrides of all cells; `first` are the parts of the first cell (row, column, point, cell)."""
        self.config_dir = config_dir
        self.base, self.first = tuple(base), [tuple(words) for words in first]
        self.memory: dict[tuple[str, ...], Flat] = {}
        self.changes: dict[tuple[int, tuple[str, ...]], Change] = {}
        self.file = None if cache_dir is None else cache_dir / "compositions" / f"{_conf_hash(config_dir)}.json"
        self.kept = _read(self.file)
        self.composed = 0
        self.root = self.flat(merged_overrides(self.base, *self.first))

    def cell(self, parts: Sequence[Sequence[str]]) -> Flat:
        """Unresolved leaves of the config with these parts; `parts` in the order of `first`."""
        differing = [at for at, words in enumerate(parts) if tuple(words) != self.first[at]]
        changes = [self._change(at, tuple(parts[at])) for at in differing]
        alone = all(not a.overlaps(b) for n, a in enumerate(changes) for b in changes[:n])
        if len(changes) > 1 and not alone:
            return self.flat(merged_overrides(self.base, *parts))
        merged = dict(self.root)
        for change in changes:
            for key in change.removed:
                merged.pop(key, None)
            merged.update(change.values)
        return merged

    def _change(self, at: int, words: tuple[str, ...]) -> Change:
        if (at, words) not in self.changes:
            parts = [*self.first[:at], words, *self.first[at + 1 :]]
            new = self.flat(merged_overrides(self.base, *parts))
            values = {key: value for key, value in new.items() if key not in self.root or self.root[key] != value}
            removed = frozenset(self.root.keys() - new.keys())
            named = {key_of(word) for word in (*words, *self.first[at])}
            touched = frozenset(values.keys() | removed | named)
            above = frozenset(prefix for key in touched for prefix in _prefixes(key))
            self.changes[at, words] = Change(values, removed, touched, above)
        return self.changes[at, words]

    def flat(self, words: tuple[str, ...]) -> Flat:
        """As Hydra composes it. Raises ExpError for an override that does not fit.

        An override of one value changes that leaf and nothing else, so only the others are composed.
        """
        values = {word: told for word in words if (told := _plain_value(word)) is not None}
        frame = self._composed(tuple(word for word in words if word not in values))
        if any(key not in frame for key, _ in values.values()):
            return self._composed(words)  # Hydra says what is wrong, or makes a key that is no leaf
        return {**frame, **dict(values.values())}

    def _composed(self, words: tuple[str, ...]) -> Flat:
        if words not in self.memory:
            stored = self.kept.get(json.dumps(words))
            if stored is None:
                stored = compose(words, self.config_dir)
                self.composed += 1
                self.kept[json.dumps(words)] = stored
            self.memory[words] = stored
        return self.memory[words]

    def save(self) -> None:
        if self.file is None or not self.composed:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.file, json.dumps(self.kept))
        except OSError:
            pass  # it only saves time


def compose(words: Sequence[str], config_dir: Path | None = None) -> Flat:
    """Unresolved leaves of the config. Raises ExpError for words that do not fit, or that are Hydra's own settings."""
    from omegaconf import OmegaConf

    from exp.config.compose import compose as composed

    for word in words:
        if re.split(r"[./@]", key_of(word))[0] == "hydra":
            raise ExpError(f"{word}: a table says what its runs compute, not how Hydra starts them; leave it out")
    container: Any = OmegaConf.to_container(composed(words, config_dir=config_dir), resolve=False)
    return dict(flatten({key: value for key, value in container.items() if key != "hydra"}))


@cache
def _plain_value(word: str) -> tuple[str, Any] | None:
    """Key and value of `key=value` where that is a setting, not a group, and a number, truth value or text."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    if word[:1] in "+~" or "@" in word or key_of(word) in _groups():
        return None
    try:
        parsed = OverridesParser.create().parse_override(word)
    except OverrideParseException:
        return None
    value = parsed.value()
    simple = value is None or isinstance(value, str | int | float)
    return (key_of(word), value) if simple and not parsed.is_sweep_override() else None


@lru_cache
def _groups() -> frozenset[str]:
    return frozenset(groups())


def resolved(flat: Mapping[str, Any]) -> Flat:
    """Interpolations filled in: of other keys, and of the environment."""
    return {key: _resolve(value, flat) for key, value in flat.items()}


def with_seeds(flat: Flat, seeds: Mapping[str, int]) -> Flat:
    return {**flat, **seeds}


def seeds_of(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """All four of a resolved flat config: together with the condition they name a run."""
    return tuple(config.get(name) for name in SEEDS)


def hash_of(config: Mapping[str, Any]) -> str:
    return condition_hash(config, user_path(config["cache_dir"]))


def _resolve(value: Any, flat: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_resolve(item, flat) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    plain = PLAIN.fullmatch(value)
    if plain:
        if plain[1] not in flat:
            raise ExpError(f"{value} names no key of the config")
        return _resolve(flat[plain[1]], flat)
    if set(re.findall(r"\$\{([\w.]+)", value)) <= {"oc.env"}:
        return _from_environment(value)
    from omegaconf import OmegaConf

    nested: Any = OmegaConf.create({})
    for key, item in flat.items():
        OmegaConf.update(nested, key, item)
    return OmegaConf.to_container(OmegaConf.create({**nested, "_value_": value}), resolve=True)["_value_"]  # type: ignore[call-overload,index]


@lru_cache
def _from_environment(value: str) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True)["value"]  # type: ignore[call-overload,index]
    except OmegaConfBaseException as error:
        cause = str(error).splitlines()[0].rpartition("while resolving interpolation: ")[2].strip('"')
        raise ExpError(f"{value}: {cause}") from None


def _prefixes(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _conf_hash(config_dir: Path | None) -> str:
    """Changes with every edit of a folder on the search path."""
    from exp.config.compose import search_path

    told = []
    for folder in search_path(config_dir):
        for path in sorted(folder.rglob("*.yaml")):
            if "table" not in path.parts[-2:]:
                at = os.stat(path)  # noqa: PTH116
                told.append((str(path), at.st_size, at.st_mtime_ns))
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _read(file: Path | None) -> dict[str, Flat]:
    try:
        return json.loads(file.read_text()) if file else {}
    except (OSError, ValueError):
        return {}

"""Several sources as one: files and data sets of the Hub, each drawn as often as its weight says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from exp.data.base import RawData, Sampled, check_set_name
from exp.data.files import Files, Names
from exp.data.hub import HubDataset
from exp.data.interleave import Interleaved, Stopping, interleaved
from exp.data.read_options import ReadOptions
from exp.data.rows import Rows, Source, one_after_the_other
from exp.data.stream import Stream, beginning
from exp.errors import ExpError, nearest

if TYPE_CHECKING:
    from exp.data.stream import RowSource

_OF_FILES = ("train_file", "validation_file", *(one.name for one in fields(ReadOptions)))
_OF_THE_HUB = ("path", "name", "revision", "train_split", "validation_split")
_JUDGED = {"validation_file", "validation_split"}


@dataclass(frozen=True)
class Mixture(Sampled):
    """See conf/data/mixture.yaml for the keys."""

    name: str
    path: str | None
    sources: dict[str, dict[str, Any]] | None
    weights: dict[str, float] | None
    stopping_strategy: Stopping
    mix_seed: Annotated[int, Ge(0)]
    validation_file: Names
    roles: dict[str, Any] | None
    streaming: bool
    shuffle_buffer: Annotated[int, Ge(1)]

    def __post_init__(self) -> None:
        if not self.sources:
            raise ExpError(
                "data=mixture needs data.sources, such as 'data.sources={web:{train_file:web.jsonl},"
                "code:{train_file:code.jsonl}}'"
            )
        if self.streaming and self.max_train_samples is not None:
            raise ExpError(
                "data.max_train_samples draws among all rows, and data.streaming=true reads them as they come"
            )
        for name in self.sources:
            check_set_name(name, "data.sources")
            with _in(name):
                source = self._source(name)
                if self.streaming:
                    source.require_streamable()
        self._probabilities()
        if self.validation_file is None and not any(keys.keys() & _JUDGED for keys in self.sources.values()):
            raise ExpError(
                "data=mixture holds nothing out: give data.validation_file, or a validation_file (Hub: "
                "validation_split) in one of data.sources; the latter is an evaluation set of its own"
            )

    def columns(self) -> None:
        """Known when the sources are read."""

    def read(self) -> RawData:
        """Raises ExpError, with the source, for anything that does not fit."""
        evals: dict[str, Rows] = {}
        if self.validation_file is not None:
            evals[""] = self._files(train_file=self.validation_file).read().train
        parts, told = [], []
        for name in self.sources or {}:
            with _in(name):
                source = self._source(name)
                told.append(source.given_roles)
                for rows in source.evaluation_sets(self.streaming).values():
                    evals[name] = rows
                if not self.streaming:
                    parts.append(source.read().train)
        stream = self._stream() if self.streaming else None
        train, whole = beginning(stream) if stream else (self._mixed(parts), True)
        common = {key: value for key, value in told[0].items() if all(one.get(key) == value for one in told)}
        return RawData(
            name=self.name,
            train=train,
            stream=stream,
            whole=whole,
            evals=evals,
            tests={},
            roles={**common, **(self.roles or {})},
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    def _mixed(self, parts: list[Rows]) -> Rows:
        placed = [
            part if part.sources else replace(part, sources=[Source(part.path, "row")] * len(part)) for part in parts
        ]
        order = interleaved([len(part) for part in parts], self._probabilities(), self.mix_seed, self.stopping_strategy)
        return one_after_the_other(placed, missing_columns=True).take(list(order))

    def _stream(self) -> Stream:
        streams = []
        for name in self.sources or {}:
            with _in(name):
                streams.append(self._source(name).stream())
        probabilities = self._probabilities()

        def opened(lane: int, lanes: int) -> RowSource:
            parts = [stream.opened(lane, lanes) for stream in streams]
            return Interleaved(parts, probabilities, self.mix_seed + lane, self.stopping_strategy)

        facts = {
            "name": self.name,
            "sources": [stream.facts for stream in streams],
            "probabilities": probabilities,
            "stopping": self.stopping_strategy,
            "seed": self.mix_seed,
            "buffer": self.shuffle_buffer,
        }
        return Stream(math.gcd(*(stream.shards for stream in streams)), opened, self.shuffle_buffer, facts)

    def _probabilities(self) -> list[float] | None:
        """In the order of the sources; None: they take turns. Raises ExpError for weights that do not fit."""
        sources = self.sources or {}
        if self.weights is None:
            return None
        for name, weight in self.weights.items():
            if name not in sources:
                raise ExpError(f"data.weights.{name}: there is no such source{nearest(name, sources)}")
            if not (weight > 0 and math.isfinite(weight)):
                raise ExpError(
                    f"data.weights.{name}={weight} has to be above 0; a source that is not wanted is left out of "
                    f"data.sources"
                )
        for name in sources:
            if name not in self.weights:
                raise ExpError(
                    f"data.weights has no weight for the source {name}; give each source one, or none (null)"
                )
        total = sum(self.weights.values())
        return [self.weights[name] / total for name in sources]

    def _source(self, name: str) -> Files | HubDataset:
        keys = (self.sources or {})[name]
        allowed = _OF_THE_HUB if "path" in keys else _OF_FILES
        for key in keys:
            if key not in allowed:
                raise ExpError(f"a source has no key {key}; it has {', '.join(allowed)}{nearest(key, allowed)}")
        if "path" not in keys:
            return self._files(**keys)
        return HubDataset(
            **{
                **{"name": None, "revision": None, "train_split": "train", "validation_split": None, **keys},
                **{"test_split": None, "validation_share": 0.5, "split_seed": 0, "id_column": None},
                **{"max_train_samples": None, "max_eval_samples": None, "shuffle_buffer": self.shuffle_buffer},
            }
        )

    def _files(self, **keys: Any) -> Files:
        none = dict.fromkeys(one.name for one in fields(Files) if not one.kw_only)
        whole = {**none, "path": self.path, "validation_share": 0.5, "split_seed": 0, **keys}
        return Files(**whole, shuffle_buffer=self.shuffle_buffer)


@contextmanager
def _in(source: str) -> Iterator[None]:
    """Around what concerns one source, so that a message says which."""
    try:
        yield
    except (ExpError, TypeError) as error:
        raise ExpError(f"data.sources.{source}: {error}") from error

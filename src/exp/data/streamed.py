"""Features that are made while they are trained on, from rows that are read as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from exp.data.features import FeatureSet
from exp.data.stream import as_rows, portion_of
from exp.errors import ExpError

if TYPE_CHECKING:
    from exp.data.stream import ExampleStream

_KEPT = 100_000  # lengths of rows that were given out


class StreamedFeatures(FeatureSet):
    """Rows 0, 1, 2, ... of a stream, without an end: a source that is read through begins anew.

    A lane reads a portion of rows, makes features of them and shuffles these. The draws depend on the seed, the lane
    and the portion alone. A checkpoint holds where each lane's portion begins, so that going on reads that portion
    again and nothing before it. Rows are asked for in ascending order, by each process its own.
    """

    in_order = True

    def __init__(self, first: FeatureSet, source: ExampleStream, make: Callable[[Any], FeatureSet]) -> None:
        super().__init__(first.fields, first.targets, first.kept, first.example)
        self._first, self.source, self.make = first, source, make
        self.made = self.lengths = _Lengths(first.lengths)  # type: ignore[assignment]
        self.seed = 0
        self.places: Mapping[str, Any] = {}  # where the lanes of this epoch began
        self.restored: Mapping[str, Any] = {}
        self.lanes: dict[int, _Lane] = {}

    @property
    def beginning(self) -> FeatureSet:
        return self._first

    def each(self, wrap: Callable[[FeatureSet], FeatureSet]) -> FeatureSet:
        make = self.make
        return StreamedFeatures(wrap(self.beginning), self.source, lambda examples: wrap(make(examples)))

    def check_batch(self, size: int) -> None:
        rows = len(self.beginning)
        if self.source.whole and rows < size:
            raise ExpError(
                f"{self.source.stream.facts['name']} ends after {rows} rows of tokens, before a batch of {size} is "
                f"full: lower per_device_train_batch_size, or set data.streaming=false"
            )

    def begin_epoch(self, epoch: int, seed: int) -> None:
        """From where `restore` says, else from the beginning."""
        self.seed, self.lanes = seed, {}
        self.places, self.restored = self.restored, {}
        self.made.found.clear()

    def state(self) -> dict[str, Any]:
        """By lane: where the portion begins that it is in."""
        return {**self.places, **{str(number): lane.place for number, lane in self.lanes.items()}}

    def together(self, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Of a lane that several processes read, the furthest place: none of them asks for what is before it."""
        found: dict[str, Any] = {}
        for state in states:
            for lane, place in state.items():
                found[lane] = max(found.get(lane, place), place, key=lambda one: one["portion"])
        return found

    def restore(self, state: Mapping[str, Any]) -> None:
        self.restored = state

    def __len__(self) -> int:
        raise TypeError("a stream has no number of rows")

    def __getitem__(self, row: int) -> dict[str, Any]:
        number = row % self.source.stream.lanes
        if number not in self.lanes:
            self.lanes[number] = _Lane(self, number, self.places.get(str(number)))
        item = self.lanes[number].item(row // self.source.stream.lanes)
        self.made.add(row, len(item["attention_mask"]))
        return item


class _Lane:
    def __init__(self, features: StreamedFeatures, number: int, place: Mapping[str, Any] | None) -> None:
        self.all, self.number = features, number
        self.source = features.source.stream.open(number)
        self.portion, self.first = 0, 0  # the portion at hand, and the number of its first row in this lane
        if place is not None:
            self.source.restore(place["source"])
            self.portion, self.first = place["portion"], place["first"]
        self._read()

    def item(self, row: int) -> dict[str, Any]:
        while row >= self.first + len(self.order):
            self.first, self.portion = self.first + len(self.order), self.portion + 1
            self._read()
        assert row >= self.first, "rows of a stream are asked for in their order"
        return self.features[self.order[row - self.first]]

    def _read(self) -> None:
        everything = self.all
        passes = 0
        while True:
            passes += self.source.ended
            self.place = {"source": self.source.state(), "portion": self.portion, "first": self.first}
            records = portion_of(self.source, everything.source.stream.portion)
            if passes > 1:
                raise ExpError(f"{records[0].path}: a whole pass over this part of the stream has no text")
            examples = everything.source.examples(as_rows(records))
            if any(str(cell).strip() for cells in examples.inputs.values() for cell in cells):
                self.features = everything.make(examples)
                if len(self.features):
                    break
        # As a number of its own for each portion, from which masks are drawn.
        self.features.begin_epoch(self.portion * everything.source.stream.lanes + self.number, everything.seed)
        dice = np.random.default_rng((everything.seed, self.number, self.portion))
        self.order: list[int] = dice.permutation(len(self.features)).tolist()


class _Lengths:
    """Tokens of rows by number; of those that another process made, the mean of the first ones."""

    def __init__(self, first: Sequence[int]) -> None:
        self.mean = round(sum(first) / max(1, len(first)))
        self.found: dict[int, int] = {}

    def add(self, row: int, tokens: int) -> None:
        self.found[row] = tokens
        if len(self.found) > _KEPT:
            for old in list(self.found)[: _KEPT // 2]:
                del self.found[old]

    def __getitem__(self, row: int) -> int:
        return self.found.get(row, self.mean)

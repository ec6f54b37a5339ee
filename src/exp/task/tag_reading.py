"""What a tag a word says: the table of a split, its scores and pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.data.examples import Examples
from exp.metrics import names as metric_names
from exp.task import pictures
from exp.task.base import Answers, Floors, Untuned, named_inputs
from exp.task.tags import OUTSIDE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from exp.data.features import FeatureSet
    from exp.metrics.sums import Additive

RESERVED = ("id", "label", "prediction", "scores")


@dataclass(frozen=True)
class TagReading(Untuned):
    label_names: Sequence[str]
    metrics: tuple[str, ...]
    words: str  # the input column

    @property
    def names(self) -> tuple[str, ...]:
        return metric_names.produced(self.metrics, "tags")

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """id, label, prediction and scores (lists, one a word), and the words.

        A word without word pieces, such as a zero-width space, was not seen by the model and counts as O.
        """
        import numpy as np
        import pyarrow as pa

        sentences = examples.inputs[self.words]
        outside = self.label_names.index(OUTSIDE) if OUTSIDE in self.label_names else 0
        tags = [np.full(len(words), outside, np.int32) for words in sentences]
        scores = [np.zeros(len(words), np.float32) for words in sentences]
        assert features.example is not None
        for row, owner in enumerate(features.example):
            places = features.kept["word"][row]
            tags[owner][places] = answers["tags"][row]
            scores[owner][places] = answers["scores"][row]
        names, lists = list(self.label_names), pa.list_(pa.string())
        targets = examples.targets or [None] * len(examples)
        columns: dict[str, Any] = {
            "id": [str(one) for one in examples.ids],
            "label": pa.array([None if row is None else [names[i] for i in row] for row in targets], lists),
            "prediction": pa.array([[names[i] for i in row] for row in tags], lists),
            "scores": pa.array([row.astype("float64") for row in scores], pa.list_(pa.float64())),
        }
        return pa.table(columns | named_inputs(examples.inputs, RESERVED))

    def score(self, table: pa.Table) -> dict[str, float]:
        from exp.metrics.scores import compute

        predictions, references = (table[name].to_pylist() for name in ("prediction", "label"))
        return compute(self.metrics, "tags", predictions, references, None, self.label_names)

    def by_class(self, table: pa.Table) -> dict[str, float]:
        from exp.metrics.scores import by_class

        return by_class("tags", *(table[name].to_pylist() for name in ("prediction", "label")))

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive

        return additive(metric, "tags", *(table[name].to_pylist() for name in ("prediction", "label")))

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """The share of right tags of each sentence."""
        import numpy as np

        pairs = zip(table["prediction"].to_pylist(), table["label"].to_pylist(), strict=True)
        return np.array([np.mean([a == b for a, b in zip(*pair, strict=True)]) for pair in pairs])

    def confidence(self, table: pa.Table) -> np.ndarray | None:
        """The mean over words of the probability of the predicted tag."""
        import numpy as np

        return np.array([np.mean(row) for row in table["scores"].to_pylist()])

    def chance(self, examples: Examples) -> Floors:
        """Accuracy: the commonest tag's share of the words. Entities: nothing is found by the commonest tag."""
        if examples.targets is None:
            return Floors(None, {})
        counts = Counter(tag for row in examples.targets for tag in row)
        n = sum(counts.values())
        p = max(counts.values()) / n
        entities = sum(count for tag, count in counts.items() if self.label_names[tag].startswith("B-"))
        known = {"accuracy": (p, math.sqrt(p * (1 - p) / n))}
        if entities:
            known |= {f"entity_{name}": (0.0, 1 / math.sqrt(entities)) for name in ("f1", "precision", "recall")}
        return Floors(math.log(len(self.label_names)), {name: known[name] for name in self.metrics if name in known})

    def pictures(self, table: pa.Table) -> list[pictures.Picture]:
        """Confusion of tags, word by word."""
        labelled = table.filter(table["label"].is_valid())
        flat = [[tag for row in labelled[name].to_pylist() for tag in row] for name in ("label", "prediction")]
        return pictures.confusion(flat[0], flat[1], self.label_names)

    def summary(self, table: pa.Table) -> str:
        counts = Counter(tag for row in table["prediction"].to_pylist() for tag in row)
        return ", ".join(f"{count} {tag}" for tag, count in counts.most_common())

    def said(self, row: Mapping[str, Any]) -> str:
        return " ".join(f"{word}/{tag}" for word, tag in zip(row[self._input(row)], row["prediction"], strict=True))

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        """One line a word."""
        header = ["id", "word", "text", "label", "prediction", "score"]
        rows = []
        for row in table.to_pylist():
            for place, word in enumerate(row[self._input(row)]):
                label = None if row["label"] is None else row["label"][place]
                rows.append([row["id"], place, word, label, row["prediction"][place], row["scores"][place]])
        return header, rows

    def _input(self, row: Mapping[str, Any]) -> str:
        return f"input_{self.words}" if self.words in RESERVED else self.words

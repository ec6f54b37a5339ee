"""The reading half of tasks that generate: predicted texts beside their references."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.data.examples import Examples
from exp.metrics import names as metric_names
from exp.task import pictures
from exp.task.base import Answers, Floors, Untuned, named_inputs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from exp.data.features import FeatureSet
    from exp.metrics.sums import Additive

RESERVED = ("id", "label", "prediction", "length")
LENGTH = "generated_length"  # tokens a text, a mean over rows; neither better nor worse
_GUESSED = 200  # rows that the floors are measured on: ROUGE of thousands takes a minute


def signatures(metrics: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, str]:
    """How sacrebleu computes its metrics on these references."""
    from exp.metrics import text

    return text.signatures(metrics, references)


@dataclass(frozen=True)
class GeneratedReading(Untuned):
    metrics: tuple[str, ...]
    source: str  # the input column
    in_every_evaluation: bool  # False: those in the middle of a training are of the loss alone

    @property
    def names(self) -> tuple[str, ...]:
        if not self.in_every_evaluation:
            return (metric_names.LOSS,)
        return (*metric_names.produced(self.metrics, "text"), LENGTH)

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """id, label (null where unknown; a list where a row has several references), prediction, length in tokens, and
        the source. The table's metadata hold sacrebleu's signatures."""
        import pyarrow as pa

        targets = examples.targets
        several = targets is not None and any(len(references) > 1 for references in targets)
        labels: list[Any] = [None] * len(examples) if targets is None else targets
        if targets is not None and not several:
            labels = [references[0] for references in targets]
        columns: dict[str, Any] = {
            "id": [str(one) for one in examples.ids],
            "label": pa.array(labels, pa.list_(pa.string()) if several else pa.string()),
            "prediction": pa.array(list(answers["texts"]), pa.string()),
            "length": pa.array(list(answers["lengths"]), pa.int32()),
        }
        table = pa.table(columns | named_inputs(examples.inputs, RESERVED))
        signed = {} if targets is None else signatures(self.metrics, targets)
        return table.replace_schema_metadata({"signatures": json.dumps(signed)}) if signed else table

    def score(self, table: pa.Table) -> dict[str, float]:
        import numpy as np

        from exp import metrics

        predictions, references = table["prediction"].to_pylist(), _references(table)
        found = metrics.compute(self.metrics, "text", predictions, references)
        return {**found, LENGTH: float(np.mean(table["length"].to_numpy()))}

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive
        from exp.metrics.sums import mean

        if metric == LENGTH:
            return mean(table["length"].to_numpy())
        return additive(metric, "text", table["prediction"].to_pylist(), _references(table))

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """The primary metric of each row alone; the first ROUGE where it is one's own."""
        from exp.metrics import text

        name = next((name for name in self.metrics if text.is_built_in(name)), "rouge1")
        return text.of_each_row(name, table["prediction"].to_pylist(), _references(table))

    def chance(self, examples: Examples) -> Floors:
        """What answering with another row's reference gives: right in kind, without a look at the source."""
        import numpy as np

        from exp import metrics
        from exp.metrics import text

        references = (examples.targets or [])[:_GUESSED]
        if len(references) < 2:
            return Floors(None, {})
        guesses = [right[0] for right in [*references[1:], references[0]]]
        own = [name for name in self.metrics if text.is_built_in(name)]
        level = metrics.compute(own, "text", guesses, references) if own else {}
        spread = {name: float(np.std(text.of_each_row(name, guesses, references))) for name in own}
        return Floors(None, {name: (level[name], spread[name] / len(examples) ** 0.5) for name in own})

    def pictures(self, table: pa.Table) -> list[pictures.Picture]:
        """Words of the prediction over words of the first reference."""
        if table["label"].null_count:
            return []
        pairs = zip(_references(table), table["prediction"].to_pylist(), strict=True)
        lengths = [(float(len(right[0].split())), float(len(text.split()))) for right, text in pairs]
        return pictures.scatter([right for right, _ in lengths], [made for _, made in lengths])

    def summary(self, table: pa.Table) -> str:
        lengths = table["length"].to_pylist()
        empty = sum(not text for text in table["prediction"].to_pylist())
        return f"{sum(lengths) / len(lengths):.1f} tokens each" + (f", {empty} of them empty" if empty else "")

    def said(self, row: Mapping[str, Any]) -> str:
        return row["prediction"]

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        """Further references in columns of their own: label, label_2, ..."""
        rows = table.to_pylist()
        labels = [[None] if row["label"] is None else _listed(row["label"]) for row in rows]
        most = max(map(len, labels), default=1)
        others = [name for name in table.column_names if name != "label"]
        header = ["id", "label", *(f"label_{number}" for number in range(2, most + 1)), *others[1:]]
        return header, [
            [row["id"], *right, *[None] * (most - len(right)), *(row[name] for name in others[1:])]
            for row, right in zip(rows, labels, strict=True)
        ]


def _references(table: pa.Table) -> list[list[str]]:
    return [_listed(one) for one in table["label"].to_pylist()]


def _listed(label: Any) -> list[str]:
    return label if isinstance(label, list) else [label]

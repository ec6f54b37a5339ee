"""What the spans of windows say: an answer for each question, or none, and its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exp.data.examples import Examples
from exp.metrics import names as metric_names
from exp.task import pictures
from exp.task.base import Answers, Floors, named_inputs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from exp.data.features import FeatureSet
    from exp.metrics.sums import Additive

RESERVED = ("id", "label", "prediction", "start", "end", "score", "null_score_diff")
KINDS = ("answer", "no answer")


@dataclass(frozen=True)
class AnswerReading:
    context: str  # the input column
    metrics: tuple[str, ...]
    negative: bool  # whether "no answer" is an answer
    threshold: float  # of null_score_diff, above which it is the answer
    tune: bool
    n_best: int

    @property
    def names(self) -> tuple[str, ...]:
        return metric_names.produced(self.metrics, "spans")

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """One row a question.

        label: all right answers, empty where there is none, null where unknown. prediction: the answer, empty for "no
        answer". start, end: the best span, in characters of the context, also where the prediction is empty. score: its
        share among the n best and, where that is an answer, "no answer" (softmax). null_score_diff: the score of "no
        answer", the lowest of all windows, less that of the best span. Then the inputs.
        """
        import numpy as np
        import pyarrow as pa

        contexts = examples.inputs[self.context]
        assert features.example is not None
        found: list[list[tuple[float, int, int]]] = [[] for _ in contexts]  # (score, begin, end)
        nulls = np.full(len(contexts), np.inf)
        for window, row in enumerate(features.example):
            spans = (answers[name][window] for name in ("scores", "begins", "ends"))
            found[row] += [
                (float(score), int(begin), int(end))
                for score, begin, end in zip(*spans, strict=True)
                if contexts[row][begin:end].strip()
            ]
            nulls[row] = min(nulls[row], answers["nulls"][window])
        best = [self._best(spans, null) for spans, null in zip(found, nulls, strict=True)]
        targets = examples.targets or [None] * len(examples)
        columns: dict[str, Any] = {
            "id": [str(one) for one in examples.ids],
            "label": pa.array([None if one is None else one.texts for one in targets], pa.list_(pa.string())),
            "prediction": pa.array([""] * len(examples), pa.string()),
            "start": pa.array([one[0] for one in best], pa.int64()),
            "end": pa.array([one[1] for one in best], pa.int64()),
            "score": pa.array([one[2] for one in best], pa.float64()),
            "null_score_diff": pa.array([one[3] for one in best], pa.float64()),
        }
        return self.applied(pa.table(columns | named_inputs(examples.inputs, RESERVED)))

    def _best(self, spans: list[tuple[float, int, int]], null: float) -> tuple[int | None, int | None, float, float]:
        """Start, end, share and difference of the best span of all windows; the earliest of equal ones."""
        best: dict[tuple[int, int], float] = {}
        for score, begin, end in sorted(spans, key=lambda one: (-one[0], one[1:])):
            best.setdefault((begin, end), score)  # a span that two windows have counts once
            if len(best) == self.n_best:
                break
        if not best:
            return None, None, 0.0, math.inf
        (begin, end), top = next(iter(best.items()))
        against = [*best.values(), *([null] if self.negative else [])]
        return begin, end, 1 / sum(math.exp(min(other - top, 700.0)) for other in against), null - top

    def tuned(self, table: pa.Table) -> tuple[AnswerReading, Mapping[str, float]]:
        """With `tune`: the threshold with the best primary metric; of equal ones the nearest to the config's."""
        import numpy as np

        from exp.metrics import squad

        if not (self.tune and self.negative) or table["label"].null_count:
            return self, {}
        labels, spans = table["label"].to_pylist(), self._spans(table)
        of_one = squad.exact if "exact" in self.metrics[0] else squad.f1
        scores = np.array([of_one(*pair) for pair in zip(spans, labels, strict=True)])
        differences = np.minimum(table["null_score_diff"].to_numpy(), 1e9)  # infinite where nothing was found
        found = squad.best_threshold(scores, np.array([bool(one) for one in labels]), differences, self.threshold)
        return replace(self, threshold=found), {"null_score_diff_threshold": found}

    def applied(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        differences = table["null_score_diff"].to_pylist()
        chosen = [
            "" if self.negative and difference > self.threshold else span
            for span, difference in zip(self._spans(table), differences, strict=True)
        ]
        return table.set_column(table.column_names.index("prediction"), "prediction", pa.array(chosen, pa.string()))

    def score(self, table: pa.Table) -> dict[str, float]:
        from exp import metrics

        predictions, references = (table[name].to_pylist() for name in ("prediction", "label"))
        return metrics.compute(self.metrics, "spans", predictions, references)

    def by_class(self, table: pa.Table) -> dict[str, float]:
        return {}

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive

        return additive(metric, "spans", *(table[name].to_pylist() for name in ("prediction", "label")))

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """F1 in words of each question."""
        import numpy as np

        from exp.metrics import squad

        pairs = zip(table["prediction"].to_pylist(), table["label"].to_pylist(), strict=True)
        return np.array([squad.f1(*pair) for pair in pairs])

    def probabilities(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray] | None:
        return None

    def confidence(self, table: pa.Table) -> np.ndarray | None:
        """The logits of the answer's start and end, added up."""
        return table["score"].to_numpy()

    def chance(self, examples: Examples) -> Floors:
        """Never an answer: right for the questions that have none."""
        n = len(examples)
        if examples.targets is None or not n:
            return Floors(None, {})
        p = sum(not one.texts for one in examples.targets) / n
        floor = (p, math.sqrt(p * (1 - p) / n) or 1 / math.sqrt(n))
        return Floors(None, {name: floor for name in self.metrics if name in ("f1", "exact_match")})

    def pictures(self, table: pa.Table) -> list[pictures.Picture]:
        """Where "no answer" is one: which questions were taken to have an answer."""
        labelled = table.filter(table["label"].is_valid())
        if not self.negative:
            return []
        columns = [[KINDS[not one] for one in labelled[name].to_pylist()] for name in ("label", "prediction")]
        return pictures.confusion(columns[0], columns[1], KINDS)

    def summary(self, table: pa.Table) -> str:
        answered = sum(bool(one) for one in table["prediction"].to_pylist())
        return f"{answered} answered, {len(table) - answered} without an answer"

    def said(self, row: Mapping[str, Any]) -> str:
        return f"{row['prediction'] or '(no answer)'}  best span {row['score']:.3f}"

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        """Right answers are joined by a space and a bar."""
        header = table.column_names
        rows = [
            [" | ".join(cell) if isinstance(cell, list) else cell for cell in row.values()] for row in table.to_pylist()
        ]
        return header, rows

    def _spans(self, table: pa.Table) -> list[str]:
        """The best span of each question, empty where there is none."""
        name = f"input_{self.context}" if self.context in RESERVED else self.context
        columns: Sequence[list[Any]] = [table[one].to_pylist() for one in (name, "start", "end")]
        return ["" if start is None else text[start:end] for text, start, end in zip(*columns, strict=True)]

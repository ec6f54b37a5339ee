"""What vectors of texts say: how alike two texts are, and at which rank a text's own partner is found."""

from __future__ import annotations

import math
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

RESERVED = ("id", "label", "prediction", "similarity", "negative_similarity", "rank", "candidates", "nll", "vectors")
ROWS = 1024  # anchors compared with all candidates at a time: bounds the memory


@dataclass(frozen=True)
class SimilarityReading(Untuned):
    """Of pairs with a score."""

    metrics: tuple[str, ...]
    score_range: tuple[float, ...]  # scores of a cosine of 0 and of 1
    keep_vectors: bool

    @property
    def names(self) -> tuple[str, ...]:
        return metric_names.produced(self.metrics, "similarity")

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """id, label (the score, null where unknown), prediction (the cosine), the vectors if kept, and the inputs."""
        import numpy as np
        import pyarrow as pa

        vectors = np.stack(list(answers["vectors"]))
        targets = examples.targets or [None] * len(examples)
        columns: dict[str, Any] = {
            "id": [str(one) for one in examples.ids],
            "label": pa.array(targets, pa.float64()),
            "prediction": pa.array(_cosines(vectors, 1), pa.float64()),
        }
        return pa.table(columns | _kept(vectors, self.keep_vectors) | named_inputs(examples.inputs, RESERVED))

    def score(self, table: pa.Table) -> dict[str, float]:
        from exp import metrics

        return metrics.compute(
            self.metrics, "similarity", *(table[name].to_numpy() for name in ("prediction", "label"))
        )

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive

        return additive(metric, "similarity", *(table[name].to_numpy() for name in ("prediction", "label")))

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """The negative squared error of the cosine."""
        import numpy as np

        low, high = self.score_range
        return -np.square(table["prediction"].to_numpy() - (table["label"].to_numpy() - low) / (high - low))

    def chance(self, examples: Examples) -> Floors:
        """Correlations: 0, with 1 / sqrt(n - 1). The loss: that of the mean score for every pair."""
        import numpy as np

        n = len(examples)
        if examples.targets is None or n < 2:
            return Floors(None, {})
        low, high = self.score_range
        loss = float(np.var((np.asarray(examples.targets) - low) / (high - low)))
        known = ("spearmanr", "pearson", "kendall")
        return Floors(loss or None, {name: (0.0, 1 / math.sqrt(n - 1)) for name in self.metrics if name in known})

    def pictures(self, table: pa.Table) -> list[pictures.Picture]:
        return pictures.scatter(table["label"].to_pylist(), table["prediction"].to_pylist())

    def summary(self, table: pa.Table) -> str:
        return f"mean similarity {table['prediction'].to_numpy().mean():.4f}"

    def said(self, row: Mapping[str, Any]) -> str:
        return f"similarity {row['prediction']:.4f}"

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        return _flat(table)


@dataclass(frozen=True)
class RankReading(Untuned):
    """Of pairs and triplets: each anchor's own positive is looked for among all positives and negatives of the set."""

    metrics: tuple[str, ...]
    inputs: tuple[str, ...]
    scale: float
    keep_vectors: bool

    @property
    def kind(self) -> str:
        return "ranks" if len(self.inputs) == 2 else "triplets"

    @property
    def names(self) -> tuple[str, ...]:
        return metric_names.produced(self.metrics, self.kind)

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """id, label (the positive), prediction (the most similar text), rank, candidates, similarity to the positive
        and to the negative, nll, the vectors if kept, and the inputs.

        rank: 1 plus the candidates that are more similar, and half of those that are equally so: a model for which all
        texts are alike gets what guessing gives. Other positives of the same anchor are not counted. nll: of the
        positive in a softmax over all candidates; their mean is the loss of an evaluation, the set as one batch.
        """
        import numpy as np
        import pyarrow as pa

        vectors = np.stack(list(answers["vectors"]))
        texts = list(examples.inputs.values())
        place: dict[str, int] = {}  # of each candidate
        where: list[tuple[int, int]] = []
        for column in range(1, len(texts)):
            for row, text in enumerate(texts[column]):
                if text not in place:
                    place[text] = len(where)
                    where.append((row, column))
        names, candidates = list(place), np.stack([vectors[at] for at in where])
        right: dict[str, list[int]] = {}
        for anchor, positive in zip(texts[0], texts[1], strict=True):
            right.setdefault(anchor, []).append(place[positive])
        own = np.asarray([place[text] for text in texts[1]])
        columns: dict[str, list[Any]] = {"prediction": [], "rank": [], "similarity": [], "nll": []}
        for start in range(0, len(own), ROWS):
            cosines = vectors[start : start + ROWS, 0] @ candidates.T
            for row, found in enumerate(cosines, start):
                columns["prediction"].append(names[int(found.argmax())])
                similarity = found[own[row]]
                others = np.delete(found, right[texts[0][row]])
                columns["rank"].append(1 + int((others > similarity).sum()) + int((others == similarity).sum()) / 2)
                columns["similarity"].append(float(similarity))
                logits = np.append(others, similarity).astype("float64") * self.scale
                highest = logits.max()
                columns["nll"].append(float(np.log(np.exp(logits - highest).sum()) + highest - logits[-1]))
        table: dict[str, Any] = {
            "id": [str(one) for one in examples.ids],
            "label": pa.array(texts[1], pa.string()),
            **columns,
            "candidates": pa.array([len(where)] * len(examples), pa.int64()),
        }
        if len(texts) > 2:
            table["negative_similarity"] = pa.array(_cosines(vectors, 2), pa.float64())
        return pa.table(table | _kept(vectors, self.keep_vectors) | named_inputs(examples.inputs, RESERVED))

    def score(self, table: pa.Table) -> dict[str, float]:
        """`loss` too: a mean over batches would depend on which rows are evaluated beside each other."""
        from exp import metrics

        found = metrics.compute(self.metrics, self.kind, self._ranks(table), table["candidates"].to_numpy())
        return {"loss": float(table["nll"].to_numpy().mean()), **found}

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive
        from exp.metrics.sums import mean

        if metric == metric_names.LOSS:
            return mean(table["nll"].to_numpy())
        return additive(metric, self.kind, self._ranks(table), table["candidates"].to_numpy())

    def _ranks(self, table: pa.Table) -> np.ndarray:
        """Of triplets with what the positive is more similar by, as the metrics read them."""
        import numpy as np

        ranks = table["rank"].to_numpy()
        if self.kind == "ranks":
            return ranks
        return np.stack([ranks, table["similarity"].to_numpy() - table["negative_similarity"].to_numpy()], axis=1)

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """1 / rank."""
        return 1 / table["rank"].to_numpy()

    def chance(self, examples: Examples) -> Floors:
        """Any rank among the candidates, all alike."""
        import numpy as np

        n = len(examples)
        if n < 2:
            return Floors(None, {})
        texts = list(examples.inputs.values())
        many = len({text for column in texts[1:] for text in column})
        inverse = 1 / np.arange(1, many + 1)
        known = {"mrr": (float(inverse.mean()), float(inverse.std()) / math.sqrt(n))}
        for k in (1, 5, 10):
            p = min(k / many, 1.0)
            known[f"recall_at_{k}"] = (p, math.sqrt(p * (1 - p) / n))
        known["triplet_accuracy"] = (0.5, 0.5 / math.sqrt(n))
        return Floors(None, {name: known[name] for name in self.metrics if name in known})

    def pictures(self, table: pa.Table) -> list[pictures.Picture]:
        return []

    def summary(self, table: pa.Table) -> str:
        first = int((table["rank"].to_numpy() <= 1).sum())
        return f"the right text comes first in {first} of {len(table)}"

    def said(self, row: Mapping[str, Any]) -> str:
        return f"similarity {row['similarity']:.4f}"

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        return _flat(table)


def _cosines(vectors: np.ndarray, text: int) -> Sequence[float]:
    """Of each row's first text and its `text`."""
    return (vectors[:, 0] * vectors[:, text]).sum(-1).astype("float64")


def _kept(vectors: np.ndarray, keep: bool) -> dict[str, Any]:
    import pyarrow as pa

    if not keep:
        return {}
    return {"vectors": pa.array([list(row) for row in vectors], pa.list_(pa.list_(pa.float32())))}


def _flat(table: pa.Table) -> tuple[list[str], list[list[Any]]]:
    """Vectors stay in the Parquet file."""
    names = [name for name in table.column_names if name != "vectors"]
    return names, [[row[name] for name in names] for row in table.to_pylist()]

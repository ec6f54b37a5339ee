"""Texts as vectors whose cosine says how alike they are (bi-encoder; Reimers and Gurevych 2019).

Rows are pairs with a score (the cosine is fitted to it), pairs of an anchor and its positive, or triplets with a
negative. Of the last two every positive and negative of the micro-batch is a candidate, and the loss is that of finding
one's own (in-batch negatives; Henderson et al. 2017). So an anchor's loss depends on the rows beside it: batch 8 is
another loss than accumulation 4 x 2, which no weighing can mend. For a fixed micro-batch all promises hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Len

from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.metrics import names as metric_names
from exp.task import labels, tokens
from exp.task.assemble import assemble, read_splits
from exp.task.base import Answers, EvaluatedBatch, Head, Reading
from exp.task.embedding_reading import RankReading, SimilarityReading

if TYPE_CHECKING:
    import torch

    from exp.data.base import RawData
    from exp.data.collate import Collator
    from exp.data.features import Encoded, EncodedRows

RANKED, SCORED = ("anchor", "positive"), ("sentence1", "sentence2")  # columns where neither task nor data names them
MAX_LENGTH = 128
METRICS = {
    "similarity": ("spearmanr", "pearson"),
    "ranks": ("mrr", "recall_at_1", "recall_at_10"),
    "triplets": ("mrr", "recall_at_1", "recall_at_10", "triplet_accuracy"),
}
_USAGE = """import torch
from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PLACE")
model = AutoModel.from_pretrained("PLACE")
batch = tokenizer(["A man plays.", "Somebody is playing."], padding=True, truncation=True, return_tensors="pt")
with torch.no_grad():
    states = model(**batch).last_hidden_state
mask = batch["attention_mask"].unsqueeze(-1)
vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1))  # the mean over a text's tokens
print(vectors @ vectors.T)"""


@dataclass(frozen=True)
class SentenceEmbedding:
    """See conf/task/sentence_embedding.yaml for the keys."""

    text_columns: Annotated[list[str], Len(2, 3)] | None
    score_column: str | None
    score_range: Annotated[list[float], Len(2, 2)] | None
    scale: Annotated[float, Gt(0)]
    keep_vectors: bool
    metrics: list[str] | None
    max_length: Annotated[int, Ge(8)] | None

    def __post_init__(self) -> None:
        columns = self.text_columns or []
        if len(set(columns)) < len(columns) or self.score_column in columns:
            raise ExpError(
                f"task.text_columns=[{', '.join(columns)}] task.score_column={self.score_column}: one column is named "
                f"twice"
            )
        if self.score_column is not None and len(columns) == 3:
            raise ExpError("task.score_column: a score is of two texts, and task.text_columns names three")
        if self.score_range is not None and not self.score_range[0] < self.score_range[1]:
            raise ExpError(f"task.score_range={list(self.score_range)}: the first number must be the lower one")

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        texts, score = self._columns(roles)
        return [*texts, *([score] if score else [])]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        """The data option's own are for another task."""
        kind = self._kind(roles)
        named = tuple(self.metrics or METRICS[kind])
        metric_names.check(named, kind)
        return named

    def read(self, raw: RawData) -> TaskData:
        texts, score = self._columns(raw.roles)
        facts: dict[str, Any] = {
            "inputs": list(texts),
            "score_column": score,
            "score_range": self._range(raw, score) if score else None,
            "predicts": "how alike two texts are",
            "usage": _USAGE,
        }

        return assemble(
            raw,
            read_splits(raw, partial(self.examples, facts=facts)),
            metrics=self.check_metrics(raw.roles),
            max_length=self.max_length or raw.roles.get("max_length") or MAX_LENGTH,
            facts=facts,
        )

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        """Targets are the scores; where rows are ranked the place of the positive, which is known of every row."""
        inputs = {name: rows.texts(name) for name in facts["inputs"]}
        for name, cells in inputs.items():
            empty = next((row for row, cell in enumerate(cells) if not cell.strip()), None)
            if empty is not None:
                raise ExpError(f"{rows.where(empty)}: column {name!r} is empty")
        score = facts["score_column"]
        targets: list[Any] | None = [1] * len(rows)
        if score is not None:
            known = labelled or labels.is_labelled(rows, score, None, None)
            targets = self._scores(rows, score) if known else None
        return Examples(list(range(len(rows))), inputs, targets)

    def head(self, data: TaskData) -> Head:
        ranked, scale = data.facts["score_column"] is None, self.scale

        def prepare(model: Any, processor: Any) -> None:
            from exp.task.embedding_model import prepare

            prepare(model, scale if ranked else None)

        return Head(
            auto_class="AutoModel",
            labels=None,
            problem_type=None,
            peft_task="FEATURE_EXTRACTION",
            pipeline="feature-extraction",
            max_length=data.max_length,
            drawn=False,
            prepare=prepare,
        )

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        from exp.data.features import encode_splits

        allowed = tokens.longest(processor, data.max_length, pair=False)
        tokens.without_length_options(processor)
        key = {"task": "sentence_embedding", "max_length": allowed, **tokens.tokenizer_key(processor)}

        def make(split: Examples) -> EncodedRows:
            return _texts(processor, list(split.inputs.values()), allowed)

        def targets(split: Examples) -> list[Any] | None:
            if data.facts["score_column"] is None or split.targets is None:
                return None
            low, high = data.facts["score_range"]
            return [(score - low) / (high - low) for score in split.targets]

        return encode_splits(data, key, cache_dir, make, targets)

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        from exp.task.embedding_model import TextsCollator

        left = processor.padding_side == "left"
        return TextsCollator(tokens.fills(processor), left=left, pad_to_multiple_of=pad_to_multiple_of)

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Rows."""
        return len(batch["input_ids"])

    def answer(self, batch: EvaluatedBatch) -> Answers:
        """The vectors of each row's texts, of length 1."""
        return {"vectors": list(batch.output.embeddings.float().cpu().numpy())}

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        return Rows(Path("typed"), {column: [text] for column, text in zip(columns, texts, strict=True)}, [1])

    def reading(self, facts: Mapping[str, Any]) -> Reading:
        metrics, inputs = tuple(facts["metrics"]), tuple(facts["inputs"])
        if facts["score_column"] is None:
            return RankReading(metrics, inputs, self.scale, self.keep_vectors)
        return SimilarityReading(metrics, tuple(facts["score_range"]), self.keep_vectors)

    # ---- columns ----

    def _columns(self, roles: Mapping[str, Any]) -> tuple[tuple[str, ...], str | None]:
        """Of the texts and of the score. Raises ExpError for data that are no pairs."""
        score = self.score_column or (None if self.text_columns else roles.get("score_column"))
        texts = tuple(self.text_columns or roles.get("text_columns") or (SCORED if score else RANKED))
        if len(texts) not in (2, 3):
            raise ExpError(
                f"task=sentence_embedding reads two or three texts a row, and this data has {' and '.join(texts)}; "
                f"take data=paraphrases, stsb or sick, or name task.text_columns"
            )
        if score is None and not self.text_columns and roles.get("label_names"):
            names = ", ".join(map(str, roles["label_names"]))
            raise ExpError(
                f"task=sentence_embedding: the pairs of this data have classes ({names}): not all are alike; "
                f"take data=paraphrases, stsb or sick, or task=text_classification"
            )
        return texts, score

    def _kind(self, roles: Mapping[str, Any]) -> str:
        texts, score = self._columns(roles)
        return "similarity" if score else "ranks" if len(texts) == 2 else "triplets"

    def _scores(self, rows: Rows, column: str) -> list[float]:
        found = labels.scores(rows, column)
        for row, score in enumerate(found if self.score_range else ()):
            low, high = self.score_range or (0.0, 0.0)
            if not low <= score <= high:
                raise ExpError(
                    f"{rows.where(row)}: the score {score:g} is outside of task.score_range=[{low:g}, {high:g}]"
                )
        return found

    def _range(self, raw: RawData, column: str) -> list[float]:
        known = self.score_range or raw.roles.get("score_range")
        if known:
            return [float(one) for one in known]
        found = labels.scores(raw.train, column)
        if len(set(found)) < 2:
            raise ExpError(f"{raw.train.path}: column {column!r} has one score only; there is nothing to fit")
        return [min(found), max(found)]


def _texts(tokenizer: Any, columns: Sequence[list[str]], max_length: int) -> EncodedRows:
    """Fields hold all texts of a row end to end, and `text_lengths` says where they part."""
    import numpy as np

    from exp.data.features import EncodedRows, Ragged

    flat = [text for row in zip(*columns, strict=True) for text in row]
    fields = tokens.tokenized(tokenizer, [flat], max_length)
    ends = np.arange(0, len(flat) + 1, len(columns), dtype=np.int64)
    lengths = np.diff(fields["input_ids"].starts).astype(np.int32)
    rows = {name: Ragged(one.values, one.starts[ends]) for name, one in fields.items()}
    return EncodedRows({**rows, "text_lengths": Ragged(lengths, ends)}, kept={})

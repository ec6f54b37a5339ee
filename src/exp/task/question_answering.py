"""Answers that stand in a text (SQuAD): the model points at their first and last token."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.metrics import names as metric_names
from exp.task import gold, tokens
from exp.task.answer_reading import AnswerReading
from exp.task.assemble import Splits, assemble, ids_of
from exp.task.base import Answers, EvaluatedBatch, Head
from exp.task.forward import correct_outputs
from exp.task.terms import Terms
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import torch

    from exp.data.base import RawData
    from exp.data.collate import Collator
    from exp.data.features import Encoded, EncodedRows

log = logging.getLogger("exp")
MAX_LENGTH = 384
METRICS = ("f1", "exact_match")
PARTS = ("HasAns_f1", "HasAns_exact", "NoAns_f1")  # where "no answer" is one; NoAns_exact is the same as NoAns_f1
ID_COLUMN = "id"
# transformers 5 has no pipeline for the task.
_USAGE = """import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PLACE")
model = AutoModelForQuestionAnswering.from_pretrained("PLACE")
batch = tokenizer("Where did Anna go?", "Anna went to Paris on Monday.", return_tensors="pt")
with torch.no_grad():
    output = model(**batch)
start, end = output.start_logits.argmax(), output.end_logits.argmax()
print(tokenizer.decode(batch["input_ids"][0, start : end + 1]))"""


@dataclass(frozen=True)
class QuestionAnswering:
    """See conf/task/question_answering.yaml for the keys."""

    question_column: str | None
    context_column: str | None
    answers_column: str | None
    id_column: str | None
    max_length: Annotated[int, Ge(8), Le(MOST_TOKENS)] | None
    doc_stride: Annotated[int, Ge(0)] | None
    max_answer_length: Annotated[int, Ge(1)]
    n_best_size: Annotated[int, Ge(1)]
    drop_misaligned: bool
    version_2_with_negative: bool | None
    null_score_diff_threshold: float
    tune_threshold: bool
    metrics: list[str] | None

    def __post_init__(self) -> None:
        given = [name for name in (self.question_column, self.context_column, self.answers_column) if name is not None]
        if len(set(given)) < len(given):
            raise ExpError(
                f"task.question_column={self.question_column} task.context_column={self.context_column} "
                f"task.answers_column={self.answers_column}: one column is named twice"
            )
        if self.max_length is not None and (self.doc_stride or 0) > self.max_length - 6:
            raise ExpError(
                f"task.doc_stride={self.doc_stride} leaves no room for new tokens in task.max_length={self.max_length}"
            )

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        return [self._column(which, roles) for which in ("question", "context", "answers")]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        """Where neither key nor data name any, the parts are among them only if a question has no answer."""
        parts = () if self.version_2_with_negative is False else PARTS
        named = tuple(self.metrics or roles.get("metrics") or (*METRICS, *parts))
        metric_names.check(named, "spans")
        return named

    def read(self, raw: RawData) -> TaskData:
        question, context, answers = self.columns_of(raw.roles)
        said = {"predicts": "an answer that stands in the text", "usage": _USAGE}
        facts: dict[str, Any] = {"inputs": [question, context], "label_column": answers, **said}
        ids = self.id_column or raw.id_column or raw.roles.get("id_column")

        def split(rows: Rows, labelled: bool) -> tuple[Rows, Examples]:
            found = self._read(rows, facts, labelled)
            if found.targets is not None:
                kept = gold.aligned_rows(rows, found.targets, found.inputs[context], self.drop_misaligned)
                rows, found = rows.take(kept), found.take(kept)
            column = ids or (ID_COLUMN if ID_COLUMN in rows else None)
            return rows, Examples(ids_of(rows, column), found.inputs, found.targets)

        rows, train = split(raw.train, True)
        evals = {suffix: split(part, True)[1] for suffix, part in raw.evals.items()}
        tests = {suffix: split(part, False)[1] for suffix, part in raw.tests.items()}
        _tell_leaks(train.inputs[context], {f"test {name}".strip(): one.inputs[context] for name, one in tests.items()})
        negative = self.version_2_with_negative
        if negative is None:
            negative = any(not one.texts for part in (train, *evals.values()) for one in part.targets or ())
        facts["version_2_with_negative"] = negative
        metrics = self.metrics or raw.roles.get("metrics") or (*METRICS, *(PARTS if negative else ()))
        metric_names.check(metrics, "spans")
        return assemble(
            raw,
            Splits(train, evals, tests),
            groups=_articles(rows, train.inputs[context]),
            metrics=metrics,
            max_length=self.max_length or raw.roles.get("max_length") or MAX_LENGTH,
            facts=facts,
        )

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        found = self._read(rows, facts, labelled)
        if found.targets is not None:
            gold.aligned_rows(rows, found.targets, found.inputs[facts["inputs"][1]], drop=False)
        return found

    def _read(self, rows: Rows, facts: Mapping[str, Any], labelled: bool) -> Examples:
        """Targets are `Gold`. Raises ExpError for an empty question or context, and for answers of another shape."""
        answers = facts["label_column"]
        inputs = {column: rows.texts(column) for column in facts["inputs"]}
        for column, texts in inputs.items():
            for row, text in enumerate(texts):
                if not text.strip():
                    raise ExpError(f"{rows.where(row)}: column {column!r} is empty")
        cells = rows.column(answers) if answers in rows or labelled else []
        targets = gold.gold_of(rows, answers) if labelled or any(cell not in (None, "") for cell in cells) else None
        return Examples(list(range(len(rows))), inputs, targets)

    def head(self, data: TaskData) -> Head:
        from exp.task.spans import span_terms

        return Head(
            auto_class="AutoModelForQuestionAnswering",
            labels=None,
            outputs=2,  # a token's scores as start and as end
            problem_type=None,
            peft_task="QUESTION_ANS",
            pipeline="question-answering",
            max_length=data.max_length,
            prepare=_prepare,
            terms=Terms("class", span_terms),
        )

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """Raises ExpError where a train answer lies in no window as a whole, unless `task.drop_misaligned`."""
        from exp.data.features import encode_splits

        allowed = tokens.longest(processor, data.max_length, pair=True)
        stride = allowed // 3 if self.doc_stride is None else self.doc_stride
        tokens.without_length_options(processor)
        key = {
            "task": "question_answering",
            "max_length": allowed,
            "doc_stride": stride,
            "drop_misaligned": self.drop_misaligned,
            **tokens.tokenizer_key(processor),
        }

        def make(split: Examples) -> EncodedRows:
            # A split that is predicted alone stands in the place of the train split.
            return self._windows(processor, split, allowed, stride, trained=split is data.train and bool(data.evals))

        return encode_splits(data, key, cache_dir, make, lambda split: None)

    def _windows(self, processor: Any, split: Examples, allowed: int, stride: int, trained: bool) -> EncodedRows:
        from exp.task import spans

        questions, contexts = split.inputs.values()
        found = spans.windows(processor, questions, contexts, split.targets, split.ids, allowed, stride)
        if not found.lost:
            return found.made
        named = ", ".join(str(split.ids[row]) for row in found.lost[: gold.NAMED])
        said = (
            f"{len(found.lost)} of {len(split)} answers lie in no window of task.max_length={allowed} with "
            f"task.doc_stride={stride} as a whole (ids {named}{', ...' if found.lost[gold.NAMED :] else ''})"
        )
        if not trained:
            log.warning("evaluation: %s; they cannot be found, and the loss takes them for no answer", said)
            return found.made
        if not self.drop_misaligned:
            raise ExpError(
                f"{said}: they would be trained as having no answer. Raise task.doc_stride or task.max_length, or "
                f"leave them out with task.drop_misaligned=true"
            )
        log.warning("train: %s; they are left out", said)
        return spans.without(found.made, found.lost)

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        from exp.task.spans import SpanCollator

        left = processor.padding_side == "left"
        return SpanCollator(tokens.fills(processor), left=left, pad_to_multiple_of=pad_to_multiple_of)

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Windows."""
        return len(batch["input_ids"])

    def answer(self, batch: EvaluatedBatch) -> Answers:
        """For each window its best spans and the score of "no answer"."""
        from exp.task.spans import best_spans

        mask, kept = batch.inputs["attention_mask"], batch.features.kept
        found = best_spans(batch.output, mask, kept, batch.rows, self.n_best_size, self.max_answer_length)
        return {"begins": found.begins, "ends": found.ends, "scores": found.scores, "nulls": found.nulls}

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        return Rows(Path("typed"), {column: [text] for column, text in zip(columns, texts, strict=True)}, [1])

    def reading(self, facts: Mapping[str, Any]) -> AnswerReading:
        tuned = facts.get("tuned") or {}
        return AnswerReading(
            context=facts["inputs"][1],
            metrics=tuple(facts["metrics"]),
            negative=facts["version_2_with_negative"],
            threshold=tuned.get("null_score_diff_threshold", self.null_score_diff_threshold),
            tune=self.tune_threshold,
            n_best=self.n_best_size,
        )

    def _column(self, which: str, roles: Mapping[str, Any]) -> str:
        name = f"{which}_column"
        return getattr(self, name) or roles.get(name) or which


def _prepare(model: Any, processor: Any) -> None:
    from exp.task.spans import without_padding

    correct_outputs(model, without_padding)


def _articles(rows: Rows, contexts: Sequence[str]) -> Sequence[Any]:
    """What held-out rows may not share with train rows: the article, or the context where all are of one article."""
    titles = rows.columns.get("title") or []
    return titles if len({str(title) for title in titles}) > 1 else contexts


def _tell_leaks(train: Sequence[str], tests: Mapping[str, Sequence[str]]) -> None:
    seen = set(train)
    for name, contexts in tests.items():
        shared = sum(context in seen for context in contexts)
        if shared:
            log.warning("%s: %d of %d questions have a context that was trained on", name, shared, len(contexts))

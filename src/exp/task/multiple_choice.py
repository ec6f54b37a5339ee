"""The right one of several choices: every choice is read with the context, and the highest score wins (SWAG)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le, Len

from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.metrics import names as metric_names
from exp.task import labels, tokens
from exp.task.assemble import assemble, read_splits
from exp.task.base import Answers, EvaluatedBatch, Head, named_inputs
from exp.task.choice_reading import CHOICES, ChoiceReading
from exp.task.choices import blank_choices, choice_terms, choices_of, right_ones, without_padded_choices
from exp.task.forward import correct_outputs
from exp.task.terms import Terms
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import torch

    from exp.data.base import RawData
    from exp.data.collate import Collator
    from exp.data.features import Encoded, EncodedRows

CONTEXT_COLUMN, CHOICES_COLUMN, LABEL_COLUMN, MAX_LENGTH = "context", "choices", "label", 128
METRICS = ("accuracy",)
# transformers has no pipeline for the task.
_USAGE = """import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PLACE")
model = AutoModelForMultipleChoice.from_pretrained("PLACE")
context, choices = "Anna is hungry.", ["She eats an apple.", "She reads a book."]
batch = tokenizer([context] * len(choices), choices, padding=True, return_tensors="pt")
with torch.no_grad():
    logits = model(**{key: value[None] for key, value in batch.items()}).logits
print(choices[logits.argmax()])"""


@dataclass(frozen=True)
class MultipleChoice:
    """See conf/task/multiple_choice.yaml for the keys."""

    context_column: str | None
    question_column: str | None
    choices_column: str | Annotated[list[str], Len(2)] | None
    label_column: str | None
    metrics: list[str] | None
    max_length: Annotated[int, Ge(8), Le(MOST_TOKENS)] | None

    def __post_init__(self) -> None:
        choices = [self.choices_column] if isinstance(self.choices_column, str) else self.choices_column or []
        named = [self.context_column, self.question_column, *choices, self.label_column]
        given = [name for name in named if name is not None]
        doubled = next((name for name in given if given.count(name) > 1), None)
        if doubled is not None:
            raise ExpError(f"task: the column {doubled!r} is named for two things")

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        """Without those inside of objects, which are known when the rows are read."""
        columns = self._columns(roles)
        return [name for name in (*columns["inputs"], columns["label_column"]) if "." not in name]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        named = tuple(self.metrics or roles.get("metrics") or METRICS)
        metric_names.check(named, "choices")
        return named

    def read(self, raw: RawData) -> TaskData:
        facts = {**self._columns(raw.roles), "predicts": "the right one of several choices", "usage": _USAGE}

        return assemble(
            raw,
            read_splits(raw, partial(self.examples, facts=facts)),
            metrics=self.check_metrics(raw.roles),
            max_length=self.max_length or raw.roles.get("max_length") or MAX_LENGTH,
            facts=facts,
        )

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        """Inputs are the context, the question where there is one, `choices` and `names` (lists); targets indices."""
        texts = [name for name in (facts["context_column"], facts["question_column"]) if name is not None]
        inputs = named_inputs({name: rows.texts(name) for name in texts}, CHOICES)
        for row, context in enumerate(rows.texts(facts["context_column"])):
            if not context.strip():
                raise ExpError(f"{rows.where(row)}: column {facts['context_column']!r} is empty")
        choices = choices_of(rows, facts["choices_columns"])
        inputs |= {"choices": [one.texts for one in choices], "names": [one.names for one in choices]}
        label = facts["label_column"]
        known = labelled or labels.is_labelled(rows, label, None, None)
        return Examples(list(range(len(rows))), inputs, right_ones(rows, label, choices) if known else None)

    def head(self, data: TaskData) -> Head:
        return Head(
            auto_class="AutoModelForMultipleChoice",
            labels=None,
            problem_type=None,
            peft_task="SEQ_CLS",  # peft has no other for one score a text
            pipeline="multiple-choice",
            max_length=data.max_length,
            prepare=_prepare,
            terms=Terms("class", choice_terms, blank_choices),
        )

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """Each choice in a text pair with its context, as in run_swag: [CLS] context [SEP] question choice [SEP]."""
        from exp.data.features import encode_splits

        allowed = tokens.longest(processor, data.max_length, pair=True)
        tokens.without_length_options(processor)
        key = {"task": "multiple_choice", "max_length": allowed, **tokens.tokenizer_key(processor)}

        def make(split: Examples) -> EncodedRows:
            return _pairs(processor, split, allowed)

        return encode_splits(data, key, cache_dir, make, lambda split: split.targets)

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        from exp.task.choices import ChoiceCollator

        left = processor.padding_side == "left"
        return ChoiceCollator(tokens.fills(processor), left=left, pad_to_multiple_of=pad_to_multiple_of)

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Rows."""
        return len(batch["input_ids"])

    def answer(self, batch: EvaluatedBatch) -> Answers:
        """For each row the score of each of its choices."""
        from exp.task.choices import real_choices

        real = real_choices(batch.inputs["attention_mask"]).cpu().numpy()
        logits = batch.output.logits.float().cpu().numpy()
        return {"logits": [row[there] for row, there in zip(logits, real, strict=True)]}

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        """Choices in one column are typed with a bar between them."""
        return Rows(Path("typed"), {column: [text] for column, text in zip(columns, texts, strict=True)}, [1])

    def reading(self, facts: Mapping[str, Any]) -> ChoiceReading:
        return ChoiceReading(tuple(facts["metrics"]))

    def _columns(self, roles: Mapping[str, Any]) -> dict[str, Any]:
        context = self.context_column or roles.get("context_column") or CONTEXT_COLUMN
        question = self.question_column or roles.get("question_column")
        choices = self.choices_column or roles.get("choices_column") or CHOICES_COLUMN
        columns = [choices] if isinstance(choices, str) else list(choices)
        return {
            "inputs": [context, *([question] if question else []), *columns],
            "context_column": context,
            "question_column": question,
            "choices_columns": columns,
            "label_column": self.label_column or roles.get("label_column") or LABEL_COLUMN,
        }


def _prepare(model: Any, processor: Any) -> None:
    correct_outputs(model, without_padded_choices)


def _pairs(tokenizer: Any, split: Examples, max_length: int) -> EncodedRows:
    """Fields hold all choices of a row end to end, and `choice_lengths` says where they part."""
    import numpy as np

    from exp.data.features import EncodedRows, Ragged

    context, *questions = [cells for name, cells in split.inputs.items() if name not in CHOICES]
    choices = split.inputs["choices"]
    before = questions[0] if questions else [""] * len(choices)
    firsts = [text for text, row in zip(context, choices, strict=True) for _ in row]
    seconds = [f"{text} {choice}".strip() for text, row in zip(before, choices, strict=True) for choice in row]
    fields = tokens.tokenized(tokenizer, [firsts, seconds], max_length)
    ends = np.cumsum([0, *map(len, choices)])
    lengths = np.diff(fields["input_ids"].starts).astype(np.int32)
    rows = {name: Ragged(one.values, one.starts[ends]) for name, one in fields.items()}
    return EncodedRows({**rows, "choice_lengths": Ragged(lengths, ends.astype(np.int64))}, kept={})

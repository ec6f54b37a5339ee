"""One tag a word: entities in IOB2, or plain tags such as parts of speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Le

from exp.data.collate import IGNORED, Collator
from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows
from exp.errors import ExpError, nearest
from exp.metrics import names as metric_names
from exp.task import labels, terms, tokens
from exp.task.assemble import assemble, read_splits
from exp.task.base import Answers, EvaluatedBatch, Head
from exp.task.tag_reading import TagReading
from exp.task.tag_windows import windows
from exp.task.tags import check_iob2, continuations, scheme_of, tag_names, tags_of, words_of
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import torch

    from exp.data.base import RawData
    from exp.data.features import Encoded, EncodedRows

TOKENS_COLUMN, TAGS_COLUMN, MAX_LENGTH = "tokens", "tags", 128
METRICS = {"iob2": ("entity_f1", "entity_precision", "entity_recall", "accuracy"), "plain": ("accuracy",)}


@dataclass(frozen=True)
class TokenClassification:
    """See conf/task/token_classification.yaml for the keys."""

    tokens_column: str | None
    tags_column: str | None
    label_names: list[str | int] | None
    scheme: Literal["iob2", "plain"] | None
    label_all_tokens: bool
    stride: Annotated[int, Ge(0)]
    metrics: list[str] | None
    max_length: Annotated[int, Ge(8), Le(MOST_TOKENS)] | None

    def __post_init__(self) -> None:
        labels.check_names(self.label_names)
        if self.tokens_column is not None and self.tokens_column == self.tags_column:
            raise ExpError(f"task.tokens_column={self.tokens_column} is task.tags_column too")
        if self.max_length is not None and self.stride > self.max_length - 6:
            raise ExpError(
                f"task.stride={self.stride} leaves no room for new words in task.max_length={self.max_length}"
            )

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        return [self._column("tokens", roles), self._column("tags", roles)]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        """Where neither key nor data name any, they depend on the tags; those are checked when the rows are read."""
        named = tuple(self.metrics or roles.get("metrics") or METRICS[self.scheme or "iob2"])
        metric_names.check(named, "tags")
        return named

    def read(self, raw: RawData) -> TaskData:
        words, tags = self._column("tokens", raw.roles), self._column("tags", raw.roles)
        asked = [str(name) for name in self.label_names or raw.roles.get("label_names") or ()]
        found = tags_of(raw.train, words, tags, asked)
        if not found:
            raise ExpError(f"{raw.train.path} has no rows")
        labels.warn_of_twins(Counter(tag for row in found for tag in row), tags, "words")
        scheme = self.scheme or raw.roles.get("scheme") or scheme_of(found)
        names = asked or tag_names(found, scheme)
        if len(names) < 2:
            raise ExpError(f"{raw.train.path}: every word has the tag {names[0]!r} in column {tags!r}")
        facts = {
            "inputs": [words],
            "label_column": tags,
            "label_names": names,
            "labels_by_index": bool(asked),
            "scheme": scheme,
        }

        metrics = self.metrics or raw.roles.get("metrics") or METRICS[scheme]
        metric_names.check(metrics, "tags")
        return assemble(
            raw,
            read_splits(raw, partial(self.examples, facts=facts)),
            labels=names,
            metrics=metrics,
            max_length=self.max_length or raw.roles.get("max_length") or MAX_LENGTH,
            facts=facts,
        )

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        """Targets are lists of tag indices, one a word.

        Raises ExpError, with file, row and column, for a sentence without words, a cell that is no list, more or fewer
        tags than words, an unknown tag, and an entity that does not begin with B- where the tags are IOB2.
        """
        (words,), tags, names = facts["inputs"], facts["label_column"], facts["label_names"]
        sentences = [words_of(rows, words, row) for row in range(len(rows))]
        ids = list(range(len(rows)))
        if not labelled and all(cell in (None, "", []) for cell in labels.cells_of(rows, tags)):
            return Examples(ids, {words: sentences}, None)
        index = {name: number for number, name in enumerate(names)}
        given = facts["labels_by_index"]
        why = "is none of the names that were given" if given else "does not occur in training"
        targets = []
        for row, found in enumerate(tags_of(rows, words, tags, names if given else ())):
            if facts["scheme"] == "iob2":
                check_iob2(found, rows, tags, row)
            for place, tag in enumerate(found):
                if tag not in index:
                    raise ExpError(
                        f"{rows.where(row)}: tag {tag!r} of word {place + 1} in column {tags!r} {why}"
                        f"{nearest(tag, names)}"
                    )
            targets.append([index[tag] for tag in found])
        return Examples(ids, {words: sentences}, targets)

    def head(self, data: TaskData) -> Head:
        return Head(
            auto_class="AutoModelForTokenClassification",
            labels=data.labels,
            problem_type=None,
            peft_task="TOKEN_CLS",
            pipeline="token-classification",
            max_length=data.max_length,
            terms=terms.TOKENS,
        )

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """Sentences as word pieces, long ones in windows that overlap by `task.stride` pieces.

        Every word is answered, and counts in the loss, in one window: the one where it has most context.
        """
        from exp.data.features import encode_splits

        allowed = tokens.longest(processor, data.max_length, pair=False)
        if self.stride >= allowed - processor.num_special_tokens_to_add(pair=False):
            raise ExpError(f"task.stride={self.stride} leaves no room for new words in windows of {allowed} tokens")
        tokens.without_length_options(processor)
        key = {
            "task": "token_classification",
            "max_length": allowed,
            "stride": self.stride,
            "label_all_tokens": self.label_all_tokens,
            **tokens.tokenizer_key(processor),
        }
        inside = continuations(data.labels or ()) if self.label_all_tokens else None
        (words,) = data.train.inputs

        def make(split: Examples) -> EncodedRows:
            return windows(processor, split.inputs[words], split.targets, allowed, self.stride, inside)

        return encode_splits(data, key, cache_dir, make, lambda split: None)

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        return Collator(
            {**tokens.fills(processor), "labels": IGNORED},
            left=processor.padding_side == "left",
            pad_to_multiple_of=pad_to_multiple_of,
        )

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Labelled tokens."""
        return int((batch["labels"] != IGNORED).sum())

    def answer(self, batch: EvaluatedBatch) -> Answers:
        """For each row the tags of the words it answers, and the softmax of each."""
        import numpy as np

        best = batch.output.logits.float().softmax(-1).max(-1)
        scores, tags = best.values.cpu().numpy(), best.indices.cpu().numpy()
        real = batch.inputs["attention_mask"].cpu().numpy()
        answers: dict[str, list[Any]] = {"tags": [], "scores": []}
        for number, row in enumerate(batch.rows):
            at = batch.features.kept["at"][row] + np.argmax(real[number])  # padding on the left moves all
            answers["tags"].append(tags[number, at].astype(np.int32))
            answers["scores"].append(scores[number, at].astype(np.float32))
        return answers

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        return Rows(Path("typed"), {columns[0]: [texts[0].split()]}, [1])

    def reading(self, facts: Mapping[str, Any]) -> TagReading:
        return TagReading(facts["label_names"], tuple(facts["metrics"]), facts["inputs"][0])

    def _column(self, which: Literal["tokens", "tags"], roles: Mapping[str, Any]) -> str:
        default = {"tokens": TOKENS_COLUMN, "tags": TAGS_COLUMN}[which]
        return getattr(self, f"{which}_column") or roles.get(f"{which}_column") or default

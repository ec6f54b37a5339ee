"""One tag a word: entities in IOB2, or plain tags such as parts of speech."""

from __future__ import annotations

import math
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
from exp.task import labels, pictures, terms, tokens
from exp.task.assemble import assemble, read_splits
from exp.task.base import Answers, EvaluatedBatch, Floors, Head, Untuned, named_inputs
from exp.task.tag_windows import windows
from exp.task.tags import OUTSIDE, check_iob2, continuations, scheme_of, tag_names, tags_of, words_of
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import torch

    from exp.data.base import RawData
    from exp.data.features import Encoded, EncodedRows, FeatureSet
    from exp.metrics.sums import Additive

TOKENS_COLUMN, TAGS_COLUMN, MAX_LENGTH = "tokens", "tags", 128
METRICS = {"iob2": ("entity_f1", "entity_precision", "entity_recall", "accuracy"), "plain": ("accuracy",)}
RESERVED = ("id", "label", "prediction", "scores")


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

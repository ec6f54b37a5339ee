"""What tasks of an encoder-decoder share: a text is read, another one is generated (Sutskever et al. 2014)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from exp.data.collate import IGNORED, Collator
from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.metrics import names as metric_names
from exp.task import terms, text_pairs, tokens
from exp.task.assemble import assemble, read_splits
from exp.task.base import Answers, EvaluatedBatch, Generation, Head
from exp.task.generated import GeneratedReading, signatures
from exp.task.languages import set_languages
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import torch

    from exp.data.base import RawData
    from exp.data.features import Encoded, EncodedRows

log = logging.getLogger("exp")
# transformers 5 has no pipeline for these tasks; for the model's card.
USAGE = """from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PLACE")
model = AutoModelForSeq2SeqLM.from_pretrained("PLACE")
made = model.generate(**tokenizer("PREFIX...", return_tensors="pt"))
print(tokenizer.batch_decode(made, skip_special_tokens=True))"""


@dataclass(frozen=True)
class TextToText:
    """Keys and work of summarization and translation; see conf/task/ for the keys."""

    generates: ClassVar[bool] = True
    # What a subclass is, where neither key nor data option say it.
    pipeline: ClassVar[str]
    predicts: ClassVar[str]
    default_columns: ClassVar[tuple[str, str]]
    default_metrics: ClassVar[tuple[str, ...]]
    default_lengths: ClassVar[tuple[int, int]]

    source_column: str | None
    target_column: str | None
    source_prefix: str | None
    source_lang: str | None
    target_lang: str | None
    drop_empty: bool
    metrics: list[str] | None
    max_source_length: Annotated[int, Ge(4), Le(MOST_TOKENS)] | None
    max_target_length: Annotated[int, Ge(4), Le(MOST_TOKENS)] | None
    generate_in_training: bool
    num_beams: Annotated[int, Ge(1)] | None
    length_penalty: float | None
    early_stopping: bool | Literal["never"] | None
    no_repeat_ngram_size: Annotated[int, Ge(0)] | None
    repetition_penalty: Annotated[float, Gt(0)] | None
    min_new_tokens: Annotated[int, Ge(0)] | None
    max_new_tokens: Annotated[int, Ge(1), Le(MOST_TOKENS)] | None

    def __post_init__(self) -> None:
        if self.source_column is not None and self.source_column == self.target_column:
            raise ExpError(f"task.source_column={self.source_column} is task.target_column too")
        if self.min_new_tokens and self.max_new_tokens and self.min_new_tokens > self.max_new_tokens:
            raise ExpError(
                f"task.min_new_tokens={self.min_new_tokens} is above task.max_new_tokens={self.max_new_tokens}"
            )
        if self.num_beams == 1:
            for key in ("length_penalty", "early_stopping"):
                if getattr(self, key) not in (None, False):
                    raise ExpError(f"task.{key}={getattr(self, key)} is for beams: set task.num_beams to 2 or more")

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        """`a.b`, a key of the objects in column a, is looked for when the rows are read."""
        return [name for name in self.columns_read(roles) if "." not in name]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        named = tuple(self.metrics or roles.get("metrics") or self.default_metrics)
        metric_names.check(named, "text")
        return named

    def read(self, raw: RawData) -> TaskData:
        source, target = self.columns_read(raw.roles)
        length, target_length = self._lengths(raw.roles)
        metrics = self.check_metrics(raw.roles)
        facts = {
            "inputs": [source],
            "label_column": target,
            "predicts": self.predicts,
            "usage": USAGE.replace("PREFIX", self.source_prefix or ""),
            "max_target_length": target_length,
        }

        def kept(rows: Rows, labelled: bool) -> tuple[Rows, bool]:
            if self.drop_empty:
                has_targets = labelled or text_pairs.are_there(rows, target)
                rows = text_pairs.without_empty(rows, [source, target] if has_targets else [source])
            return rows, labelled

        data = assemble(
            raw,
            read_splits(raw, partial(self.examples, facts=facts), kept),
            metrics=metrics,
            max_length=length,
            facts=facts,
        )
        signed = {
            name: signatures(metrics, one.targets)
            for name, one in data.splits().items()
            if name != "train" and one.targets is not None
        }
        return replace(data, facts={**facts, "signatures": signed})

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        """Targets are lists of references, the first is trained on.

        Raises ExpError, with file, row and column, for a cell that is empty or no text.
        """
        (source,), target = facts["inputs"], facts["label_column"]
        inputs = {source: text_pairs.sources(rows, source)}
        ids = list(range(len(rows)))
        if not labelled and not text_pairs.are_there(rows, target):
            return Examples(ids, inputs, None)
        return Examples(ids, inputs, text_pairs.targets(rows, target))

    def head(self, data: TaskData) -> Head:
        target_length = data.facts["max_target_length"]
        settings = {
            "num_beams": self.num_beams,
            "length_penalty": self.length_penalty,
            "early_stopping": self.early_stopping,
            "no_repeat_ngram_size": self.no_repeat_ngram_size,
            "repetition_penalty": self.repetition_penalty,
            "min_new_tokens": self.min_new_tokens,
            "max_new_tokens": self.max_new_tokens or target_length,
        }
        return Head(
            auto_class="AutoModelForSeq2SeqLM",
            labels=None,
            problem_type=None,
            peft_task="SEQ_2_SEQ_LM",
            pipeline=self.pipeline,
            max_length=max(data.max_length, target_length),
            drawn=False,
            lengths={"max_source_length": data.max_length, "max_target_length": target_length},
            generation=Generation(settings),
            terms=terms.TOKENS,
        )

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """Sources with their prefix, and first targets, each cut to its own length.

        Raises ExpError for a language that the tokenizer does not know, and for a target without a single token.
        """
        from exp.data.features import EncodedRows, Ragged, encode_splits

        set_languages(processor, self.source_lang, self.target_lang)
        tokens.without_length_options(processor)
        length, target_length = data.max_length, data.facts["max_target_length"]
        prefix = self.source_prefix or ""
        key = {
            "task": "text_to_text",
            "max_source_length": length,
            "max_target_length": target_length,
            "source_prefix": prefix,
            "languages": [getattr(processor, name, None) for name in ("src_lang", "tgt_lang")],
            **tokens.tokenizer_key(processor),
        }
        (source,) = data.train.inputs
        full: Counter[str] = Counter()

        def make(split: Examples) -> EncodedRows:
            texts = [prefix + text for text in split.inputs[source]]
            ids = tokens.tokenized(processor, [texts], length)["input_ids"]
            labels = _target_ids(processor, split, target_length, data.name)
            for name, rows, most in (("source", ids, length), ("target", labels, target_length)):
                full[name] += sum(len(rows[row]) >= most for row in range(len(rows)))
            return EncodedRows({"input_ids": ids, "labels": Ragged.of(labels, "int32")}, kept={})

        encoded = encode_splits(data, key, cache_dir, make, lambda split: None)
        for name, count in full.items():
            if count:
                log.info("%d %ss fill task.max_%s_length and may have been cut to it", count, name, name)
        return encoded

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        """Encoder and decoder are padded on the right: both count positions from the first token."""
        return Collator(
            {**tokens.fills(processor), "labels": IGNORED}, left=False, pad_to_multiple_of=pad_to_multiple_of
        )

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Target tokens, the end token included."""
        return int((batch["labels"] != IGNORED).sum())

    def answer(self, batch: EvaluatedBatch) -> Answers | None:
        """The generated texts, and how many tokens each of them took, its end token included."""
        if not (batch.final or self.generate_in_training):
            return None
        from transformers.modeling_outputs import BaseModelOutput

        from exp.task.greedy import generate

        model = getattr(batch.model, "module", batch.model)  # without DistributedDataParallel
        states = getattr(batch.output, "encoder_last_hidden_state", None)
        read = {} if states is None else {"encoder_outputs": BaseModelOutput(last_hidden_state=states)}
        inputs = {name: batch.inputs[name] for name in ("input_ids", "attention_mask")}
        made = generate(model, {**inputs, **read}).cpu().tolist()
        end, pad = batch.processor.eos_token_id, batch.processor.pad_token_id
        rows = [_until(row[1:], end, pad) for row in made]  # the first is the decoder's start token
        texts = batch.processor.batch_decode(rows, skip_special_tokens=True)
        return {"texts": [text.strip() for text in texts], "lengths": [len(row) for row in rows]}

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        return Rows(Path("typed"), {columns[0]: [texts[0]]}, [1])

    def reading(self, facts: Mapping[str, Any]) -> GeneratedReading:
        return GeneratedReading(tuple(facts["metrics"]), facts["inputs"][0], self.generate_in_training)

    def columns_read(self, roles: Mapping[str, Any]) -> tuple[str, str]:
        source, target = self.default_columns
        return (
            self.source_column or roles.get("source_column") or source,
            self.target_column or roles.get("target_column") or target,
        )

    def _lengths(self, roles: Mapping[str, Any]) -> tuple[int, int]:
        source, target = self.default_lengths
        return (
            self.max_source_length or roles.get("max_source_length") or source,
            self.max_target_length or roles.get("max_target_length") or target,
        )


def _target_ids(tokenizer: Any, split: Examples, max_length: int, name: str) -> list[Any]:
    """Ids of each first reference, as the tokenizer writes targets.

    A split without references gets the end token alone: a decoder runs on something, and its encoder's states are
    what generation starts from. No metric counts it.
    """
    import numpy as np

    if split.targets is None:
        end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.pad_token_id
        return [np.array([end], np.int32)] * len(split)
    texts = [references[0] for references in split.targets]
    special = len(tokenizer(text_target="")["input_ids"])
    found: list[Any] = []
    for start in range(0, len(texts), tokens.BATCH):
        batch = tokenizer(text_target=texts[start : start + tokens.BATCH], truncation=True, max_length=max_length)
        found.extend(np.asarray(row, dtype=np.int32) for row in batch["input_ids"])
    tokens.without_length_options(tokenizer)
    for row, ids in enumerate(found):
        if len(ids) <= special:
            raise ExpError(
                f"data {name!r}, id {split.ids[row]}: the target {texts[row]!r} becomes no token; mend or remove it"
            )
    return found


def _until(row: list[int], end: int | None, pad: int | None) -> list[int]:
    """Up to the end token; a tokenizer may pad with that very token."""
    if end in row:
        return row[: row.index(end) + 1]
    return [token for token in row if token != pad]

"""Tokens that were masked, found from both sides: continued pre-training of encoders (BERT, RoBERTa, ModernBERT)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from exp.data.collate import IGNORED, Collator
from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.metrics import names as metric_names
from exp.task import documents, terms, tokens
from exp.task.base import Answers, EvaluatedBatch, Head
from exp.task.likelihood import LikelihoodReading, token_sums
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import torch

    from exp.data.base import RawData
    from exp.data.features import Encoded, EncodedRows, FeatureSet

BLOCK_SIZE = 128  # tokens; BERT's for nine tenths of its training
METRICS = ("perplexity", "token_accuracy")
KIND = "masked_tokens"
BEST = 5  # guesses shown for a gap


@dataclass(frozen=True)
class MaskedLm:
    """See conf/task/masked_lm.yaml for the keys."""

    streams: ClassVar[bool] = True

    text_column: str | None
    between_rows: documents.Between | None
    line_by_line: bool
    block_size: Annotated[int, Ge(8), Le(MOST_TOKENS)] | None
    mlm_probability: Annotated[float, Gt(0), Lt(1)]
    whole_word_masking: bool
    mask_seed: Annotated[int, Ge(0)]
    metrics: list[str] | None

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        return [self._column(roles)]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        """The data option's own are for the next token, where it names some."""
        named = tuple(self.metrics or METRICS)
        metric_names.check(named, KIND)
        return named

    def read(self, raw: RawData) -> TaskData:
        size = self.block_size or raw.roles.get("block_size") or BLOCK_SIZE
        between = self.between_rows or raw.roles.get("between_rows") or "end_token"
        column = self._column(raw.roles)
        return documents.read_documents(raw, column, between, self.check_metrics(raw.roles), size, {})

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        return documents.text_examples(rows, facts["inputs"][0])

    def head(self, data: TaskData) -> Head:
        return Head(
            auto_class="AutoModelForMaskedLM",
            labels=None,
            problem_type=None,
            peft_task="FEATURE_EXTRACTION",  # peft has no name for it; this one changes nothing of the model
            pipeline="fill-mask",
            max_length=data.max_length,
            drawn=False,
            lengths={"block_size": data.max_length},
            terms=terms.TOKENS,
        )

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """Raises ExpError for a tokenizer without a mask token."""
        from exp.data.features import encode_splits
        from exp.task.masked_encoding import encoded_texts

        if processor.mask_token_id is None:
            raise ExpError(
                f"task=masked_lm: the tokenizer of {processor.name_or_path or 'the model'} has no mask token; "
                f"take an encoder (bert, roberta, modernbert), or task=causal_lm"
            )
        tokens.longest(processor, data.max_length, pair=False)
        tokens.without_length_options(processor)
        key = {
            "task": "masked_lm",
            "block_size": data.max_length,
            "line_by_line": self.line_by_line,
            **tokens.tokenizer_key(processor),
        }

        def make(split: Examples) -> EncodedRows:
            (texts,) = split.inputs.values()
            together = not self.line_by_line and split.targets is not None
            return encoded_texts(processor, texts, data.max_length, together)

        encoded = encode_splits(data, key, cache_dir, make, lambda split: None)
        splits = data.splits()
        return replace(
            encoded,
            train=self._masked(encoded.train, splits["train"], processor),
            evals={suffix: self._masked(one, data.evals[suffix], processor) for suffix, one in encoded.evals.items()},
            tests={suffix: self._masked(one, data.tests[suffix], processor) for suffix, one in encoded.tests.items()},
        )

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        return Collator(
            {**tokens.fills(processor), "labels": IGNORED},
            left=processor.padding_side == "left",
            pad_to_multiple_of=pad_to_multiple_of,
        )

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Masked tokens."""
        return int((batch["labels"] != IGNORED).sum())

    def answer(self, batch: EvaluatedBatch) -> Answers:
        """Sums over the masked tokens of each segment; or of typed texts the best guesses for their gaps."""
        found: dict[str, list[Any]] = {"generated": []}
        for number, row in enumerate(batch.rows):
            real = batch.inputs["attention_mask"][number].bool()
            logits = batch.output.logits[number][real]
            if "labels" not in batch.inputs:
                ids = batch.inputs["input_ids"][number][real]
                found["generated"].append(_guesses(ids, logits, batch.processor))
                continue
            labels = batch.inputs["labels"][number][real]
            for name, sums in token_sums(logits, labels, batch.features.kept["end"][row]).items():
                found.setdefault(name, []).append(sums)
            found["generated"].append(None)
        return found

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        """A text with gaps, each written as the tokenizer's mask token."""
        return Rows(Path("typed"), {columns[0]: [documents.Prompt(texts[0])]}, [1])

    def reading(self, facts: Mapping[str, Any]) -> LikelihoodReading:
        return LikelihoodReading(KIND, tuple(facts["metrics"]))

    def _column(self, roles: Mapping[str, Any]) -> str:
        return self.text_column or roles.get("text_column") or documents.TEXT_COLUMN

    def _masked(self, plain: FeatureSet, split: Examples, processor: Any) -> FeatureSet:
        from exp.task.masked_encoding import masker_of
        from exp.task.masking import MaskedFeatures

        if split.targets is None:  # its gaps are there already
            return plain
        masker = masker_of(processor, self.mlm_probability, self.whole_word_masking)
        return plain.each(lambda rows: MaskedFeatures(rows, masker, self.mask_seed))


def _guesses(ids: torch.Tensor, logits: torch.Tensor, tokenizer: Any) -> tuple[str, str]:
    """The text, and for each of its gaps the likeliest tokens with their probabilities."""
    gaps = (ids == tokenizer.mask_token_id).nonzero()[:, 0]
    lines = []
    for gap in gaps:
        best = logits[gap].float().softmax(-1).topk(min(BEST, logits.shape[-1]))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        lines.append(", ".join(f"{tokenizer.decode([token]).strip()} {chance:.3f}" for token, chance in pairs))
    return tokenizer.decode(ids.tolist()), "; ".join(lines) or f"no gap: write {tokenizer.mask_token} where one is"

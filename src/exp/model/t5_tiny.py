"""A small T5 with random weights and a vocabulary counted from both sides of the train split: no download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Lt

from exp.errors import ExpError
from exp.model.family import check_family, check_not_loaded
from exp.model.generation import set_generation
from exp.model.labels import set_labels
from exp.task.tokens import texts_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from exp.data.examples import TaskData
    from exp.task.base import Head

SPECIAL = ("<pad>", "</s>", "<unk>")  # ids 0 to 2, as in T5
SPACE = "▁"  # begins a word, as in SentencePiece


@dataclass(frozen=True)
class T5Tiny:
    """A model option that needs nothing but the data, for every task that T5 has a head for."""

    num_layers: Annotated[int, Ge(1)]
    d_model: Annotated[int, Ge(1)]
    num_heads: Annotated[int, Ge(1)]
    d_ff: Annotated[int, Ge(1)]
    dropout: Annotated[float, Ge(0), Lt(1)]
    vocab_size: Annotated[int, Gt(len(SPECIAL))]

    def __post_init__(self) -> None:
        if self.d_model % self.num_heads:
            raise ExpError(f"model.d_model={self.d_model} must be a multiple of model.num_heads={self.num_heads}")

    def processor(self, data: TaskData, head: Head) -> PreTrainedTokenizerBase:
        """Words and characters, case and spaces kept: decoded texts are as they were, but for runs of spaces.

        The same data give the same vocabulary on every machine. Raises ExpError for a task that T5 has no head for.
        """
        from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
        from tokenizers.models import WordPiece
        from transformers import PreTrainedTokenizerFast, T5Config

        check_family(T5Config(), head, "model=t5_tiny")
        normalizer = normalizers.Replace(Regex(r"\s+"), " ")
        splitter = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(replacement=SPACE), pre_tokenizers.Punctuation(behavior="isolated")]
        )
        # Classes, numbers and spans are targets too, and no texts.
        texts = [target for target in data.train.targets or () if isinstance(target, str | list)]
        lines = texts_of({**data.train.inputs, "targets of the task": texts})
        counts: Counter[str] = Counter()
        for line in lines:
            counts.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(line)))
        words = vocabulary(counts, self.vocab_size)

        model = WordPiece(
            {word: row for row, word in enumerate(words)}, unk_token="<unk>", continuing_subword_prefix=""
        )
        backend = Tokenizer(model)
        backend.normalizer = normalizer
        backend.pre_tokenizer = splitter
        backend.decoder = decoders.Metaspace(replacement=SPACE)
        backend.post_processor = processors.TemplateProcessing(
            single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", words.index("</s>"))]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=backend,
            pad_token="<pad>",
            eos_token="</s>",
            unk_token="<unk>",
            model_input_names=["input_ids", "attention_mask"],
        )

    def model(self, head: Head, processor: PreTrainedTokenizerBase, **load: Any) -> PreTrainedModel:
        """A T5 with the head that the task asks for, drawn from the current torch RNG.

        Raises ExpError when an adapter asks for quantised loading: there is nothing to load.
        """
        import transformers

        check_not_loaded(load, "model=t5_tiny")
        config = transformers.T5Config(
            vocab_size=len(processor),
            d_model=self.d_model,
            d_kv=self.d_model // self.num_heads,
            d_ff=self.d_ff,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            dropout_rate=self.dropout,
            pad_token_id=processor.pad_token_id,
            eos_token_id=processor.eos_token_id,
            decoder_start_token_id=processor.pad_token_id,
        )
        set_labels(config, head)
        model = getattr(transformers, head.auto_class).from_config(config)
        set_generation(model, head, processor)
        return model


def vocabulary(counts: Counter[str], size: int) -> list[str]:
    """Special tokens, every character, then words with the sign of their beginning, the most frequent first.

    Counted and not trained by merges, because ties there fall differently on different machines. A word that was seen
    once would hardly be learnt; it is spelt, as an unseen one is.
    """
    characters = sorted({character for word in counts for character in word})
    words = [*SPECIAL, *_new(characters, SPECIAL)]
    frequent = sorted((word for word, count in counts.items() if count > 1), key=lambda word: (-counts[word], word))
    words += _new(frequent, words)
    return words[: max(size, len(SPECIAL) + len(characters))]


def _new(words: Iterable[str], known: Iterable[str]) -> list[str]:
    seen = set(known)
    return [word for word in words if word not in seen]

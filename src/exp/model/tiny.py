"""A small BERT with random weights and a vocabulary counted from the train split: no download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Lt

from exp.errors import ExpError
from exp.model.family import check_family, check_not_loaded
from exp.model.labels import set_labels
from exp.task.tokens import texts_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from exp.data.examples import TaskData
    from exp.task.base import Head

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4
_POSITIONS = 512  # BERT's; a longer task.max_length raises it


@dataclass(frozen=True)
class BertTiny:
    """A model option that needs nothing but the data. Raises ExpError for sizes that cannot work."""

    num_hidden_layers: Annotated[int, Ge(1)]
    hidden_size: Annotated[int, Ge(1)]
    num_attention_heads: Annotated[int, Ge(1)]
    intermediate_size: Annotated[int, Ge(1)]
    dropout: Annotated[float, Ge(0), Lt(1)]
    vocab_size: Annotated[int, Gt(len(SPECIAL))]

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ExpError(
                f"model.hidden_size={self.hidden_size} must be a multiple of"
                f" model.num_attention_heads={self.num_attention_heads}"
            )

    def processor(self, data: TaskData, head: Head) -> PreTrainedTokenizerBase:
        """A lower-casing WordPiece tokenizer; the same data give the same vocabulary on every machine.

        Raises ExpError for a task that a BERT has no head for.
        """
        from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
        from tokenizers.models import WordPiece
        from transformers import BertConfig, PreTrainedTokenizerFast

        self.check_head(BertConfig(), head)
        normalizer = normalizers.BertNormalizer(lowercase=True)
        splitter = pre_tokenizers.BertPreTokenizer()
        # A space always parts two words: what stands between spaces is looked at once, however often it comes.
        chunks: Counter[str] = Counter()
        for text in texts_of(data.train.inputs):
            chunks.update(text.split(" "))
        counts: Counter[str] = Counter()
        for chunk, times in chunks.items():
            for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(chunk)):
                counts[word] += times
        words = vocabulary(counts, self.vocab_size)

        backend = Tokenizer(WordPiece({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
        backend.normalizer = normalizer
        backend.pre_tokenizer = splitter
        backend.decoder = decoders.WordPiece()
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))],
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=backend,
            pad_token="[PAD]",
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            mask_token="[MASK]",
            model_max_length=max(_POSITIONS, head.max_length),
            model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        )

    def check_head(self, config: PreTrainedConfig, head: Head) -> None:
        """Raises ExpError for a task that a BERT has no head for."""
        check_family(config, head, "model=bert_tiny")

    def model(self, head: Head, processor: PreTrainedTokenizerBase, **load: Any) -> PreTrainedModel:
        """A BERT with the head that the task asks for, drawn from the current torch RNG.

        Raises ExpError when an adapter asks for quantised loading: there is nothing to load.
        """
        from transformers import BertConfig

        check_not_loaded(load, "model=bert_tiny")
        config = BertConfig(
            vocab_size=len(processor),
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            max_position_embeddings=max(_POSITIONS, head.max_length),
            pad_token_id=processor.pad_token_id,
        )
        set_labels(config, head)
        return self.drawn(config, head)

    def drawn(self, config: PreTrainedConfig, head: Head) -> PreTrainedModel:
        """The model of `config`, with the head."""
        import transformers

        return getattr(transformers, head.auto_class).from_config(config)


def vocabulary(counts: Counter[str], size: int) -> list[str]:
    """Special tokens, every character (alone and inside a word), then words, the most frequent first.

    Counted and not trained by merges, because ties there fall differently on different machines. A word that was
    seen once would hardly be learnt; it is spelt in characters, as an unseen one is.
    """
    characters = sorted({character for word in counts for character in word})
    words = list(SPECIAL)
    words += _new(characters, words)
    words += [f"##{character}" for character in characters]
    frequent = sorted((word for word, count in counts.items() if count > 1), key=lambda word: (-counts[word], word))
    words += _new(frequent, words)
    return words[: max(size, len(SPECIAL) + 2 * len(characters))]


def _new(words: Iterable[str], known: Iterable[str]) -> list[str]:
    seen = set(known)
    return [word for word in words if word not in seen]

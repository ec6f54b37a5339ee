"""A tokenizer from the train split for decoders with random weights: byte-level BPE, or characters. No download.

Neither has an unknown token: what training did not have is spelt in bytes, so that bits per byte mean the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from exp.errors import ExpError
from exp.task.chat_template import TEMPLATES

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

    from exp.data.examples import Examples

Kind = Literal["bpe", "characters"]
PAD, END = "<|pad|>", "<|endoftext|>"  # ids 0 and 1; END is GPT-2's
BYTES = 256


def check_vocab_size(kind: str, size: int) -> None:
    """Raises ExpError where the bytes alone fill the vocabulary."""
    if kind == "bpe" and size <= BYTES + 2:
        raise ExpError(
            f"model.vocab_size={size}: byte-level BPE has {BYTES} bytes and 2 special tokens; give more, or "
            f"set model.tokenizer=characters"
        )


def trained_tokenizer(train: Examples, kind: Kind, vocab_size: int, max_length: int) -> PreTrainedTokenizerBase:
    """The same text gives the same vocabulary on every machine.

    Args:
        train: inputs and, where they are texts or lists of texts, targets.
        kind: bpe as in GPT-2 (Radford et al. 2019); characters: one token each, the most frequent first.
        vocab_size: most tokens of bpe, special ones included; characters take what they need.
        max_length: tokens that the model reads.
    """
    from transformers import PreTrainedTokenizerFast

    texts = texts_in([*train.inputs.values(), train.targets or []])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_bpe(texts, vocab_size) if kind == "bpe" else _characters(texts),
        pad_token=PAD,
        bos_token=END,
        eos_token=END,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATES["plain"]
    return tokenizer


def texts_in(cells: Any) -> Iterator[str]:
    """Every text in nested lists, and the contents of messages."""
    for cell in cells:
        if isinstance(cell, str):
            yield cell
        elif isinstance(cell, Mapping):
            yield from texts_in(cell.values())
        elif isinstance(cell, list | tuple):
            yield from texts_in(cell)


def _bpe(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[PAD, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return backend


def _characters(texts: Iterator[str]) -> Tokenizer:
    from collections import Counter

    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    known = sorted(counts, key=lambda character: (-counts[character], character))
    spelt = [f"<0x{byte:02X}>" for byte in range(BYTES)]  # what stands for a byte of an unknown character
    vocabulary = {token: row for row, token in enumerate([PAD, END, *known, *spelt])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return backend

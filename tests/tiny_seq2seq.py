"""Tiny encoder-decoders as `save_pretrained` folders, each with a tokenizer of its family's own kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXTS = [
    "a man plays the guitar in the park .",
    "two dogs run after a red ball .",
    "ein Mann spielt Gitarre im Park .",
    "zwei Hunde laufen einem roten Ball nach .",
]
_SHAPE: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
}


def make_seq2seq(kind: str, folder: Path) -> Path:
    """Writes the model into `folder`; weights are drawn from a fixed seed, the global generator is left as it was."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _TOKENIZERS[kind](folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForSeq2SeqLM.from_config(_config(kind, tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _config(kind: str, tokenizer: Any) -> Any:
    import transformers

    ids = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    if kind == "t5":
        return transformers.T5Config(
            **ids, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=ids["pad_token_id"]
        )
    if kind == "marian":
        return transformers.MarianConfig(**ids, **_SHAPE, decoder_start_token_id=ids["pad_token_id"])
    start = {"bos_token_id": tokenizer.bos_token_id, "decoder_start_token_id": tokenizer.eos_token_id}
    if kind == "bart":
        return transformers.BartConfig(**ids, **start, **_SHAPE, forced_eos_token_id=tokenizer.eos_token_id)
    if kind == "nllb":
        return transformers.M2M100Config(**ids, **start, **_SHAPE)
    if kind == "mbart":  # the first one's configuration names no start
        start["decoder_start_token_id"] = None
    return transformers.MBartConfig(**ids, **start, **_SHAPE)


def _pieces() -> list[tuple[str, float]]:
    """Words and characters, as SentencePiece writes them."""
    words = sorted({f"▁{word}" for text in TEXTS for word in text.split()})
    characters = sorted({character for text in TEXTS for character in text if character != " "})
    return [(piece, -1.0) for piece in words] + [(piece, -5.0) for piece in ["▁", *characters]]


def _t5(folder: Path) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *_pieces()]
    backend = Tokenizer(models.Unigram(vocab, unk_id=2))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **special)


def _bart(folder: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    from tests.tiny_models import _byte_bpe

    backend, special = _byte_bpe(TEXTS)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"], **special
    )


def _mbart(folder: Path) -> Any:
    from transformers import MBartTokenizer
    from transformers.models.mbart.tokenization_mbart import FAIRSEQ_LANGUAGE_CODES as CODES

    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return MBartTokenizer(vocab=[*special, *_pieces(), *((code, 0.0) for code in CODES), ("<mask>", 0.0)])


def _mbart50(folder: Path) -> Any:
    from transformers import MBart50Tokenizer

    return MBart50Tokenizer(vocab=[("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *_pieces()])


def _nllb(folder: Path) -> Any:
    from transformers import NllbTokenizer

    names = ["<s>", "<pad>", "</s>", "<unk>", *(piece for piece, _ in _pieces() if len(piece) == 1)]
    return NllbTokenizer(vocab={name: row for row, name in enumerate(names)}, merges=[])


def _marian(folder: Path) -> Any:
    import sentencepiece
    from transformers import MarianTokenizer

    for side in ("source", "target"):
        with (folder / f"{side}.spm").open("wb") as model:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=48, minloglevel=2
            )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    names = ["</s>", "<unk>", *(pieces.id_to_piece(row) for row in range(3, len(pieces))), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({name: row for row, name in enumerate(names)}), encoding="utf-8")
    return MarianTokenizer(str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"))


_TOKENIZERS: dict[str, Callable[[Path], Any]] = {
    "t5": _t5,
    "bart": _bart,
    "mbart": _mbart,
    "mbart50": _mbart50,
    "nllb": _nllb,
    "marian": _marian,
}
KINDS = tuple(_TOKENIZERS)

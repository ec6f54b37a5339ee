"""Tiny `save_pretrained` folders, one of each architecture family, with a tokenizer of the family's own kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

KINDS = ("bert", "distilbert", "roberta", "electra", "deberta_v3", "modernbert", "minilm")

_TEXT = (
    "although the soup was cold , the staff was hardly rude .",
    "the movie is great and the plot never gets dull !",
    "a man plays the guitar ; two dogs run in the park ?",
    "he said that prices rose by 3 percent last year , officials said .",
)
_SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
}


def make_tiny(kind: str, folder: Path, *, labels: Sequence[str] | None = None, texts: Sequence[str] = _TEXT) -> Path:
    """Writes a tiny pretrained model into `folder` and returns it.

    Without `labels` it is a bare encoder, as the Hub's base models are; with them it is a classifier that has these
    label names. Weights are drawn from a fixed seed; the global RNG is left as it was.
    """
    import torch
    import transformers

    tokenizer = tiny_tokenizer(kind, texts)
    config = _config(kind, tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if labels is None:
            # ModernBERT's head is pretrained (it stands in the masked-language model), a pooler elsewhere.
            auto = transformers.AutoModelForMaskedLM if kind == "modernbert" else transformers.AutoModel
        else:
            config.id2label = dict(enumerate(labels))
            config.label2id = {name: row for row, name in enumerate(labels)}
            auto = transformers.AutoModelForSequenceClassification
        auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)


def tiny_tokenizer(kind: str, texts: Sequence[str] = _TEXT) -> Any:
    from transformers import PreTrainedTokenizerFast

    backend, special = {
        "roberta": _byte_bpe,
        "modernbert": _byte_bpe_bert,
        "deberta_v3": _unigram,
    }.get(kind, _word_piece)(texts)
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=128, **special)


def _config(kind: str, tokenizer: Any) -> Any:
    import transformers

    common = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if kind == "distilbert":
        return transformers.DistilBertConfig(
            **common, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=130
        )
    if kind == "roberta":
        ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        return transformers.RobertaConfig(**common, **ids, **_SHAPE, type_vocab_size=1)
    if kind == "electra":
        return transformers.ElectraConfig(**common, **_SHAPE, embedding_size=16)  # narrower, as in ELECTRA small
    if kind == "deberta_v3":
        return transformers.DebertaV2Config(
            **common,
            **_SHAPE,
            relative_attention=True,
            max_relative_positions=-1,
            position_buckets=16,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
            type_vocab_size=0,
            pooler_hidden_size=32,
            pooler_dropout=0,
            pooler_hidden_act="gelu",
        )
    if kind == "modernbert":
        ids = {name: getattr(tokenizer, name) for name in ("cls_token_id", "sep_token_id")}
        return transformers.ModernBertConfig(
            **common,
            **ids,
            **_SHAPE,
            bos_token_id=None,
            eos_token_id=None,
            global_attn_every_n_layers=2,
            local_attention=16,
        )
    return transformers.BertConfig(**common, **_SHAPE)


def _word_piece(texts: Sequence[str]) -> tuple[Any, dict[str, str]]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    special = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.train_from_iterator(texts, trainers.WordPieceTrainer(**_train(special)))
    return _pairs(backend, "[CLS]", "[SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"), special


def _byte_bpe(texts: Sequence[str]) -> tuple[Any, dict[str, str]]:
    special = {
        "bos_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    special |= {"cls_token": "<s>", "sep_token": "</s>"}
    backend = _bpe(texts, special)
    return _pairs(backend, "<s>", "</s>", "<s> $A </s> </s> $B </s>"), special


def _byte_bpe_bert(texts: Sequence[str]) -> tuple[Any, dict[str, str]]:
    special = {
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "mask_token": "[MASK]",
    }
    backend = _bpe(texts, special)
    return _pairs(backend, "[CLS]", "[SEP]", "[CLS] $A [SEP] $B [SEP]"), special


def _bpe(texts: Sequence[str], special: dict[str, str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(texts, trainers.BpeTrainer(initial_alphabet=alphabet, **_train(special, 400)))
    return backend


def _unigram(texts: Sequence[str]) -> tuple[Any, dict[str, str]]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    special = {
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.train_from_iterator(texts, trainers.UnigramTrainer(unk_token="[UNK]", **_train(special)))
    return _pairs(backend, "[CLS]", "[SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"), special


def _train(special: dict[str, str], size: int = 150) -> dict[str, Any]:
    return {"vocab_size": size, "special_tokens": list(dict.fromkeys(special.values())), "show_progress": False}


def _pairs(backend: Any, first: str, last: str, pair: str) -> Any:
    from tokenizers import processors

    backend.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=pair,
        special_tokens=[(token, backend.token_to_id(token)) for token in (first, last)],
    )
    return backend


def batches(tokenizer: Any, texts: Sequence[str] = _TEXT, size: int = 2) -> Iterator[dict[str, Any]]:
    """Padded batches with labels 0, 1, 0, 1, ... for a few training steps."""
    import torch

    for start in range(0, len(texts), size):
        batch = dict(tokenizer(list(texts[start : start + size]), padding=True, return_tensors="pt"))
        batch["labels"] = torch.arange(len(batch["input_ids"])) % 2
        yield batch

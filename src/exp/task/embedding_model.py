"""A bare encoder as a bi-encoder: batches of several texts a row, their vectors, and the losses over them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.utils import ModelOutput

from exp.data.collate import Collator
from exp.errors import ExpError


@dataclass
class EmbeddingOutput(ModelOutput):
    """`embeddings`: [rows, texts, width], each of length 1."""

    loss: Tensor | None = None
    embeddings: Tensor | None = None


class TextsCollator(Collator):
    """[rows, texts, tokens], padded to the longest text of all."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        flat: list[dict[str, Any]] = []
        for row in rows:
            start = 0
            for length in row["text_lengths"]:
                flat.append({key: row[key][start : start + length] for key in self.fills if key in row})
                start += length
        texts = len(rows[0]["text_lengths"])
        batch = {key: value.view(len(rows), texts, -1) for key, value in super().__call__(flat).items()}
        if "labels" in rows[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in rows], dtype=torch.float32)
        return batch


def prepare(model: Any, scale: float | None) -> None:
    """Changes `model.forward` to read several texts a row and to give an EmbeddingOutput.

    Args:
        model: of an AutoModel class.
        scale: of cosines, where rows are ranked; None: the cosine of a pair is fitted to its label.

    Raises:
        ExpError: an encoder-decoder, which has no states of its own to take a mean of.
    """
    if model.config.is_encoder_decoder:
        raise ExpError(
            f"task=sentence_embedding: a {model.config.model_type} is an encoder-decoder; take an encoder such as "
            f"minilm_l6, bert_base, roberta_base or modernbert_base"
        )
    pooler = getattr(model, "pooler", None)
    if pooler is not None:  # the mean over tokens does not pass it; without gradients DDP does not wait for it
        pooler.requires_grad_(False)
    forward = model.forward

    # Not a hook: peft calls the `forward` of the model inside, past its hooks.
    @functools.wraps(forward)
    def embedding_forward(*, input_ids: Tensor, attention_mask: Tensor, labels: Any = None, **other: Any) -> Any:
        rows, texts = input_ids.shape[:2]
        flat = {key: value.flatten(0, 1) if isinstance(value, Tensor) else value for key, value in other.items()}
        mask = attention_mask.flatten(0, 1)
        output = forward(input_ids=input_ids.flatten(0, 1), attention_mask=mask, **flat)
        vectors = mean_pooled(output[0], mask).view(rows, texts, -1)
        if scale is not None:
            loss = ranking_loss(vectors, same_texts(input_ids), scale)
        else:
            loss = None if labels is None else cosine_loss(vectors, labels)
        return EmbeddingOutput(loss=loss, embeddings=vectors)

    model.forward = embedding_forward


def mean_pooled(states: Tensor, mask: Tensor) -> Tensor:
    """[texts, tokens, width] to vectors of length 1, in fp32: the mean over a text's tokens."""
    weights = mask.unsqueeze(-1).float()
    return functional.normalize((states.float() * weights).sum(1) / weights.sum(1), dim=-1)


def cosine_loss(vectors: Tensor, labels: Tensor) -> Tensor:
    """The mean squared error of the cosine of each pair (CosineSimilarityLoss of sentence-transformers)."""
    return functional.mse_loss((vectors[:, 0] * vectors[:, 1]).sum(-1), labels.float())


def same_texts(input_ids: Tensor) -> Tensor:
    """[rows, rows * (texts - 1)]: candidates that are no negatives of a row, though another row's.

    Those with the text of the row's own positive, and positives of rows with the same anchor. Candidates are all rows'
    second texts, then their third ones.
    """
    anchors, others = input_ids[:, 0], input_ids[:, 1:].transpose(0, 1).flatten(0, 1)
    rows = len(anchors)
    positives = others[:rows]
    same = (positives[:, None] == others[None]).all(-1)
    same[:, :rows] |= (anchors[:, None] == anchors[None]).all(-1)
    same[:, :rows].fill_diagonal_(False)
    return same


def ranking_loss(vectors: Tensor, same: Tensor, scale: float) -> Tensor:
    """Of finding each anchor's positive among all candidates of the batch (MultipleNegativesRankingLoss).

    Args:
        vectors: [rows, texts, width].
        same: of `same_texts`.
        scale: of the cosines.
    """
    candidates = vectors[:, 1:].transpose(0, 1).flatten(0, 1)
    cosines = (vectors[:, 0] @ candidates.T).masked_fill(same, -1e4 / scale)  # e^-1e4 is 0 beside any cosine
    return functional.cross_entropy(cosines * scale, torch.arange(len(vectors), device=vectors.device))

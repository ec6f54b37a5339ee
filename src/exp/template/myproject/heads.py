"""Heads: a torch module, made with the encoder's config, called with its last hidden states and the attention mask."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class AttentionPooling(nn.Module):
    """Every token votes, with a weight that is learned."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.vote = nn.Linear(config.hidden_size, 1)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.output = nn.Linear(config.hidden_size, config.num_labels)  # the last layer: a row a label

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(batch, tokens, width) and (batch, tokens) -> logits (batch, labels)."""
        votes = self.vote(hidden).squeeze(-1).masked_fill(mask == 0, float("-inf"))
        pooled = (votes.softmax(dim=-1).unsqueeze(-1) * hidden).sum(dim=1)
        logits: torch.Tensor = self.output(self.dropout(pooled))
        return logits

"""How a causal model goes on with a text, by the generation settings that it carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exp.task.base import EvaluatedBatch


def written(batch: EvaluatedBatch, row: int, max_new_tokens: int, seed: int) -> tuple[str, str] | None:
    """The prompt that comes with a row, and how the model goes on; None where there is none."""
    prompt = batch.features.kept["prompt"][row]
    if not len(prompt):
        return None
    example = int(batch.features.kept["prompt_of"][row][0])
    new = go_on(batch.model, prompt.tolist(), max_new_tokens, seed + example)
    shown, out = (batch.processor.decode(ids, skip_special_tokens=True) for ids in (prompt.tolist(), new))
    return shown, out


def go_on(model: Any, prompt: Sequence[int], max_new_tokens: int, seed: int) -> list[int]:
    """The new tokens, without the prompt.

    Each text is continued alone, so that what comes out does not depend on what else is evaluated. The prompt loses
    tokens from its beginning where it and the new ones do not fit. `seed` is for sampling; the training's own generator
    is left as it was.
    """
    import torch

    model = getattr(model, "module", model)  # of DistributedDataParallel
    if any(hasattr(parameter, "full_tensor") for parameter in model.parameters()):
        return []  # a sharded model computes in step with all processes, and each has other texts
    limit = getattr(model.config, "max_position_embeddings", None)  # None: positions have no end
    if limit is not None:
        limit -= getattr(model, "virtual_tokens", 0)  # of an adapter, which take places of their own
    new = max_new_tokens if limit is None else min(max_new_tokens, limit - 1)
    kept = list(prompt)[-(limit - new) :] if limit is not None else list(prompt)
    device = next(model.parameters()).device
    ids = torch.tensor([kept], device=device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new)
    return out[0, len(kept) :].tolist()

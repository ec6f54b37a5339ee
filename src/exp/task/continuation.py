"""How a causal model goes on with a text: one set of settings for evaluation, prediction and the saved model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Names of transformers.GenerationConfig, and of task keys.
SETTINGS = ("max_new_tokens", "do_sample", "temperature", "top_k", "top_p")


def set_generation(model: PreTrainedModel, tokenizer: Any, settings: dict[str, Any]) -> None:
    """Writes the settings into the model's generation config, which is saved with it."""
    config = model.generation_config
    if config is None:  # a model that cannot generate
        return
    sampled = settings["do_sample"]
    config.update(**{name: value for name, value in settings.items() if sampled or name in SETTINGS[:2]})
    if not sampled:  # transformers warns of settings that greedy search does not read
        config.temperature = config.top_p = config.top_k = None
    config.use_cache = True  # the model's own default is for training
    config.pad_token_id = tokenizer.pad_token_id
    if config.eos_token_id is None:
        config.eos_token_id = tokenizer.eos_token_id
    if config.bos_token_id is None:
        config.bos_token_id = tokenizer.bos_token_id


def longest_input(config: Any) -> int | None:
    """Tokens that fit the model's positions; None where they have no end."""
    return getattr(config, "max_position_embeddings", None)


def go_on(model: Any, prompt: Sequence[int], max_new_tokens: int, seed: int) -> list[int]:
    """The new tokens, without the prompt.

    Each text is continued alone, so that what comes out does not depend on what else is evaluated. The prompt loses
    tokens from its beginning where it and the new ones do not fit. `seed` is for sampling; the generator of the training
    is left as it was.
    """
    import torch

    model = getattr(model, "module", model)  # of DistributedDataParallel
    if any(hasattr(parameter, "full_tensor") for parameter in model.parameters()):
        return []  # a sharded model computes in step with all processes, and each has other texts
    limit = longest_input(model.config)
    new = max_new_tokens if limit is None else min(max_new_tokens, limit - 1)
    kept = list(prompt)[-(limit - new) :] if limit is not None else list(prompt)
    device = next(model.parameters()).device
    ids = torch.tensor([kept], device=device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new)
    return out[0, len(kept) :].tolist()

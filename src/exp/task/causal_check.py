"""Whether a built model can do what causal_lm asks of it: read from left to right, and keep packed texts apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exp.errors import ExpError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TOLERANCE = 1e-5  # of the largest logit, in fp32
FAMILIES = "gpt2, llama, qwen2, qwen3, mistral, gemma, phi, opt, gpt_neox"


def check_causal(model: PreTrainedModel) -> None:
    """Raises ExpError for a model whose prediction of a token looks at that token, as BERT's does."""
    import torch

    one = _probe(model, 6, 1)
    other = one.clone()
    other[0, -1] = (other[0, -1] + 1) % _vocabulary(model)
    first, second = (_logits(model, ids)[:, :-1] for ids in (one, other))
    if not torch.allclose(first, second, rtol=0, atol=_allowed(first)):
        raise ExpError(
            f"task=causal_lm: {model.config.model_type} sees the tokens that it should predict; take a model that "
            f"reads from left to right ({FAMILIES}), or task=masked_lm"
        )


def check_packing(model: PreTrainedModel) -> None:
    """Raises ExpError for a model that lets packed texts see each other."""
    import torch

    first, second = _probe(model, 5, 2), _probe(model, 4, 3)
    positions = torch.cat([torch.arange(5), torch.arange(4)])[None].to(first.device)
    together = _logits(model, torch.cat([first, second], dim=1), positions)
    alone = torch.cat([_logits(model, first), _logits(model, second)], dim=1)
    if not torch.allclose(together, alone, rtol=0, atol=_allowed(alone)):
        found = float((together - alone).abs().max() / alone.abs().max())
        raise ExpError(
            f"task.packing=true: {model.config.model_type} does not keep packed texts apart (its logits differ by "
            f"{found:.1g}); set task.packing=false"
        )


def _probe(model: PreTrainedModel, tokens: int, seed: int) -> torch.Tensor:
    """[1, tokens] ids. A generator of its own: the training's draws stay what they are."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, _vocabulary(model), (1, tokens), generator=generator)
    return ids.to(next(model.parameters()).device)


def _vocabulary(model: PreTrainedModel) -> int:
    return model.get_input_embeddings().weight.shape[0]


def _logits(model: PreTrainedModel, ids: torch.Tensor, positions: torch.Tensor | None = None) -> torch.Tensor:
    import torch

    was_training = model.training
    model.eval()
    extra = {} if positions is None else {"position_ids": positions}
    with torch.no_grad():
        try:
            found = model(input_ids=ids, **extra).logits.float()
        except TypeError as error:
            raise ExpError(
                f"task.packing=true: {model.config.model_type} takes no position ids; set task.packing=false"
            ) from error
    model.train(was_training)
    return found


def _allowed(logits: torch.Tensor) -> float:
    return TOLERANCE * max(1.0, float(logits.abs().max()))

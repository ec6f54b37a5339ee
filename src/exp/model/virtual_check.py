"""Whether a family of models can read virtual tokens: found by trying, because peft's code is written by family."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TOLERANCE = 1e-4  # of the largest logit, in fp32
MEND = "take adapter=lora"


def check_rows(make: Callable[[], Any], what: str, model: PreTrainedModel, peft_task: str) -> Any:
    """The model that `make` wraps, once it has read two small batches.

    Args:
        what: the adapter in the user's words, such as adapter=prompt_tuning.
        model: the plain one.
        peft_task: peft's TaskType.

    Raises:
        ExpError: it cannot read them, answers as without them, or answers otherwise beside a longer row.
    """
    import torch

    family = f"{what}: {type(model).__name__}"
    if not type(model).__module__.startswith("transformers."):
        raise ExpError(f"{family} is a model of your own, which peft does not know; {MEND}")
    with torch.random.fork_rng(devices=[]):
        plain = _logits(model, peft_task, 3)
    try:
        wrapped = make()
        with torch.random.fork_rng(devices=[]):
            alone, beside = _logits(wrapped, peft_task, 3), _logits(wrapped, peft_task, 5)
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError, OSError) as error:
        if isinstance(error, ExpError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExpError(f"{family} cannot read them ({reason[:100]}); {MEND}") from error
    allowed = TOLERANCE * max(1.0, float(alone.abs().max()))
    if not torch.allclose(alone, beside, rtol=0, atol=allowed):
        raise ExpError(f"{family} would answer for the padding beside a row, because peft hides where it ends; {MEND}")
    if torch.equal(alone, plain):
        raise ExpError(f"{family} does not look at them; {MEND}")
    return wrapped


def _logits(model: Any, peft_task: str, length: int) -> torch.Tensor:
    """Of a row of three tokens, filled to `length`; it is the first of two, the other fills its row."""
    import torch

    table = model.get_input_embeddings()
    device, pad = table.weight.device, model.config.pad_token_id or 0
    tokens = [one for one in range(8) if one != pad]
    short = [*tokens[:3], *[pad] * (length - 3)]
    batch = {
        "input_ids": torch.tensor([short, tokens[:length]], device=device),
        "attention_mask": torch.tensor([[1] * 3 + [0] * (length - 3), [1] * length], device=device),
    }
    if peft_task == "SEQ_2_SEQ_LM":
        batch["labels"] = torch.tensor([tokens[:3]] * 2, device=device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = model(**batch).logits[0].float()
    model.train(was_training)
    return found if peft_task == "SEQ_CLS" else found[:3]

"""A model whose adapter cannot be merged: how it answers, and how it is saved and loaded.

    model/adapter_config.json, adapter_model.safetensors    peft's, with the head that was trained
    model/base/config.json, model.safetensors               the plain model, which is frozen

transformers refuses model/ itself, so nobody gets a model without what was learned by accident.
"""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER, WEIGHTS, BASE = "adapter_config.json", "adapter_model.safetensors", "base"
KINDS = ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING")  # peft's names


def is_unmerged(place: Path) -> bool:
    """Whether the folder of a saved model holds an adapter beside the plain model."""
    return (place / ADAPTER).is_file() and (place / BASE).is_dir()


def plain_folder(place: Path) -> Path:
    """Where config.json and model.safetensors of a saved model lie: in `place`, or in base/ beside an adapter."""
    return place / BASE if (place / ADAPTER).is_file() else place


def adapter_of(place: Path) -> dict[str, Any]:
    """What adapter_config.json says. Raises ExpError where `Unmerged` did not save it: peft would read pickles too."""
    try:
        found = json.loads((place / ADAPTER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    whole = isinstance(found, dict) and isinstance(found.get("num_virtual_tokens"), int)
    if not whole or found.get("peft_type") not in KINDS or not (place / WEIGHTS).is_file():
        raise ExpError(f"{place} holds an adapter that exp did not save: it reads {', '.join(KINDS)} and {WEIGHTS}")
    return found


class Unmerged:
    """What exp.model.base.Adapter.merge gives in place of a plain model."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model: Any = model

    def save_pretrained(self, place: Path) -> None:
        was_training = self.model.training
        self.model.eval()  # the network that makes the vectors may have dropout
        self.model.save_pretrained(str(place))
        self.model.train(was_training)
        base = self.model.get_base_model()
        base.save_pretrained(place / BASE, state_dict=_plain_weights(base))


def _plain_weights(base: Any) -> dict[str, Any]:
    """Of modules that were trained whole those that they began with: peft saves the trained ones."""
    return {
        name.replace(".original_module.", "."): weight
        for name, weight in base.state_dict().items()
        if ".modules_to_save." not in name
    }


def load_unmerged(base: PreTrainedModel, place: Path) -> Any:
    """What `Unmerged` saved in `place`, around the model that was loaded from its base/.

    Raises ExpError for an adapter of another kind.
    """
    from exp.model.peft_wrapping import load_peft, without_old_names

    adapter_of(place)
    with without_old_names():
        found = load_peft("prompt_tuning").PeftModel.from_pretrained(base, str(place), local_files_only=True)
    hide_virtual_tokens(found)
    return found


def hide_virtual_tokens(model: Any) -> None:
    """Outputs and loss of `model`, which is peft's, become those of the row's own tokens. Changes `model` in place.

    `model.virtual_tokens` is their number: they take places that generated tokens could have.
    """
    kind, config = model.active_peft_config.task_type, model.active_peft_config
    model.virtual_tokens = config.num_virtual_tokens
    _in_full_precision(model.prompt_encoder[model.active_adapter])
    before_row = str(config.peft_type.value) != "PREFIX_TUNING"  # a prefix is no part of the row
    if before_row and kind in ("CAUSAL_LM", "SEQ_2_SEQ_LM"):
        _quiet_generation(model)
    if before_row and kind in ("CAUSAL_LM", "TOKEN_CLS"):
        _cut(model, config.num_virtual_tokens)
    elif before_row and kind == "SEQ_2_SEQ_LM":
        _forget_states(model)


def _in_full_precision(encoder: Any) -> None:
    """The vectors are saved in fp32, so they are made in fp32."""
    import torch

    forward = encoder.forward

    @functools.wraps(forward)
    def exact(*arguments: Any) -> Any:
        with torch.autocast(encoder.embedding.weight.device.type, enabled=False):
            return forward(*arguments)

    encoder.forward = exact


def _cut(model: Any, count: int) -> None:
    """peft's own loss counts what the last virtual token says of the row's first (next tokens), or does not know
    labels from logits (a label for each)."""
    base, forward = model.get_base_model(), model.forward

    @functools.wraps(forward)
    def without(*arguments: Any, labels: Any = None, **batch: Any) -> Any:
        output = forward(*arguments, **batch)
        output.logits = output.logits[:, count:].contiguous()
        if labels is not None:
            config = base.config.get_text_config()
            output.loss = base.loss_function(
                logits=output.logits, labels=labels, config=config, vocab_size=config.vocab_size
            )
        return output

    model.forward = without


def _quiet_generation(model: Any) -> None:
    """transformers counts positions for every row it goes on with; peft leaves that to the model, and says so."""
    generate = model.generate

    @functools.wraps(generate)
    def quiet(*arguments: Any, **batch: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Position ids are not supported for parameter efficient")
            return generate(*arguments, **batch)

    model.generate = quiet


def _forget_states(model: Any) -> None:
    """peft encodes a row anew when it generates, because of the virtual tokens."""
    forward = model.forward

    @functools.wraps(forward)
    def without(*arguments: Any, **batch: Any) -> Any:
        output = forward(*arguments, **batch)
        output.encoder_last_hidden_state = None
        return output

    model.forward = without

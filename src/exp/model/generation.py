"""How a model generates, set once where it is made; save_pretrained writes it as generation_config.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exp.compat.transformers import keep_generation_config
from exp.errors import ExpError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from exp.task.base import Head

_GREEDY = {"do_sample": False, **dict.fromkeys(("temperature", "top_k", "top_p", "typical_p", "max_length"))}
_OF_BEAMS = {"length_penalty": 1.0, "early_stopping": False}  # -> their value where there are none


def set_generation(model: PreTrainedModel, head: Head, processor: Any) -> None:
    """What the task says over what the checkpoint says. Nothing is drawn where the task does not ask for it.

    Raises ExpError for settings that exclude each other.
    """
    if head.generation is None:
        return
    config = model.generation_config
    given = {key: value for key, value in head.generation.settings.items() if value is not None}
    if (given.get("num_beams", config.num_beams) or 1) == 1:
        for key, value in _OF_BEAMS.items():
            if given.get(key, value) != value:
                raise ExpError(f"task.{key}={given[key]} is for beams: set task.num_beams to 2 or more")
        given |= _OF_BEAMS
    config.update(**{**_GREEDY, **given})
    config.use_cache = True  # whatever the model does while it trains
    if config.pad_token_id is None:
        config.pad_token_id = processor.pad_token_id
    if config.eos_token_id is None:
        config.eos_token_id = processor.eos_token_id
    if model.config.is_encoder_decoder and config.decoder_start_token_id is None:
        # T5 begins with its padding token, the others name theirs.
        config.decoder_start_token_id = model.config.decoder_start_token_id
        if config.decoder_start_token_id is None:
            config.decoder_start_token_id = processor.pad_token_id
    keep_generation_config(config)
    _set_language(config, processor)
    try:
        config.validate(strict=True)
    except ValueError as error:
        raise ExpError(f"task: generation settings do not fit together: {' '.join(str(error).split())}") from None


def _set_language(config: Any, processor: Any) -> None:
    """The decoder begins where labels do: with the token of the target language, as mBART-50 and NLLB write it, or
    after that token, where a first mBART has it at the labels' end."""
    language = getattr(processor, "tgt_lang", None)
    if language is None:
        return
    token, labels = processor.convert_tokens_to_ids(language), processor(text_target="")["input_ids"]
    if labels[0] == token:
        config.forced_bos_token_id = token
    elif labels[-1] == token:
        config.decoder_start_token_id = token

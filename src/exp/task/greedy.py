"""Greedy generation in which finished rows leave the batch, so that the longest text alone takes the last steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exp.compat.transformers import padding_of

if TYPE_CHECKING:
    import torch

LEAVING = 8  # rows leave where they are an eighth of those at work; taking them out copies the others' cache
# Keys of GenerationConfig whose processors know each row by its place, or that ask for more than tokens.
PLACED = ("encoder_repetition_penalty", "encoder_no_repeat_ngram_size", "guidance_scale", "cache_implementation")
ASKS = ("return_dict_in_generate", "max_time", "stop_strings", "prefill_chunk_size", "token_healing")


def generate(model: Any, inputs: Mapping[str, Any]) -> torch.Tensor:
    """[rows, longest] tokens, as `model.generate(**inputs)` gives them for an encoder-decoder."""
    return model.generate(**inputs, **({"custom_generate": greedy} if rows_may_leave(model) else {}))


def rows_may_leave(model: Any) -> bool:
    """Whether its settings are of greedy search over tokens, and rows are computed apart from other processes."""
    from transformers.generation import GenerationMode

    config = model.generation_config
    plain = config.get_generation_mode() == GenerationMode.GREEDY_SEARCH and config.use_cache is not False
    one = (config.num_return_sequences or 1) == 1 and config.encoder_repetition_penalty in (None, 1.0)
    asks = any(getattr(config, key, None) for key in (*PLACED[1:], *ASKS))
    return plain and one and not asks and not any(hasattr(weight, "full_tensor") for weight in model.parameters())


def greedy(
    model: Any,
    input_ids: torch.Tensor,  # [rows, tokens that a text begins with]
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    **inputs: Any,
) -> torch.Tensor:
    """In place of transformers' own loop (`custom_generate`), token by token the same."""
    import torch

    ids, done = input_ids, torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
    places = torch.arange(len(ids), device=ids.device)  # of the rows at work
    ended: list[torch.Tensor | None] = [None] * len(ids)
    pad = padding_of(generation_config)
    new = None  # tokens that the cache lacks; None: all
    while True:
        asked = model.prepare_inputs_for_generation(
            ids, next_sequence_length=new, is_first_iteration=new is None, **inputs
        )
        scores = logits_processor(ids, model(**asked, return_dict=True).logits[:, -1].float())
        tokens = scores.argmax(-1)
        if pad is not None:
            tokens = tokens.where(~done, pad)
        ids, new = torch.cat([ids, tokens[:, None]], dim=-1), 1
        done = done | stopping_criteria(ids, None)
        count = int(done.sum())
        if count == len(ids) or count * LEAVING >= len(ids):
            for place, row in zip(places[done].tolist(), ids[done], strict=True):
                ended[place] = row
            if count == len(ids):
                break
            stay = (~done).nonzero()[:, 0]
            inputs = {name: _of_rows(value, stay, len(ids)) for name, value in inputs.items()}
            ids, places, done = ids[stay], places[stay], done[stay]
    return torch.nn.utils.rnn.pad_sequence(ended, batch_first=True, padding_value=0 if pad is None else int(pad))  # type: ignore[arg-type]


def _of_rows(value: Any, stay: torch.Tensor, rows: int) -> Any:
    """What the model is given, for the rows that stay."""
    import torch
    from transformers import Cache
    from transformers.modeling_outputs import BaseModelOutput
    from transformers.utils import ModelOutput

    if isinstance(value, ModelOutput):  # of the encoder
        return BaseModelOutput(last_hidden_state=value.last_hidden_state[stay])
    if isinstance(value, Cache):
        value.batch_select_indices(stay)
    elif isinstance(value, torch.Tensor) and value.dim() and len(value) == rows:
        return value[stay]
    return value

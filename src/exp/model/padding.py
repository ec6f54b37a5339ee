"""What fills short rows, and how many tokens a row may have: tokenizer and config of a pretrained model made to agree.

A prediction must not depend on what stands beside its row in a batch.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from exp.task.base import Head

log = logging.getLogger(__name__)
# Their position table begins after the padding's row: positions are counted from pad_token_id + 1.
AFTER_PADDING = frozenset(
    (
        *("camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "markuplm", "mpnet", "roberta"),
        *("roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
    )
)
READS_LAST = frozenset(("xlnet",))  # the head reads the last place of a row, so a row is filled up on the left
# transformers' code of these lets padding into the numbers of a row, whatever the attention mask says.
LEAKS = {
    "convbert": "its convolution reads the padding",
    "fnet": "it has no attention mask",
    "nystromformer": "its landmarks are means over the padding too",
    "yoso": "its hash tables hold the padding",
}


def set_padding(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig, head: Head, what: str) -> None:
    """Gives the tokenizer a padding token that the model has a row for, and the side that the head can read.

    Args:
        tokenizer: Changed.
        config: The model's.
        head: The task's. A model that goes on with a text keeps its side, which is for generation.
        what: The model in the user's words, such as model.path=folder.

    Raises:
        ExpError: There is no such token, or the tokenizer has other tokens that the model does not know.
    """
    rows = getattr(config.get_text_config(), "vocab_size", None)
    pad = tokenizer.pad_token_id
    if pad is None or (rows is not None and pad >= rows):
        own, known = config.pad_token_id, len(tokenizer)
        # What fills is masked, so any token will do; best the one that the model was trained with.
        candidates = (own, tokenizer.eos_token_id, tokenizer.unk_token_id)
        found = [one for one in candidates if isinstance(one, int) and 0 <= one < min(known, rows or known)]
        if not found:
            raise ExpError(f"{what}: its tokenizer has neither a padding nor an end token; take another model")
        if pad is not None:
            log.warning("the padding token %r has no row in the embedding table", tokenizer.pad_token)
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(found[0])
    _check_rows(tokenizer, rows, pad, what)
    if head.auto_class != "AutoModelForCausalLM":
        # From the left, positions of a short row would be those of its longest neighbour.
        tokenizer.padding_side = "left" if config.model_type in READS_LAST else "right"


def share_padding(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """A decoder's head reads the last token before `config.pad_token_id`, which has to be what fills the rows."""
    if config.model_type not in AFTER_PADDING or config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id


def longest_input(config: PreTrainedConfig) -> int | None:
    """Tokens that the position table holds; None for models with relative positions only."""
    if getattr(config, "position_biased_input", True) is False:  # DeBERTa v3
        return None
    longest = getattr(config, "max_position_embeddings", None) or getattr(config, "max_seq_len", None)
    if longest is None or longest < 0:  # XLNet says -1
        return None
    if config.model_type == "mpnet":  # 1, whatever its config says
        longest -= 2
    elif config.model_type in AFTER_PADDING:
        longest -= config.pad_token_id + 1
    return longest


def warn_of_leaks(config: PreTrainedConfig, what: str) -> None:
    """One line where a prediction depends on the batch all the same."""
    if config.model_type in LEAKS:
        log.warning(
            "%s is a %s: %s, so a prediction depends a little on what stands beside its row in the batch",
            what,
            config.model_type,
            LEAKS[config.model_type],
        )


def _check_rows(tokenizer: PreTrainedTokenizerBase, rows: int | None, pad: int | None, what: str) -> None:
    if rows is None or len(tokenizer) <= rows:
        return
    strange = sorted((at, word) for word, at in tokenizer.get_vocab().items() if at >= rows and at != pad)
    if strange:
        said: Any = ", ".join(repr(word) for _, word in strange[:3])
        raise ExpError(
            f"{what}: the tokenizer has tokens that the embedding table of {rows} rows has none for ({said}); call "
            f"model.resize_token_embeddings(len(tokenizer)) once and save the model, or take the tokenizer it was "
            f"trained with"
        )

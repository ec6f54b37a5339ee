"""Small decoders with random weights, a GPT-2 and a Llama, and a tokenizer from the train split: no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Lt

from exp.errors import ExpError
from exp.model.family import check_family, check_not_loaded
from exp.model.generation import set_generation
from exp.model.labels import set_labels
from exp.model.trained_tokenizer import Kind, check_vocab_size, trained_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from exp.data.examples import TaskData
    from exp.task.base import Head

_POSITIONS = 512  # a longer text raises it
_NEW = 64  # positions beyond the longest text, so that there is room to go on with it


@dataclass(frozen=True)
class _DecoderTiny:
    """What both have in common."""

    num_hidden_layers: Annotated[int, Ge(1)]
    hidden_size: Annotated[int, Ge(1)]
    num_attention_heads: Annotated[int, Ge(1)]
    dropout: Annotated[float, Ge(0), Lt(1)]
    tokenizer: Kind
    vocab_size: Annotated[int, Ge(1)]

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ExpError(
                f"model.hidden_size={self.hidden_size} must be a multiple of"
                f" model.num_attention_heads={self.num_attention_heads}"
            )
        check_vocab_size(self.tokenizer, self.vocab_size)

    def processor(self, data: TaskData, head: Head) -> PreTrainedTokenizerBase:
        """Raises ExpError for a task that the family has no head for."""
        check_family(self._config(head), head, f"model={self._name}")
        return trained_tokenizer(data.train, self.tokenizer, self.vocab_size, self._positions(head))

    def model(self, head: Head, processor: PreTrainedTokenizerBase, **load: Any) -> PreTrainedModel:
        """With the head that the task asks for, drawn from the current torch RNG.

        Raises ExpError when an adapter asks for quantised loading: there is nothing to load.
        """
        import transformers

        check_not_loaded(load, f"model={self._name}")
        special = {name: getattr(processor, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
        config = self._config(head, vocab_size=len(processor), **special)
        set_labels(config, head)
        model = getattr(transformers, head.auto_class).from_config(config)
        set_generation(model, head, processor)
        return model

    @property
    def _name(self) -> str:
        raise NotImplementedError

    def _config(self, head: Head, **tokens: int) -> PreTrainedConfig:
        raise NotImplementedError

    def _positions(self, head: Head) -> int:
        return max(_POSITIONS, head.max_length + _NEW)


@dataclass(frozen=True)
class Gpt2Tiny(_DecoderTiny):
    """Learned positions, LayerNorm, GELU (Radford et al. 2019)."""

    @property
    def _name(self) -> str:
        return "gpt2_tiny"

    def _config(self, head: Head, **tokens: int) -> PreTrainedConfig:
        import transformers

        return transformers.GPT2Config(
            **tokens,
            n_embd=self.hidden_size,
            n_layer=self.num_hidden_layers,
            n_head=self.num_attention_heads,
            n_positions=self._positions(head),
            resid_pdrop=self.dropout,
            embd_pdrop=self.dropout,
            attn_pdrop=self.dropout,
        )


@dataclass(frozen=True)
class LlamaTiny(_DecoderTiny):
    """Rotary positions, RMSNorm, SwiGLU, shared keys and values (Touvron et al. 2023)."""

    num_key_value_heads: Annotated[int, Ge(1)]
    intermediate_size: Annotated[int, Ge(1)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_attention_heads % self.num_key_value_heads:
            raise ExpError(
                f"model.num_attention_heads={self.num_attention_heads} must be a multiple of"
                f" model.num_key_value_heads={self.num_key_value_heads}"
            )
        if self.hidden_size // self.num_attention_heads % 2:
            raise ExpError(
                f"model.hidden_size={self.hidden_size} gives each of {self.num_attention_heads} heads an odd width, "
                f"which rotary positions cannot turn; take an even one"
            )

    @property
    def _name(self) -> str:
        return "llama_tiny"

    def _config(self, head: Head, **tokens: int) -> PreTrainedConfig:
        import transformers

        return transformers.LlamaConfig(
            **tokens,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=self.num_key_value_heads,
            intermediate_size=self.intermediate_size,
            max_position_embeddings=self._positions(head),
            attention_dropout=self.dropout,
            tie_word_embeddings=True,
        )

"""Adapters that put trained vectors before a row, as if it began with tokens of its own: prompt tuning and its kin.

The weights of the model stay as they are, and there is nothing that could be merged into them: see exp.model.unmerged
for what a run saves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt

from exp.errors import ExpError
from exp.model.peft_wrapping import load_peft, trained_whole, wrap
from exp.model.unmerged import Unmerged, hide_virtual_tokens
from exp.model.virtual_check import check_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from exp.task.base import Head

# peft's classes for the other heads leave the virtual tokens' outputs where labels, spans or means are looked for.
HEADS = {
    "AutoModelForSequenceClassification": "one label a text",
    "AutoModelForTokenClassification": "one label a word",
    "AutoModelForCausalLM": "the next token",
    "AutoModelForSeq2SeqLM": "a text from a text",
}


@dataclass(frozen=True)
class _VirtualTokens:
    """What the three have in common. See conf/adapter/ for the keys."""

    name: ClassVar[str]

    num_virtual_tokens: Annotated[int, Ge(1)]

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Raises ExpError for settings of other groups under which the virtual tokens would be lost."""
        if config["batching"] == "packed":
            raise ExpError(
                f"batching=packed lays rows end to end, and adapter={self.name} begins each with vectors that are no "
                f"tokens; take batching=length_grouped"
            )
        if config["task"].get("packing"):
            raise ExpError(
                f"task.packing=true puts several texts into a row, and adapter={self.name} begins a row, not a text; "
                f"set task.packing=false"
            )
        if str(config.get("distributed", {}).get("_target_")).endswith("Fsdp"):
            raise ExpError(
                f"adapter={self.name} looks tokens up outside of the model, and distributed=fsdp cuts their table; "
                f"take distributed=ddp"
            )

    def check_head(self, head: Head) -> None:
        """Raises ExpError for a task whose head cannot take virtual tokens."""
        if head.auto_class not in HEADS:
            raise ExpError(
                f"adapter={self.name} does not fit a task of {head.pipeline}: it can learn "
                f"{', '.join(HEADS.values())}; take adapter=lora"
            )

    def check_room(self, head: Head, longest: int | None) -> None:
        """Raises ExpError where rows and virtual tokens together are longer than the model's positions."""
        if longest is None:
            return
        for key, length in (head.lengths or {"max_length": head.max_length}).items():
            if length + self.num_virtual_tokens > longest:
                room = longest - self.num_virtual_tokens
                mend = f"set task.{key}={room}" if room > 0 else f"set adapter.num_virtual_tokens={longest - length}"
                raise ExpError(
                    f"task.{key}={length} and adapter.num_virtual_tokens={self.num_virtual_tokens} are more than the "
                    f"{longest} tokens that the model reads; {mend}"
                )

    def load_kwargs(self) -> dict[str, Any]:
        return {}

    def apply(self, model: PreTrainedModel, total_steps: int, peft_task: str | None) -> PreTrainedModel:
        """The model wrapped by peft; its outputs have no place for the virtual tokens.

        Raises ExpError for a family that cannot read them.
        """
        peft = load_peft(self.name)
        assert peft_task is not None  # by check_head
        config = self.peft_config(peft, model, peft.TaskType[peft_task], trained_whole(model) or None)
        wrapped: Any = check_rows(lambda: _wrapped(model, config), f"adapter={self.name}", model, peft_task)
        return wrapped

    def peft_config(self, peft: Any, model: PreTrainedModel, kind: Any, whole: list[str] | None) -> Any:
        """`kind`: peft's TaskType; `whole`: modules that are trained as they are."""
        raise NotImplementedError

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> Any:
        """What saves the plain model, and beside it what was learned."""
        return Unmerged(model)


def _wrapped(model: PreTrainedModel, config: Any) -> Any:
    found: Any = wrap(model, config)
    # In the order of the forward pass, which is the one that floating-point operations are counted in.
    base = found.base_model
    del found.base_model
    found.base_model = base
    hide_virtual_tokens(found)
    return found


def _width(model: PreTrainedModel) -> int:
    """Of a token's embedding, which is less than the model's in ELECTRA and ALBERT."""
    table: Any = model.get_input_embeddings()
    return int(table.embedding_dim)


def _shape(model: PreTrainedModel) -> dict[str, int]:
    """What peft asks for and does not find in every family's config."""
    return {"token_dim": _width(model), "num_attention_heads": getattr(model.config, "num_attention_heads", 1)}


@dataclass(frozen=True)
class PromptTuning(_VirtualTokens):
    """Trained embeddings before a row's own (Lester et al. 2021)."""

    name: ClassVar[str] = "prompt_tuning"

    prompt_tuning_init: Literal["SAMPLE_VOCAB", "TEXT", "RANDOM"]
    prompt_tuning_init_text: str | None

    def __post_init__(self) -> None:
        if (self.prompt_tuning_init == "TEXT") != bool(self.prompt_tuning_init_text):
            raise ExpError(
                "adapter.prompt_tuning_init=TEXT and adapter.prompt_tuning_init_text belong together: give both, or "
                "neither"
            )

    def peft_config(self, peft: Any, model: PreTrainedModel, kind: Any, whole: list[str] | None) -> Any:
        text = {}
        if self.prompt_tuning_init == "TEXT":
            path = model.name_or_path
            if not path:
                raise ExpError(
                    "adapter.prompt_tuning_init=TEXT reads its text by the tokenizer of model.path, and this model has "
                    "none; take SAMPLE_VOCAB"
                )
            text = {
                "prompt_tuning_init_text": self.prompt_tuning_init_text,
                "tokenizer_name_or_path": path,
            }
        return peft.PromptTuningConfig(
            task_type=kind,
            num_virtual_tokens=self.num_virtual_tokens,
            prompt_tuning_init=self.prompt_tuning_init,
            num_transformer_submodules=1,  # an encoder-decoder's encoder alone reads them
            modules_to_save=whole,
            **_shape(model),
            **text,
        )


@dataclass(frozen=True)
class PTuning(_VirtualTokens):
    """Embeddings before a row's own that a small network makes (Liu et al. 2021)."""

    name: ClassVar[str] = "p_tuning"

    encoder_reparameterization_type: Literal["MLP", "LSTM"]
    encoder_hidden_size: Annotated[int, Ge(1)] | None
    encoder_num_layers: Annotated[int, Ge(1)]
    encoder_dropout: Annotated[float, Ge(0), Lt(1)]

    def __post_init__(self) -> None:
        if self.encoder_reparameterization_type == "MLP" and (self.encoder_num_layers, self.encoder_dropout) != (2, 0):
            raise ExpError(
                "adapter.encoder_num_layers and adapter.encoder_dropout are the LSTM's: leave them at 2 and 0, or set "
                "adapter.encoder_reparameterization_type=LSTM"
            )

    def peft_config(self, peft: Any, model: PreTrainedModel, kind: Any, whole: list[str] | None) -> Any:
        return peft.PromptEncoderConfig(
            task_type=kind,
            num_virtual_tokens=self.num_virtual_tokens,
            encoder_reparameterization_type=self.encoder_reparameterization_type,
            encoder_hidden_size=self.encoder_hidden_size or _width(model),
            encoder_num_layers=self.encoder_num_layers,
            encoder_dropout=self.encoder_dropout,
            num_transformer_submodules=1,
            modules_to_save=whole,
            **_shape(model),
        )


@dataclass(frozen=True)
class PrefixTuning(_VirtualTokens):
    """Trained keys and values before a row's own in every layer (Li and Liang 2021)."""

    name: ClassVar[str] = "prefix_tuning"

    prefix_projection: bool
    encoder_hidden_size: Annotated[int, Ge(1)] | None
    init_weights: Literal["zero"] | None

    def check_config(self, config: Mapping[str, Any]) -> None:
        """As the others; and for what computes a layer in a way of its own."""
        super().check_config(config)
        if config["speed"].get("first_token_only"):
            raise ExpError(
                "speed.first_token_only=true computes the last layer without the keys and values that "
                "adapter=prefix_tuning puts before a row; set it to false"
            )
        if config["gradient_checkpointing"]:
            raise ExpError(
                "gradient_checkpointing=true drops the keys and values that adapter=prefix_tuning learns; set it to "
                "false, or take adapter=prompt_tuning"
            )

    def peft_config(self, peft: Any, model: PreTrainedModel, kind: Any, whole: list[str] | None) -> Any:
        encoder = getattr(model, model.base_model_prefix, model)
        if not any("past_key_values" in signature(one.forward).parameters for one in (model, encoder)):
            raise ExpError(
                f"adapter=prefix_tuning: {type(model).__name__} takes no keys and values from before a row; take "
                f"adapter=prompt_tuning"
            )
        return peft.PrefixTuningConfig(
            task_type=kind,
            num_virtual_tokens=self.num_virtual_tokens,
            prefix_projection=self.prefix_projection,
            encoder_hidden_size=self.encoder_hidden_size,  # None: the model's width
            init_weights=self.init_weights,
            modules_to_save=whole,
        )

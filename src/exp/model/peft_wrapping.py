"""How peft is put around a model, and what of the model stays trained whole."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError, nearest
from exp.model.drawn import drawn_parameters
from exp.task.encoder import encoder_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Query and value projections, as in the LoRA paper; ModernBERT has one matrix for query, key and value, ConvNeXt and
# ResNet have no attention: theirs are the layers that mix channels. Those of decoders (GPT-2, Llama, Qwen) are in
# peft's own table.
TARGETS = {
    "albert": ("query", "value"),
    "audio-spectrogram-transformer": ("q_proj", "v_proj"),
    "bart": ("q_proj", "v_proj"),
    "bert": ("query", "value"),
    "camembert": ("query", "value"),
    "convnext": ("pwconv1", "pwconv2"),
    "deberta": ("in_proj",),
    "deberta-v2": ("query_proj", "value_proj"),
    "distilbert": ("q_lin", "v_lin"),
    "electra": ("query", "value"),
    "hubert": ("q_proj", "v_proj"),
    "m2m_100": ("q_proj", "v_proj"),
    "marian": ("q_proj", "v_proj"),
    "mbart": ("q_proj", "v_proj"),
    "modernbert": ("Wqkv",),
    "mpnet": ("q", "v"),
    "pegasus": ("q_proj", "v_proj"),
    "resnet": ("convolution",),
    "roberta": ("query", "value"),
    "swin": ("q_proj", "v_proj"),
    "t5": ("q", "v"),
    "vit": ("q_proj", "v_proj"),
    "wav2vec2": ("q_proj", "v_proj"),
    "xlm-roberta": ("query", "value"),
}


def targets(model: PreTrainedModel, named: Sequence[str] | None) -> list[str]:
    """Last names of the linear layers that get an update. Raises ExpError when they are unknown."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN_TO_PEFT

    return chosen(model, named, {**KNOWN_TO_PEFT, **TARGETS}, "target_modules")


def chosen(
    model: PreTrainedModel, named: Sequence[str] | None, known: Mapping[str, Sequence[str]], key: str
) -> list[str]:
    """`named`, or what `known` has for the model's family.

    Raises:
        ExpError: the model has no such layer, or its family is unknown; adapter.`key` is what names them.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D  # GPT-2's linear layer

    kinds = (nn.Linear, nn.Conv2d, Conv1D)
    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, kinds)}
    if named is None:
        family = model.config.model_type
        if family not in known:
            raise ExpError(
                f"no default target modules for {family}; name them in adapter.{key}, out of:"
                f" {', '.join(sorted(linear))}"
            )
        return list(known[family])
    for name in named:
        if name.rsplit(".", 1)[-1] not in linear:
            raise ExpError(
                f"adapter.{key}: the model has no linear layer or convolution {name!r}{nearest(name, linear)}"
            )
    return list(named)


def trained_whole(model: PreTrainedModel) -> list[str]:
    """Modules that are trained as they are: the head, and a pooler that the checkpoint lacked.

    A language model has no head of its own: its output layer is the checkpoint's, and mostly its embedding table. What
    stands between the two and was drawn, as over a bare encoder, is trained. A bare encoder is nothing but pretrained.

    Raises ExpError for options of the model that an adapter would make void.
    """
    prefix = model.base_model_prefix
    outside = [
        name for name, child in model.named_children() if name != prefix and next(child.parameters(), None) is not None
    ]
    output = model.get_output_embeddings()
    whole = outside if output is None and encoder_prefix(model) else []
    holders = {name for name, module in model.named_modules() if output is not None and output in module.modules()}
    drawn = {name.rsplit(".", 1)[0] for name in drawn_parameters(model)} - holders
    if output is None:
        drawn = {name for name in drawn if name.startswith(f"{prefix}.")}
    if any(".layer" in name for name in drawn):
        raise ExpError(
            "model.reinit_layers draws layers at random, and an adapter would freeze them so; take one of the two"
        )
    if any(type(module).__name__ == "MixoutLinear" for module in model.modules()):
        raise ExpError("model.mixout acts on trained weights, and an adapter freezes them; take one of the two")
    return whole + sorted(drawn)


def wrap(model: PreTrainedModel, config: Any) -> PreTrainedModel:
    with without_old_names():
        return load_peft("lora").get_peft_model(model, config)


@contextmanager
def without_old_names() -> Iterator[None]:
    """peft 0.21 still asks transformers by the old name of is_activation_checkpointing, and is warned."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        yield


def wrap_lora(
    model: PreTrainedModel,
    peft_task: str | None,
    r: int,
    alpha: int,
    dropout: float,
    named: Sequence[str] | None,
    **variant: Any,
) -> PreTrainedModel:
    """`variant` are arguments of peft's LoraConfig that make another method of it."""
    peft = load_peft("lora")
    config = peft.LoraConfig(
        task_type=None if peft_task is None else peft.TaskType[peft_task],
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets(model, named),
        modules_to_save=trained_whole(model),
        **variant,
    )
    with warnings.catch_warnings():  # peft sees by itself that a Conv1D's weight is turned round, and says so
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
        return wrap(model, config)


def merged_copy(model: Any) -> PreTrainedModel:
    return copy.deepcopy(model).merge_and_unload()


def load_peft(option: str) -> Any:
    # peft imports bitsandbytes where it is installed, and that warns about optional kernels it would download.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import peft
    except ImportError:
        raise ExpError(f"adapter={option} needs the package peft: pip install peft; or take adapter=none") from None
    return peft

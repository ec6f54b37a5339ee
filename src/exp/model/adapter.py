"""The adapter options: what of the model is trained. See exp.model.base.Adapter for the contract."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt, MinLen

from exp.compat.bitsandbytes import keep_4bit_weights
from exp.errors import ExpError, nearest
from exp.model.drawn import drawn_parameters
from exp.task.encoder import encoder_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

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
Rank = Annotated[int, Ge(1)]
Dropout = Annotated[float, Ge(0), Lt(1)]
Modules = Annotated[list[str], MinLen(1)] | None

# Never quantised, because they are or may have to be trained. transformers reads it as a regular expression.
_HEADS = r"(?:.*\.)?(?:classifier|pre_classifier|pooler|head|score)"


@dataclass(frozen=True)
class NoAdapter:
    """Every weight is trained."""

    def load_kwargs(self) -> dict[str, Any]:
        return {}

    def apply(self, model: PreTrainedModel, total_steps: int, peft_task: str | None) -> PreTrainedModel:
        return model

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        return model


@dataclass(frozen=True)
class Lora:
    """Low-rank updates (Hu et al. 2022); the head, and whatever else is not pretrained, stays trainable."""

    r: Rank
    lora_alpha: Rank
    lora_dropout: Dropout
    target_modules: Modules

    def load_kwargs(self) -> dict[str, Any]:
        return {}

    def apply(self, model: PreTrainedModel, total_steps: int, peft_task: str | None) -> PreTrainedModel:
        """The model wrapped by peft. Raises ExpError for target modules that the model does not have."""
        return _wrap_lora(model, peft_task, self.r, self.lora_alpha, self.lora_dropout, self.target_modules)

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """A plain copy with the updates added in; the given model stays as it is."""
        return _merged_copy(model)


@dataclass(frozen=True)
class AdaLora:
    """LoRA with a rank budget (Zhang et al. 2023).

    peft adds the paper's orthogonality penalty to the loss that the model returns, also in evaluation.
    """

    init_r: Rank
    target_r: Rank
    lora_alpha: Rank
    lora_dropout: Dropout
    start_ratio: Annotated[float, Ge(0), Lt(1)]
    final_ratio: Annotated[float, Ge(0), Lt(1)]
    delta_t: Annotated[int, Ge(1)]  # optimizer steps
    orth_reg_weight: Annotated[float, Gt(0)]  # peft asks for it
    target_modules: Modules

    def __post_init__(self) -> None:
        if self.init_r < self.target_r:
            raise ExpError(f"adapter.init_r={self.init_r} must not be below adapter.target_r={self.target_r}")
        if self.start_ratio + self.final_ratio >= 1:
            raise ExpError(
                f"adapter.start_ratio={self.start_ratio} and adapter.final_ratio={self.final_ratio} must leave steps"
                " between them in which ranks are pruned: their sum must be below 1"
            )

    def check_length(self, total_steps: int) -> None:
        """Raises ExpError when a run of `total_steps` is too short; a shorter one then is too."""
        if total_steps - int(total_steps * self.final_ratio) < 2:
            raise ExpError(
                f"adapter=adalora shares out its ranks at the second step or later, and this run has {total_steps}; "
                "train longer (num_train_epochs, max_steps), or take adapter=lora"
            )

    def load_kwargs(self) -> dict[str, Any]:
        return {}

    def apply(self, model: PreTrainedModel, total_steps: int, peft_task: str | None) -> PreTrainedModel:
        """The model wrapped by peft.

        Raises ExpError for target modules that the model does not have, and for a run that is too short.
        """
        self.check_length(total_steps)
        peft = _peft("adalora")
        config = peft.AdaLoraConfig(
            task_type=None if peft_task is None else peft.TaskType[peft_task],
            init_r=self.init_r,
            target_r=self.target_r,
            lora_alpha=self.lora_alpha,
            lora_dropout=self.lora_dropout,
            tinit=int(total_steps * self.start_ratio),
            tfinal=int(total_steps * self.final_ratio),
            deltaT=self.delta_t,
            orth_reg_weight=self.orth_reg_weight,
            total_step=total_steps,
            target_modules=targets(model, self.target_modules),
            modules_to_save=trained_whole(model),
        )
        return _wrap(model, config)

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        """Reads the gradients' importance, and prunes ranks every `delta_t` steps; `step` counts from 1."""
        model.base_model.update_and_allocate(step)

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """A plain copy with the updates added in; the given model stays as it is."""
        return _merged_copy(model)


@dataclass(frozen=True)
class QLora:
    """LoRA over 4-bit weights (Dettmers et al. 2023), on CUDA and on a CPU (bitsandbytes 0.49 or newer)."""

    r: Rank
    lora_alpha: Rank
    lora_dropout: Dropout
    target_modules: Modules
    quant_type: Literal["nf4", "fp4"]
    double_quant: bool
    compute_dtype: Literal["float32", "bfloat16"]

    def load_kwargs(self) -> dict[str, Any]:
        """Raises ExpError when bitsandbytes is missing, or finds no device that it supports."""
        import importlib.util

        import torch
        from transformers import BitsAndBytesConfig

        _peft("qlora")
        if importlib.util.find_spec("bitsandbytes") is None:
            raise ExpError("adapter=qlora needs the package bitsandbytes: pip install 'exp[bnb]'; or take adapter=lora")
        if torch.backends.mps.is_available() and not torch.cuda.is_available():
            raise ExpError(
                "adapter=qlora cannot work on MPS: bitsandbytes has no 4-bit kernels there; take adapter=lora"
            )
        return {
            "quantization_config": BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type=self.quant_type,
                bnb_4bit_use_double_quant=self.double_quant,
                bnb_4bit_compute_dtype=getattr(torch, self.compute_dtype),
                llm_int8_skip_modules=[_HEADS],
            )
        }

    def apply(self, model: PreTrainedModel, total_steps: int, peft_task: str | None) -> PreTrainedModel:
        """The model wrapped by peft. Raises ExpError for target modules that the model does not have."""
        peft = _peft("qlora")
        # Gradient checkpointing is the loop's business, so it is not switched on here.
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        keep_4bit_weights(model)
        return _wrap_lora(model, peft_task, self.r, self.lora_alpha, self.lora_dropout, self.target_modules)

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """A plain fp32 copy: 4-bit weights unpacked, and the updates added without rounding back to 4 bits."""
        from exp.model.quantised import unpacked_copy

        return unpacked_copy(model)


def targets(model: PreTrainedModel, named: Sequence[str] | None) -> list[str]:
    """Last names of the linear layers that get an update. Raises ExpError when they are unknown."""
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN_TO_PEFT
    from torch import nn
    from transformers.pytorch_utils import Conv1D  # GPT-2's linear layer

    kinds = (nn.Linear, nn.Conv2d, Conv1D)
    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, kinds)}
    if named is None:
        family = model.config.model_type
        if family not in TARGETS and family not in KNOWN_TO_PEFT:
            raise ExpError(
                f"no default target modules for {family}; name them in adapter.target_modules, out of:"
                f" {', '.join(sorted(linear))}"
            )
        return list(TARGETS.get(family) or KNOWN_TO_PEFT[family])
    for name in named:
        if name.rsplit(".", 1)[-1] not in linear:
            raise ExpError(
                f"adapter.target_modules: the model has no linear layer or convolution {name!r}{nearest(name, linear)}"
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


def _wrap(model: PreTrainedModel, config: Any) -> PreTrainedModel:
    with warnings.catch_warnings():
        # peft 0.21 still asks transformers by the old name of is_activation_checkpointing.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return _peft("lora").get_peft_model(model, config)


def _wrap_lora(
    model: PreTrainedModel, peft_task: str | None, r: int, alpha: int, dropout: float, named: Sequence[str] | None
) -> PreTrainedModel:
    peft = _peft("lora")
    config = peft.LoraConfig(
        task_type=None if peft_task is None else peft.TaskType[peft_task],
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets(model, named),
        modules_to_save=trained_whole(model),
    )
    with warnings.catch_warnings():  # peft sees by itself that a Conv1D's weight is turned round, and says so
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
        return _wrap(model, config)


def _merged_copy(model: Any) -> PreTrainedModel:
    return copy.deepcopy(model).merge_and_unload()


def _peft(option: str) -> Any:
    # peft imports bitsandbytes where it is installed, and that warns about optional kernels it would download.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import peft
    except ImportError:
        raise ExpError(f"adapter={option} needs the package peft: pip install peft; or take adapter=none") from None
    return peft

"""The adapter options: what of the model is trained. See exp.model.base.Adapter for the contract."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.compat.bitsandbytes import keep_4bit_weights
from exp.errors import ExpError, nearest
from exp.model.drawn import drawn_parameters

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

# Query and value projections, as in the LoRA paper; ModernBERT has one matrix for query, key and value.
TARGETS = {
    "albert": ("query", "value"),
    "bert": ("query", "value"),
    "camembert": ("query", "value"),
    "deberta": ("in_proj",),
    "deberta-v2": ("query_proj", "value_proj"),
    "distilbert": ("q_lin", "v_lin"),
    "electra": ("query", "value"),
    "modernbert": ("Wqkv",),
    "mpnet": ("q", "v"),
    "roberta": ("query", "value"),
    "xlm-roberta": ("query", "value"),
}
# Never quantised, because they are or may have to be trained. transformers reads it as a regular expression.
_HEADS = r"(?:.*\.)?(?:classifier|pre_classifier|pooler|head|score)"


@dataclass(frozen=True)
class NoAdapter:
    """Every weight is trained."""

    def load_kwargs(self) -> dict[str, Any]:
        return {}

    def apply(self, model: PreTrainedModel, total_steps: int) -> PreTrainedModel:
        return model

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        return model


@dataclass(frozen=True)
class Lora:
    """Low-rank updates (Hu et al. 2022); the head, and whatever else is not pretrained, stays trainable."""

    r: int
    lora_alpha: int
    lora_dropout: float
    target_modules: list[str] | None

    def __post_init__(self) -> None:
        _check_rank("r", self.r)

    def load_kwargs(self) -> dict[str, Any]:
        return {}

    def apply(self, model: PreTrainedModel, total_steps: int) -> PreTrainedModel:
        """The model wrapped by peft. Raises ExpError for target modules that the model does not have."""
        return _wrap_lora(model, self.r, self.lora_alpha, self.lora_dropout, self.target_modules)

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

    init_r: int
    target_r: int
    lora_alpha: int
    lora_dropout: float
    start_ratio: float
    final_ratio: float
    delta_t: int
    orth_reg_weight: float
    target_modules: list[str] | None

    def __post_init__(self) -> None:
        _check_rank("target_r", self.target_r)
        if self.init_r < self.target_r:
            raise ExpError(f"adapter.init_r={self.init_r} must not be below adapter.target_r={self.target_r}")
        if self.start_ratio < 0 or self.final_ratio < 0 or self.start_ratio + self.final_ratio >= 1:
            raise ExpError(
                f"adapter.start_ratio={self.start_ratio} and adapter.final_ratio={self.final_ratio} must leave steps"
                " between them in which ranks are pruned: their sum must be below 1"
            )
        if self.delta_t < 1:
            raise ExpError(f"adapter.delta_t={self.delta_t} must be at least 1 step")
        if self.orth_reg_weight <= 0:
            raise ExpError(f"adapter.orth_reg_weight={self.orth_reg_weight} must be above 0: peft asks for it")

    def load_kwargs(self) -> dict[str, Any]:
        return {}

    def apply(self, model: PreTrainedModel, total_steps: int) -> PreTrainedModel:
        """The model wrapped by peft. Raises ExpError for target modules that the model does not have."""
        peft = _peft("adalora")
        config = peft.AdaLoraConfig(
            task_type=peft.TaskType.SEQ_CLS,
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

    r: int
    lora_alpha: int
    lora_dropout: float
    target_modules: list[str] | None
    quant_type: str
    double_quant: bool
    compute_dtype: str

    def __post_init__(self) -> None:
        _check_rank("r", self.r)
        for key, known in (("quant_type", ("nf4", "fp4")), ("compute_dtype", ("float32", "bfloat16"))):
            if getattr(self, key) not in known:
                raise ExpError(f"adapter.{key}={getattr(self, key)!r} is unknown; known: {', '.join(known)}")

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

    def apply(self, model: PreTrainedModel, total_steps: int) -> PreTrainedModel:
        """The model wrapped by peft. Raises ExpError for target modules that the model does not have."""
        peft = _peft("qlora")
        # Gradient checkpointing is the loop's business, so it is not switched on here.
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        keep_4bit_weights(model)
        return _wrap_lora(model, self.r, self.lora_alpha, self.lora_dropout, self.target_modules)

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """A plain fp32 copy: 4-bit weights unpacked, and the updates added without rounding back to 4 bits."""
        from exp.model.quantised import unpacked_copy

        return unpacked_copy(model)


def targets(model: PreTrainedModel, named: Sequence[str] | None) -> list[str]:
    """Last names of the linear layers that get an update. Raises ExpError when they are unknown."""
    from torch import nn

    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if named is None:
        if model.config.model_type not in TARGETS:
            raise ExpError(
                f"no default target modules for {model.config.model_type}; name them in adapter.target_modules, out of:"
                f" {', '.join(sorted(linear))}"
            )
        return list(TARGETS[model.config.model_type])
    for name in named:
        if name.rsplit(".", 1)[-1] not in linear:
            raise ExpError(f"adapter.target_modules: the model has no linear layer {name!r}{nearest(name, linear)}")
    return list(named)


def trained_whole(model: PreTrainedModel) -> list[str]:
    """Modules that are trained as they are: the head, and a pooler that the checkpoint lacked.

    Raises ExpError for options of the model that an adapter would make void.
    """
    prefix = model.base_model_prefix
    whole = [
        name for name, child in model.named_children() if name != prefix and next(child.parameters(), None) is not None
    ]
    drawn = {name.rsplit(".", 1)[0] for name in drawn_parameters(model) if name.startswith(f"{prefix}.")}
    if any(".layer" in name for name in drawn):
        raise ExpError(
            "model.reinit_layers draws layers at random, and an adapter would freeze them so; take one of the two"
        )
    if any(type(module).__name__ == "MixoutLinear" for module in model.modules()):
        raise ExpError("model.mixout acts on trained weights, and an adapter freezes them; take one of the two")
    return whole + sorted(drawn)


def _wrap(model: PreTrainedModel, config: Any) -> PreTrainedModel:
    import warnings

    with warnings.catch_warnings():
        # peft 0.21 still asks transformers by the old name of is_activation_checkpointing.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return _peft("lora").get_peft_model(model, config)


def _wrap_lora(
    model: PreTrainedModel, r: int, alpha: int, dropout: float, named: Sequence[str] | None
) -> PreTrainedModel:
    peft = _peft("lora")
    config = peft.LoraConfig(
        task_type=peft.TaskType.SEQ_CLS,
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets(model, named),
        modules_to_save=trained_whole(model),
    )
    return _wrap(model, config)


def _merged_copy(model: Any) -> PreTrainedModel:
    return copy.deepcopy(model).merge_and_unload()


def _check_rank(key: str, rank: int) -> None:
    if rank < 1:
        raise ExpError(f"adapter.{key}={rank} must be at least 1: the rank of the update")


def _peft(option: str) -> Any:
    # peft imports bitsandbytes where it is installed, and that warns about optional kernels it would download.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import peft
    except ImportError:
        raise ExpError(f"adapter={option} needs the package peft: pip install peft; or take adapter=none") from None
    return peft

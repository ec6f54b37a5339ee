"""The adapter options: what of the model is trained. See exp.model.base.Adapter for the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt, MinLen

from exp.compat.bitsandbytes import keep_4bit_weights
from exp.errors import ExpError
from exp.model.peft_wrapping import load_peft, merged_copy, targets, trained_whole, wrap, wrap_lora

if TYPE_CHECKING:
    from transformers import PreTrainedModel

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
        given = (self.r, self.lora_alpha, self.lora_dropout, self.target_modules)
        return wrap_lora(model, peft_task, *given, **self.variant())

    def variant(self) -> dict[str, Any]:
        """Arguments of peft's LoraConfig that make another method of it."""
        return {}

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """A plain copy with the updates added in; the given model stays as it is."""
        return merged_copy(model)


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
        peft = load_peft("adalora")
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
        return wrap(model, config)

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        """Reads the gradients' importance, and prunes ranks every `delta_t` steps; `step` counts from 1."""
        model.base_model.update_and_allocate(step)

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """A plain copy with the updates added in; the given model stays as it is."""
        return merged_copy(model)


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

        load_peft("qlora")
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
        peft = load_peft("qlora")
        # Gradient checkpointing is the loop's business, so it is not switched on here.
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        keep_4bit_weights(model)
        return wrap_lora(model, peft_task, self.r, self.lora_alpha, self.lora_dropout, self.target_modules)

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """A plain fp32 copy: 4-bit weights unpacked, and the updates added without rounding back to 4 bits."""
        from exp.model.quantised import unpacked_copy

        return unpacked_copy(model)

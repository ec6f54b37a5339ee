"""(IA)^3: see exp.model.base.Adapter for the contract."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.model.adapter import Modules
from exp.model.peft_wrapping import chosen, load_peft, trained_whole, wrap

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Keys, values and the layer that leads out of the feed-forward block, as in the paper; of the families below peft has
# no table. The last name of each is the feed-forward one.
TARGETS = {
    "albert": ("key", "value", "ffn_output"),
    "camembert": ("key", "value", "output.dense"),
    "distilbert": ("k_lin", "v_lin", "lin2"),
    "electra": ("key", "value", "output.dense"),
    "modernbert": ("Wqkv", "mlp.Wo"),  # one matrix for query, key and value
    "mpnet": ("k", "v", "output.dense"),
    "wav2vec2": ("k_proj", "v_proj", "output_dense"),
    "xlm-roberta": ("key", "value", "output.dense"),
}


@dataclass(frozen=True)
class Ia3:
    """One factor for every key, value and inner activation (Liu et al. 2022); the head stays trainable."""

    target_modules: Modules
    feedforward_modules: Modules

    def __post_init__(self) -> None:
        if self.target_modules is None and self.feedforward_modules is not None:
            raise ExpError("adapter.feedforward_modules is a part of adapter.target_modules: name both, or neither")
        for name in self.feedforward_modules or ():
            if name not in (self.target_modules or ()):
                raise ExpError(
                    f"adapter.feedforward_modules: {name!r} is not among adapter.target_modules; name it there"
                )

    def load_kwargs(self) -> dict[str, Any]:
        return {}

    def apply(self, model: PreTrainedModel, total_steps: int, peft_task: str | None) -> PreTrainedModel:
        """The model wrapped by peft. Raises ExpError for target modules that the model does not have."""
        from peft.utils import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as FEEDFORWARD
        from peft.utils import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as KNOWN_TO_PEFT

        peft, family = load_peft("ia3"), model.config.model_type
        names = chosen(model, self.target_modules, {**KNOWN_TO_PEFT, **TARGETS}, "target_modules")
        if self.target_modules is None:
            feedforward = list(TARGETS[family][-1:] if family in TARGETS else FEEDFORWARD[family])
        else:
            feedforward = self.feedforward_modules or []
        config = peft.IA3Config(
            task_type=None if peft_task is None else peft.TaskType[peft_task],
            target_modules=names,
            feedforward_modules=feedforward,
            modules_to_save=trained_whole(model),
        )
        return wrap(model, config)

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        pass

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """A plain copy with the factors multiplied in; the given model stays as it is."""
        from peft.utils import ModulesToSaveWrapper

        merged: Any = copy.deepcopy(model)
        inner = merged.base_model.model
        # By hand: peft 0.21 copies the weight of every such module, and a head of several layers has none.
        for name, module in list(inner.named_modules()):
            if isinstance(module, ModulesToSaveWrapper):
                inner.set_submodule(name, module.modules_to_save[module.active_adapters[0]])
        return merged.merge_and_unload()

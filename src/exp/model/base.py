"""The contracts of a model option and of an adapter option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from exp.data.base import RawData


class ModelSource(Protocol):
    """Where weights and tokenizer come from. The seed is set before `model` draws the head."""

    def tokenizer(self, data: RawData) -> PreTrainedTokenizerBase: ...

    def model(self, data: RawData, tokenizer: PreTrainedTokenizerBase, **load: Any) -> PreTrainedModel:
        """A sequence classifier in fp32 on the CPU; `load` comes from the adapter (quantisation)."""
        ...


class Adapter(Protocol):
    """What is trained: everything (`none`), or a few added weights (LoRA and kin)."""

    def load_kwargs(self) -> dict[str, Any]:
        """Extra arguments for `from_pretrained`."""
        ...

    def apply(self, model: PreTrainedModel, total_steps: int) -> PreTrainedModel: ...

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        """Called after the optimizer stepped and before gradients are cleared (AdaLoRA reads them)."""
        ...

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """The plain model that `save_pretrained` writes into the run folder."""
        ...

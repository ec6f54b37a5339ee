"""The contracts of a model option and of an adapter option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from exp.data.examples import TaskData
    from exp.task.base import Head


class ModelSource(Protocol):
    """Where weights and processor come from. The seed is set before `model` draws the head."""

    def processor(self, data: TaskData, head: Head) -> Any:
        """What makes numbers of rows, of the kind that `head.processor` names: a tokenizer that can pad, without
        truncation and padding baked in, an image processor or a feature extractor."""
        ...

    def model(self, head: Head, processor: Any, **load: Any) -> PreTrainedModel:
        """With the head that the task asks for, in fp32 on the CPU; `load` comes from the adapter (quantisation)."""
        ...


class Adapter(Protocol):
    """What is trained: everything (`none`), or a few added weights (LoRA and kin)."""

    def load_kwargs(self) -> dict[str, Any]:
        """Extra arguments for `from_pretrained`."""
        ...

    def apply(self, model: PreTrainedModel, total_steps: int, peft_task: str | None) -> PreTrainedModel:
        """`total_steps` of the optimizer; `peft_task` is the head's (exp.task.base.Head)."""
        ...

    def after_optimizer_step(self, model: PreTrainedModel, step: int) -> None:
        """Called after the optimizer stepped and before gradients are cleared (AdaLoRA reads them)."""
        ...

    def merge(self, model: PreTrainedModel) -> PreTrainedModel:
        """The plain model that `save_pretrained` writes into the run folder.

        Where nothing can be merged: exp.model.unmerged.Unmerged, which writes the plain model and the adapter.
        """
        ...

    # An adapter that does not fit every config, task or length has these too; each raises ExpError:
    # `check_config(config)`, before a run has a folder; `check_head(head)`, when the rows are read;
    # `check_room(head, longest)`, before `apply`: of the tokens that the model's positions hold, None for any number.

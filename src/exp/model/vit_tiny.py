"""A small vision transformer with random weights: no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Lt

from exp.errors import ExpError
from exp.model.family import check_family, check_not_loaded
from exp.model.labels import set_labels

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from exp.data.examples import TaskData
    from exp.task.base import Head


@dataclass(frozen=True)
class VitTiny:
    """A model option that needs nothing but the data. Raises ExpError for sizes that cannot work."""

    image_size: Annotated[int, Ge(1)]
    patch_size: Annotated[int, Ge(1)]
    num_hidden_layers: Annotated[int, Ge(1)]
    hidden_size: Annotated[int, Ge(1)]
    num_attention_heads: Annotated[int, Ge(1)]
    intermediate_size: Annotated[int, Ge(1)]
    dropout: Annotated[float, Ge(0), Lt(1)]

    def __post_init__(self) -> None:
        for whole, part in (("hidden_size", "num_attention_heads"), ("image_size", "patch_size")):
            if getattr(self, whole) % getattr(self, part):
                raise ExpError(
                    f"model.{whole}={getattr(self, whole)} must be a multiple of model.{part}={getattr(self, part)}"
                )

    def processor(self, data: TaskData, head: Head) -> Any:
        """Images of image_size x image_size, values from -1 to 1.

        Raises ExpError for a task that ViT has no head for.
        """
        import transformers

        check_family(transformers.ViTConfig(), head, "model=vit_tiny")
        return transformers.ViTImageProcessorPil(size={"height": self.image_size, "width": self.image_size})

    def model(self, head: Head, processor: Any, **load: Any) -> PreTrainedModel:
        """A ViT with the head that the task asks for, drawn from the current torch RNG.

        Raises ExpError when an adapter asks for quantised loading: there is nothing to load.
        """
        import transformers

        check_not_loaded(load, "model=vit_tiny")
        config = transformers.ViTConfig(
            image_size=self.image_size,
            patch_size=self.patch_size,
            num_hidden_layers=self.num_hidden_layers,
            hidden_size=self.hidden_size,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
        )
        set_labels(config, head)
        return getattr(transformers, head.auto_class).from_config(config)

"""A small wav2vec2 with random weights: no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Lt, MinLen

from exp.errors import ExpError
from exp.model.family import check_family, check_not_loaded
from exp.model.labels import set_labels

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from exp.data.examples import TaskData
    from exp.task.base import Head

Strides = Annotated[list[Annotated[int, Ge(1)]], MinLen(1)]


@dataclass(frozen=True)
class Wav2Vec2Tiny:
    """A model option that needs nothing but the data. Raises ExpError for sizes that cannot work."""

    sampling_rate: Annotated[int, Ge(1000)]
    conv_dim: Annotated[int, Ge(1)]
    conv_stride: Strides
    num_hidden_layers: Annotated[int, Ge(1)]
    hidden_size: Annotated[int, Ge(1)]
    num_attention_heads: Annotated[int, Ge(1)]
    intermediate_size: Annotated[int, Ge(1)]
    dropout: Annotated[float, Ge(0), Lt(1)]

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ExpError(
                f"model.hidden_size={self.hidden_size} must be a multiple of"
                f" model.num_attention_heads={self.num_attention_heads}"
            )

    def processor(self, data: TaskData, head: Head) -> Any:
        """Samples at `sampling_rate` with mean 0 and variance 1, and a mask of what is no padding.

        Raises ExpError for a task that wav2vec2 has no head for.
        """
        import transformers

        check_family(transformers.Wav2Vec2Config(), head, "model=wav2vec2_tiny")
        return transformers.Wav2Vec2FeatureExtractor(
            sampling_rate=self.sampling_rate, do_normalize=True, return_attention_mask=True
        )

    def model(self, head: Head, processor: Any, **load: Any) -> PreTrainedModel:
        """A wav2vec2 with the head that the task asks for, drawn from the current torch RNG.

        Its convolutions normalise each frame by itself ("layer", as in the large checkpoints), so that what a recording
        gives does not depend on the padding of its batch.

        Raises ExpError when an adapter asks for quantised loading: there is nothing to load.
        """
        import transformers

        check_not_loaded(load, "model=wav2vec2_tiny")
        config = transformers.Wav2Vec2Config(
            feat_extract_norm="layer",
            do_stable_layer_norm=True,
            conv_dim=[self.conv_dim] * len(self.conv_stride),
            conv_stride=list(self.conv_stride),
            conv_kernel=[2 * stride for stride in self.conv_stride],
            num_feat_extract_layers=len(self.conv_stride),
            num_conv_pos_embeddings=16,  # frames; of 20 ms a third of a second
            num_conv_pos_embedding_groups=self.num_attention_heads,
            num_hidden_layers=self.num_hidden_layers,
            hidden_size=self.hidden_size,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            classifier_proj_size=self.hidden_size,
            hidden_dropout=self.dropout,
            attention_dropout=self.dropout,
            activation_dropout=0.0,
            feat_proj_dropout=0.0,
            final_dropout=self.dropout,
            layerdrop=0.0,
            mask_time_prob=0.0,  # masks are for pre-training and long recordings; their weight would never be used
        )
        set_labels(config, head)
        return getattr(transformers, head.auto_class).from_config(config)

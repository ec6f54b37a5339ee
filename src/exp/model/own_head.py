"""A torch Module as the head of a transformers encoder: a PreTrainedModel as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exp.compat.transformers import is_initialised
from exp.errors import ExpError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from exp.task.base import Head

# The task's Auto class -> the name under which transformers has its loss, and what that calls the logits.
LOSSES = {
    "AutoModelForSequenceClassification": ("ForSequenceClassification", "pooled_logits"),
    "AutoModelForTokenClassification": ("ForTokenClassification", "logits"),
}


def with_head(make: Any, config: PreTrainedConfig, head: Head) -> type[PreTrainedModel]:
    """A model class of the encoder of `config` and the head `make(config)`.

    The head is called with the encoder's last hidden states (batch, tokens, width) and the attention mask
    (batch, tokens), and gives logits: (batch, labels), or (batch, tokens, labels) for a task of tokens.

    Raises:
        ExpError: The task has no loss of logits alone.
    """
    import torch
    from torch import nn
    from transformers import AutoModel
    from transformers.loss.loss_utils import LOSS_MAPPING
    from transformers.modeling_outputs import SequenceClassifierOutput

    if head.auto_class not in LOSSES:
        raise ExpError(
            f"model.make names a head, and the task ({head.pipeline}) has no loss of logits alone; write a "
            f"PreTrainedModel with a loss of its own"
        )
    kind, argument = LOSSES[head.auto_class]
    loss_of = LOSS_MAPPING[kind]
    with torch.device("meta"):  # only its class is asked for
        bare = type(AutoModel.from_config(config))
    family = bare.__bases__[0]  # BertPreTrainedModel for BertModel: what the family's models share
    prefix = bare.base_model_prefix

    class EncoderWithHead(family):  # type: ignore[misc,valid-type]
        def __init__(self, config: PreTrainedConfig) -> None:
            super().__init__(config)
            setattr(self, prefix, bare(config))
            self.head = make(config)
            self.post_init()

        def forward(
            self, input_ids: Any = None, attention_mask: Any = None, labels: Any = None, **inputs: Any
        ) -> SequenceClassifierOutput:
            encoded = getattr(self, prefix)(input_ids=input_ids, attention_mask=attention_mask, **inputs)
            logits = self.head(encoded.last_hidden_state, attention_mask)
            loss = None if labels is None else loss_of(labels=labels, config=self.config, **{argument: logits})
            return SequenceClassifierOutput(loss=loss, logits=logits)

        def _init_weights(self, module: nn.Module) -> None:
            """The encoder's own rule for the encoder. The head draws its weights as it does when it is made."""
            if module is self.head:
                drawn = dict(make(self.config).named_parameters())
                with torch.no_grad():
                    for name, weight in module.named_parameters():
                        if not is_initialised(weight):
                            weight.copy_(drawn[name])
            elif module not in set(self.head.modules()):
                super()._init_weights(module)

    EncoderWithHead.__name__ = EncoderWithHead.__qualname__ = f"{bare.__name__}With{make.__name__}"
    return EncoderWithHead

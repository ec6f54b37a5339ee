"""A model of the user's own: its class, a function that returns one, or a head over an encoder (model.make)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.model.own_head import with_head
from exp.model.pretrained import Pretrained
from exp.model.tiny import BertTiny
from exp.options import trust
from exp.options.calls import check_function, check_unimported

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from exp.task.base import Head

WHERE = "model.make"


class MadeByUser:
    """What `make` names, as a class that transformers could have brought.

    Its forms: a subclass of PreTrainedModel; a torch Module, the head, made as `make(config)` and called as
    `head(hidden_states, attention_mask)`; a function `make(config)` that returns a PreTrainedModel. `config` is the
    encoder's, with the labels of the task in it.
    """

    make: str

    def __post_init__(self) -> None:
        trust.permit_function(self.make, WHERE)
        check_unimported(self.make, "config", f"{WHERE}={self.make}")  # its module imports torch

    def check_head(self, config: PreTrainedConfig, head: Head) -> None:
        """Any family will do: the head is the user's."""

    def model_class(self, config: PreTrainedConfig, head: Head) -> Any:
        """With `from_pretrained`. Raises ExpError for what is no model."""
        from torch import nn
        from transformers import PreTrainedModel

        made = trust.resolve(self.make, WHERE)
        if not isinstance(made, type):
            raise ExpError(
                f"{WHERE}={self.make} is a function, which loads its weights by itself: take model=own_tiny, or name "
                f"a class for model=own"
            )
        if issubclass(made, PreTrainedModel):
            return made
        if not issubclass(made, nn.Module):
            raise ExpError(f"{WHERE}={self.make} is no torch.nn.Module, no PreTrainedModel and no function")
        check_function(made, "config", f"{WHERE}={self.make}")
        return with_head(made, config, head)

    def drawn(self, config: PreTrainedConfig, head: Head) -> PreTrainedModel:
        """The model of `config`. Raises ExpError for a function that returns something else."""
        from transformers import PreTrainedModel

        made = trust.resolve(self.make, WHERE)
        if isinstance(made, type):
            model: PreTrainedModel = self.model_class(config, head)(config)
            return model
        check_function(made, "config", f"{WHERE}={self.make}")
        found = made(config)
        if not isinstance(found, PreTrainedModel):
            raise ExpError(f"{WHERE}={self.make} returned a {type(found).__name__}; it has to return a PreTrainedModel")
        return found

    def load(self, place: Path, head: Head) -> PreTrainedModel:
        """The model that a run saved in `place`. Raises ExpError where weights and code do not fit each other."""
        from safetensors.torch import load_model
        from transformers import AutoConfig

        made = trust.resolve(self.make, WHERE)
        kind = getattr(made, "config_class", None) or AutoConfig
        model = self.drawn(kind.from_pretrained(place), head)
        try:
            load_model(model, place / "model.safetensors")
        except RuntimeError as error:
            told = " ".join(str(error).split())
            raise ExpError(f"{place} does not fit {self.make}, whose code may have changed: {told[:300]}") from error
        return model


@dataclass(frozen=True)
class OwnPretrained(MadeByUser, Pretrained):
    """A class or head of the user's own over pretrained weights."""

    make: str


@dataclass(frozen=True)
class OwnTiny(MadeByUser, BertTiny):
    """A class, function or head of the user's own over a small BERT that is drawn at random."""

    make: str

    def __post_init__(self) -> None:
        MadeByUser.__post_init__(self)
        BertTiny.__post_init__(self)

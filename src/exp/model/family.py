"""Whether a family of models has the head that a task asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exp.compat.transformers import config_classes
from exp.errors import ExpError

if TYPE_CHECKING:
    from exp.task.base import Head

# Met most often, named first where a family does not fit; transformers knows some 40 more.
_KNOWN_BEST = (
    *("t5", "bart", "mbart", "marian", "m2m_100", "pegasus", "bert", "roberta", "deberta-v2", "gpt2", "llama"),
    *("vit", "swin", "resnet", "convnext", "wav2vec2", "hubert", "audio-spectrogram-transformer"),
)


def check_family(config: Any, head: Head, what: str) -> None:
    """Raises ExpError, naming families that fit. `what`: the model in the user's words, such as model=bert_tiny."""
    import transformers

    known = config_classes(getattr(transformers, head.auto_class))
    if type(config) in known:
        return
    fitting = [kind.model_type for kind in known]  # type: ignore[attr-defined]
    first = [kind for kind in _KNOWN_BEST if kind in fitting]
    others = [kind for kind in sorted(set(fitting)) if kind not in first]
    names = ", ".join([*first, *others][:8])
    raise ExpError(
        f"{what} is a {config.model_type}, which has no head for {head.pipeline}; families that have one: {names} and "
        f"more ({head.auto_class})"
    )


def check_not_loaded(load: Mapping[str, Any], what: str) -> None:
    """Raises ExpError where an adapter asks how to load weights, and `what`, such as model=bert_tiny, has none."""
    if load:
        raise ExpError(
            f"adapter=qlora quantises pretrained weights, and {what} has none; take adapter=lora, or a pretrained model"
        )

"""Whether a family of models has the head that a task asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exp.compat.transformers import config_classes, model_class
from exp.errors import ExpError

if TYPE_CHECKING:
    from exp.task.base import Head

# Met most often, named first where a family does not fit; transformers knows some 40 more.
_KNOWN_BEST = (
    *("t5", "bart", "mbart", "marian", "m2m_100", "pegasus", "bert", "roberta", "deberta-v2", "gpt2", "llama"),
    *("vit", "swin", "resnet", "convnext", "wav2vec2", "hubert", "audio-spectrogram-transformer"),
)
# What goes into a model, by transformers' name of the tensor and by what makes it of rows.
WHAT = {"input_ids": "texts", "pixel_values": "images", "input_values": "sound", "input_features": "sound"}
INPUTS = {"tokenizer": "texts", "image_processor": "images", "feature_extractor": "sound"}


def check_family(config: Any, head: Head, what: str) -> None:
    """Raises ExpError, naming families that fit. `what`: the model in the user's words, such as model=bert_tiny."""
    import transformers

    known = config_classes(getattr(transformers, head.auto_class))
    if type(config) in known:
        # A bare encoder has no head that would tell what goes in.
        if head.auto_class == "AutoModel" and (reads := _reads(config)) not in (INPUTS[head.processor], None):
            raise ExpError(
                f"{what} is a {config.model_type}, which reads {reads} and not {INPUTS[head.processor]}; take an "
                f"encoder such as bert_tiny or minilm_l6"
            )
        return
    fitting = [kind.model_type for kind in known]  # type: ignore[attr-defined]
    first = [kind for kind in _KNOWN_BEST if kind in fitting]
    others = [kind for kind in sorted(set(fitting)) if kind not in first]
    names = ", ".join([*first, *others][:8])
    raise ExpError(
        f"{what} is a {config.model_type}, which has no head for {head.pipeline}; families that have one: {names} and "
        f"more ({head.auto_class})"
    )


def _reads(config: Any) -> str | None:
    import transformers

    return WHAT.get(model_class(transformers.AutoModel, config).main_input_name)


def check_not_loaded(load: Mapping[str, Any], what: str) -> None:
    """Raises ExpError where an adapter asks how to load weights, and `what`, such as model=bert_tiny, has none."""
    if load:
        raise ExpError(
            f"adapter=qlora quantises pretrained weights, and {what} has none; take adapter=lora, or a pretrained model"
        )

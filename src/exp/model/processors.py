"""What makes numbers of rows, as a checkpoint brings it: a tokenizer, an image processor or a feature extractor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.model.source import TOKENIZERS

if TYPE_CHECKING:
    from exp.task.base import Head

# Kind -> transformers' class, and what it is told besides.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tokenizer": ("AutoTokenizer", {"use_fast": True}),
    # Pillow's arithmetic wherever a run goes on: torchvision's resizing gives other pixels.
    "image_processor": ("AutoImageProcessor", {"backend": "pil"}),
    "feature_extractor": ("AutoFeatureExtractor", {}),
}


def load_processor(head: Head, path: str, **where: Any) -> Any:
    """`where`: further arguments of from_pretrained, such as revision.

    Raises ExpError for an image processor or a feature extractor that is of another task, and for a folder without the
    vocabulary of its tokenizer: transformers would make one up, of the special tokens alone.
    """
    import transformers

    name, besides = KINDS[head.processor]
    found = getattr(transformers, name).from_pretrained(path, **besides, **where)
    lacking = {"image_processor": "size", "feature_extractor": "sampling_rate"}.get(head.processor)
    if lacking is not None and getattr(found, lacking, None) is None:
        raise ExpError(
            f"the {head.processor.replace('_', ' ')} of {path} is a {type(found).__name__}, without {lacking}: no "
            f"model of {head.pipeline}"
        )
    files = {file.name for file in Path(path).iterdir()} if Path(path).is_dir() else set(TOKENIZERS)
    if head.processor == "tokenizer" and found.is_fast and not files & set(TOKENIZERS):
        raise ExpError(f"{path} has no tokenizer any more ({', '.join(TOKENIZERS)}); put its file back")
    return found

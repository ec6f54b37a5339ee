"""Knowledge distillation (Hinton et al. 2015): the logits of a teacher, a finished run, are a target too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Le

from exp.errors import ExpError
from exp.loss.base import require
from exp.model.unmerged import is_unmerged

if TYPE_CHECKING:
    from torch import Tensor

    from exp.loss.base import LossFacts, TrainingLoss
    from exp.task.base import Head


@dataclass(frozen=True)
class DistillationLoss:
    """See conf/loss/distillation.yaml for the keys."""

    teacher_path: str
    temperature: Annotated[float, Gt(0)]
    mix: Annotated[float, Ge(0), Le(1)]

    def __post_init__(self) -> None:
        place = Path(self.teacher_path).expanduser()
        if is_unmerged(place / "model"):
            raise ExpError(
                f"loss.teacher_path={self.teacher_path} has an adapter that is not merged; a teacher is a plain model"
            )
        if not any((folder / "config.json").is_file() for folder in (place / "model", place)):
            raise ExpError(
                f"loss.teacher_path={self.teacher_path} is no run folder with a model: there is no model/config.json"
            )

    @property
    def place(self) -> Path:
        """The folder of the teacher's model."""
        place = Path(self.teacher_path).expanduser().resolve()
        return place / "model" if (place / "model" / "config.json").is_file() else place

    def build(self, facts: LossFacts) -> TrainingLoss:
        """Raises ExpError for a teacher of another task, with other classes or with another tokenizer."""
        require(facts, "distillation", "class", "binary", "score")
        teacher = self._teacher(facts)
        facts.head.prepare(teacher, facts.processor)
        return _Taught(facts.head, teacher.eval().requires_grad_(False), self.temperature, self.mix)

    def _teacher(self, facts: LossFacts) -> Any:
        import torch
        import transformers
        from safetensors import SafetensorError

        from exp.model.processors import load_processor

        try:
            config = json.loads((self.place / "config.json").read_text(encoding="utf-8"))
            names = [name for _, name in sorted((config.get("id2label") or {}).items(), key=lambda one: int(one[0]))]
            reader = load_processor(facts.head, str(self.place), trust_remote_code=False, local_files_only=True)
            teacher, info = getattr(transformers, facts.head.auto_class).from_pretrained(
                self.place,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except ExpError:
            raise
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            first = str(error).strip().splitlines()[0]
            raise ExpError(f"loss.teacher_path={self.teacher_path} cannot be loaded: {first}") from error
        said = f"loss.teacher_path={self.teacher_path}"
        if absent := sorted(info["missing_keys"]):
            raise ExpError(
                f"{said} was trained for another task than {facts.head.pipeline}: its model has no {absent[0]}"
            )
        if facts.head.labels is not None and names != list(facts.head.labels):
            raise ExpError(f"{said} knows the classes {', '.join(names)}, these data {', '.join(facts.head.labels)}")
        if not same_reader(reader, facts.processor):
            raise ExpError(
                f"{said} reads other tokens or pictures than this model: distil into one that reads the same"
            )
        return teacher


class _Taught:
    def __init__(self, head: Head, teacher: Any, temperature: float, mix: float) -> None:
        self.head, self.teacher = head, teacher
        self.temperature, self.mix = temperature, mix

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """(1 - mix) x own + mix x temperature² x KL from teacher to student; the square keeps the gradient's size."""
        import torch

        from exp.loss.values import divergence, own

        assert self.head.terms is not None
        self.teacher.to(next(iter(batch.values())).device)
        with torch.no_grad():
            taught = self.head.terms.of(batch, self.teacher(**batch))
        losses = []
        for term, target in zip(self.head.terms.of(batch, model(**batch)), taught, strict=True):
            apart = divergence(term, target.logits, term.logits, self.temperature).mean()
            square = 1.0 if term.kind == "score" else self.temperature**2
            losses.append((1 - self.mix) * own(term).mean() + self.mix * square * apart)
        return sum(losses) / len(losses)  # type: ignore[return-value]


def same_reader(one: Any, two: Any) -> bool:
    """Whether two processors make the same numbers of a row: the same vocabulary, or the same settings."""
    if hasattr(one, "get_vocab"):
        return bool(hasattr(two, "get_vocab") and one.get_vocab() == two.get_vocab())
    settings = [
        {key: value for key, value in reader.to_dict().items() if "name" not in key and "class" not in key}
        for reader in (one, two)
    ]
    return settings[0] == settings[1]

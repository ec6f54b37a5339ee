"""What is drawn anew of an image or a recording each time that training sees it, named in the config."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from exp.errors import ExpError, nearest
from exp.options.option import construct

if TYPE_CHECKING:
    import numpy as np

Given = Sequence[str | Mapping[str, Any]]


class Transform(Protocol):
    """A frozen dataclass; its fields are the arguments."""

    def __call__(self, what: Any, dice: np.random.Generator) -> Any: ...


def transforms_of(given: Given, known: Mapping[str, type]) -> list[Transform]:
    """From names, or names with arguments: `[RandomHorizontalFlip, {RandomRotation: {degrees: 10}}]`.

    Raises ExpError for an unknown name or argument, and for a value that does not fit.
    """
    found: list[Transform] = []
    for one in given:
        name, arguments = (one, {}) if isinstance(one, str) else next(iter(one.items()), ("", {}))
        if not isinstance(one, str) and (len(one) != 1 or not isinstance(arguments or {}, Mapping)):
            raise ExpError(
                f"task.train_transforms: {dict(one)} is no transform; write a name, or {{name: {{argument: value}}}}"
            )
        if name not in known:
            raise ExpError(f"task.train_transforms: there is no transform {name!r}{nearest(name, known)}")
        found.append(construct(known[name], arguments or {}, f"task.train_transforms.{name}"))
    return found


def written(transforms: Sequence[Transform]) -> list[dict[str, Any]]:
    """As a config would name them, with every argument."""
    return [{type(one).__name__: dataclasses.asdict(one)} for one in transforms]  # type: ignore[call-overload]

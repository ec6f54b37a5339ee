"""What run.json and result.json may hold: a record can come from anyone, and every reader relies on its types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from exp.errors import ExpError

NUMBER, TEXT, NOTHING = (int, float), (str,), type(None)
POINT = {"value": (*NUMBER, NOTHING), "step": (*NUMBER, NOTHING)}
GIT = {"commit": (str, NOTHING), "dirty": (bool, NOTHING), "diff": (str, NOTHING), "root": (str, NOTHING)}


class Whole(dict[str, Any]):
    """A mapping of which no key may be missing."""


# A tuple: types. A list of one: a list of such; of several: exactly these. A mapping with "*": of any keys to such;
# else of these keys, each of which may be missing unless it is Whole.
RECORD: dict[str, Any] = {
    **dict.fromkeys(("id", "condition", "status", "host", "machine", "cwd", "wandb_id"), TEXT),
    **dict.fromkeys(("group", "reason"), (str, NOTHING)),
    **dict.fromkeys(("schema", "pid", "processes"), (int,)),
    **dict.fromkeys(("created", "finished"), (datetime, NOTHING)),
    "seed": (int, NOTHING),
    "started": (*NUMBER, NOTHING),
    "command": [TEXT],
    "search_path": [TEXT],
    "git": (GIT,),
    "project": (GIT,),
    "packages": {"*": (str, NOTHING)},
    "hardware": {"*": (*NUMBER, str, list, NOTHING)},
    "paths": {"*": (str, list, NOTHING)},  # a list where a key names several files
    "config": {"*": None},
    "trusted": [{"name": TEXT, "content": TEXT, "version": (str, NOTHING)}],
    "data": (
        {
            "name": TEXT,
            "fingerprint": TEXT,
            "label_names": (list, NOTHING),
            "metrics": [TEXT],
            "inputs": [TEXT],
            "label_column": (str, NOTHING),
            "eval_examples": {"*": (int,)},
            "train_examples": (int,),
            "objective": (str, NOTHING),
            "greater_is_better": (bool, NOTHING),
            "directions": {"*": (bool,)},
            "chance_train_loss": (*NUMBER, NOTHING),
            "by_class": {"*": {"*": NUMBER}},
            "chance": Whole(loss=(*NUMBER, NOTHING), metrics={"*": [NUMBER, NUMBER]}),
        },
    ),
    "model": ({"type": TEXT, "parameters": (int,), "trained_parameters": (int,)},),
    "plan": ({"total_steps": (int,), "steps_per_epoch": (int,)},),
}
RESULT: dict[str, Any] = {
    "status": TEXT,
    "objective": {"name": (str, NOTHING), **POINT},
    "best": {"*": POINT},
    "last": {"*": POINT},
    "cost": {"*": (*NUMBER, NOTHING)},
    "stopped_early": (bool,),
    "reason": (str, NOTHING),
    "saved_step": (int, NOTHING),
}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


def damaged(value: Any, shape: Any, where: str = "") -> str | None:
    """The first place of `value` that does not fit `shape`, as a dotted key; None where all fit.

    A tuple that holds a mapping stands for that mapping or null.
    """
    if shape is None:
        return None
    if isinstance(shape, tuple):
        inner = next((one for one in shape if isinstance(one, dict)), None)
        if inner is not None:
            return None if value is None else damaged(value, inner, where)
        return None if _is_one(value, shape) else where
    if isinstance(shape, list):
        if not isinstance(value, list):
            return where
        if len(shape) > 1 and len(value) != len(shape):
            return where
        shapes = shape * len(value) if len(shape) == 1 else shape
        found = (damaged(one, part, f"{where}.{at}") for at, (one, part) in enumerate(zip(value, shapes, strict=True)))
        return next((one for one in found if one is not None), None)
    if not isinstance(value, dict):
        return where
    if isinstance(shape, Whole) and (lacking := sorted(shape.keys() - value.keys())):
        return f"{where}.{lacking[0]}" if where else lacking[0]
    parts = ((key, shape.get(key, shape.get("*"))) for key in value)
    found = (damaged(value[key], part, f"{where}.{key}" if where else key) for key, part in parts)
    return next((one for one in found if one is not None), None)


def _is_one(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, int) and abs(value) >= 2**63:
        return False
    if datetime in kinds and isinstance(value, str):
        try:
            return datetime.fromisoformat(value) is not None
        except ValueError:
            return False
    return isinstance(value, kinds)


def visible(value: Any) -> Any:
    """`value` with every control character as a replacement sign: a terminal would obey it."""
    if isinstance(value, str):
        return CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, Mapping):
        return {visible(key): visible(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [visible(inner) for inner in value]
    return value


def checked(value: Any, shape: Mapping[str, Any], path: Any, needed: Sequence[str]) -> dict[str, Any]:
    """`value`, a record read from `path`; raises ExpError where it is none."""
    if not isinstance(value, dict):
        raise ExpError(f"{path} is no run's record: it holds a {type(value).__name__} where an object belongs")
    for key in needed:
        if key not in value:
            raise ExpError(f"{path} is no run's record: its {key} is not there")
    where = damaged(value, shape)
    if where is not None:
        raise ExpError(f"{path} is no run's record: its {visible(where)} is damaged")
    return visible(value)

"""An option as the command line names it, from the class that a config names."""

from __future__ import annotations

import re


def option_name(key: str, target: object) -> str:
    """`loop`, or a key in it, and exp.loop.trainer.TrainerLoop -> trainer; else the last name of `target`."""
    name = str(target).rpartition(".")[2]
    group = key.partition(".")[0].capitalize()
    if not name.endswith(group) or name == group:
        return name
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-zA-Z])(?=\d)", "_", name.removesuffix(group)).lower()

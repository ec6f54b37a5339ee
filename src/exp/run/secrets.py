"""What must never be written down: the values of environment variables that hold tokens and keys."""

from __future__ import annotations

import os
import re
from typing import Any

_NAMES = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|KEY|CREDENTIALS?)(_|$)", re.IGNORECASE)
_SHORTEST = 8  # characters; shorter values ("true", "1") are no secrets and would black out ordinary words
HIDDEN = "<hidden>"


def secrets() -> list[str]:
    """The values, longest first."""
    found = {value for name, value in os.environ.items() if _NAMES.search(name) and len(value) >= _SHORTEST}
    return sorted(found, key=len, reverse=True)


def redacted(value: Any) -> Any:
    """`value` (a text, or containers of texts) with every secret in it hidden."""
    known = secrets()

    def hide(item: Any) -> Any:
        if isinstance(item, str):
            for secret in known:
                item = item.replace(secret, HIDDEN)
            return item
        if isinstance(item, dict):
            return {key: hide(one) for key, one in item.items()}
        if isinstance(item, list | tuple):
            return [hide(one) for one in item]
        return item

    return hide(value) if known else value

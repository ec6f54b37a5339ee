"""What must never be written down or sent: passwords in addresses, and the values of variables that hold secrets.

Everything that leaves the process passes through `redacted`: run.json, Hydra's files, logs, messages, trackers.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

# HF_TOKEN, PGPASSWORD, MYSQL_PWD, AWS_SECRET_ACCESS_KEY; not TOKENIZERS_PARALLELISM, PWD or KEYBOARD.
_NAMES = re.compile(
    r"TOKEN(?!IZ)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|(^|_)(KEY|PASS)(_|$)|_PWD$", re.IGNORECASE
)
_SHORTEST = 8  # characters; shorter values ("true", "1") are no secrets and would black out ordinary words
_KEYS = frozenset(("password", "passwd", "secret", "api_key", "apikey", "access_token", "auth_token", "client_secret"))
# An interpolation (${oc.env:PW}) is no secret, and a resume needs it.
_IN_URL = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@'\"]*:)(?!\$\{)[^\s/@'\"]+(?=@)", re.IGNORECASE)
_IN_QUERY = re.compile(
    r"([?&](?:password|passwd|pwd|token|secret|key|api_?key|access_token)=)(?!\$\{)[^&\s'\"]+", re.IGNORECASE
)
HIDDEN = "<hidden>"


def secrets() -> list[str]:
    """The values, longest first, as they are and as an address holds them."""
    found = {value for name, value in os.environ.items() if _NAMES.search(name) and len(value) >= _SHORTEST}
    return sorted(found | {quote(value, safe="") for value in found}, key=len, reverse=True)


def redacted(value: Any) -> Any:
    """`value` (a text, or containers of texts) with every secret in it hidden."""
    known = secrets()

    def hide(item: Any) -> Any:
        if isinstance(item, str):
            for secret in known:
                item = item.replace(secret, HIDDEN)
            return _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_URL.sub(rf"\1{HIDDEN}", item)) if "://" in item else item
        if isinstance(item, dict):
            return {
                key: HIDDEN if str(key).lower() in _KEYS and isinstance(one, str) else hide(one)
                for key, one in item.items()
            }
        if isinstance(item, list | tuple):
            return [hide(one) for one in item]
        return item

    return hide(value)

"""Rows that are chats: lists of messages, or a prompt and its completion. What does not fit is named with its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exp.data.rows import shortened
from exp.errors import ExpError, nearest

if TYPE_CHECKING:
    from exp.data.rows import Rows

ROLES = ("system", "user", "assistant")
Chat = list[dict[str, str]]  # [{"role": ..., "content": ...}, ...]


def chats_of(rows: Rows, column: str, labelled: bool) -> list[Chat]:
    """Role and content of every message.

    Raises:
        ExpError: a cell that is no list of messages, roles out of order, an empty message; and, where `labelled`, a
            chat without an assistant turn.
    """
    return [
        _chat(cell, f"{rows.where(row)}: column {column!r}", labelled) for row, cell in enumerate(rows.column(column))
    ]


def paired(prompts: Sequence[Any], completions: Sequence[str] | None) -> list[Chat]:
    """A user's turn and, where there are completions, the assistant's. A prompt may be a list of messages."""
    found = []
    for row, prompt in enumerate(prompts):
        chat = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        if completions is not None:
            chat.append({"role": "assistant", "content": completions[row]})
        found.append(chat)
    return found


def answers(chat: Chat) -> list[str]:
    return [message["content"] for message in chat if message["role"] == "assistant"]


def _chat(cell: Any, where: str, labelled: bool) -> Chat:
    if isinstance(cell, str):
        raise ExpError(f"{where} is a text ({shortened(cell, 40)}), not a list of messages {{role, content}}")
    if not isinstance(cell, list) or not cell:
        what = "missing" if cell is None else f"{shortened(cell, 40)}"
        raise ExpError(f"{where} is {what}; a list of messages {{role, content}} is needed")
    chat = [_message(one, f"{where}, message {turn}") for turn, one in enumerate(cell, start=1)]
    _check_order([message["role"] for message in chat], where)
    if labelled and not answers(chat):
        raise ExpError(f"{where} has no assistant turn, so there is nothing to learn from it; drop the row")
    return chat


def _message(one: Any, where: str) -> dict[str, str]:
    if not isinstance(one, Mapping) or "role" not in one or "content" not in one:
        hint = (
            "; rename from/value to role/content" if isinstance(one, Mapping) and {"from", "value"} <= set(one) else ""
        )
        raise ExpError(f"{where} is {shortened(one, 40)}; it needs a role and a content{hint}")
    role, content = one["role"], one["content"]
    if role not in ROLES:
        raise ExpError(f"{where} has the role {role!r}{nearest(str(role), ROLES)}")
    if not isinstance(content, str):
        raise ExpError(f"{where} has the content {shortened(content, 40)}, which is no text")
    if not content.strip():
        raise ExpError(f"{where} ({role}) is empty")
    return {"role": role, "content": content}


def _check_order(roles: Sequence[str], where: str) -> None:
    """system may come first; then user and assistant take turns, and a user begins."""
    turns = roles[1:] if roles[0] == "system" else roles
    for number, role in enumerate(turns, start=len(roles) - len(turns) + 1):
        wanted = "assistant" if (number - (len(roles) - len(turns))) % 2 == 0 else "user"
        if role != wanted:
            raise ExpError(f"{where}: roles are out of order, message {number} is of {role} and should be of {wanted}")
    if not turns:
        raise ExpError(f"{where} holds a system message and nothing else")

"""Chats as text: the tokenizer's own template or one of ours, and which part of it an assistant wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from exp.errors import ExpError, nearest

Message = Mapping[str, str]  # role, content

# By name, for tokenizers that have none. Each ends an answer with the tokenizer's end token, as Llama's and Qwen's do.
TEMPLATES = {
    # Roles as words, for models that have not seen markers: "User: ...\nAssistant: ...<end>\n".
    "plain": (
        "{% for message in messages %}"
        "{{ message['role'] | capitalize + ':' }}"
        "{{ ' ' + message['content'] }}"
        "{{ eos_token if message['role'] == 'assistant' else '' }}"
        "{{ '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
    ),
    # ChatML's layout (OpenAI 2023) with markers as text, so that it needs no new tokens.
    "chatml": (
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}"
        "{{ eos_token if message['role'] == 'assistant' else '' }}"
        "{{ '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    ),
    # Nothing but the texts: a prompt and its completion.
    "none": (
        "{% for message in messages %}{{ message['content'] }}"
        "{{ eos_token if message['role'] == 'assistant' else '' }}{% endfor %}"
    ),
}


class Piece(NamedTuple):
    """A stretch of a chat's text. `answer`: an assistant wrote it, the marks of its end included."""

    text: str
    answer: bool


def check_template(given: str | None) -> None:
    """Raises ExpError for what is no name, no file and no template."""
    if given is None or given in TEMPLATES or "{{" in given or "{%" in given:
        return
    if not Path(given).expanduser().is_file():
        raise ExpError(
            f"task.chat_template={given}: neither a name, nor a file, nor a Jinja template{nearest(given, TEMPLATES)}"
        )


def template_text(given: str) -> str:
    """Of a name, a file or the template itself. Raises ExpError for a file that is no text."""
    if given in TEMPLATES:
        return TEMPLATES[given]
    if "{{" in given or "{%" in given:
        return given
    try:
        return Path(given).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExpError(f"task.chat_template={given} cannot be read: {error}") from error


def fit_template(tokenizer: Any, given: str | None) -> None:
    """Gives the tokenizer the template that was asked for; it is saved with the model. Raises ExpError for none."""
    if given is not None:
        tokenizer.chat_template = template_text(given)
    if not tokenizer.chat_template:
        raise ExpError(
            f"the tokenizer of {tokenizer.name_or_path or 'the model'} has no chat template; set task.chat_template to "
            f"one of {', '.join(TEMPLATES)}, or to a Jinja file"
        )


def pieces(tokenizer: Any, messages: Sequence[Message], where: str) -> list[Piece]:
    """The chat's text in stretches, answers apart from the rest.

    An answer goes from where a model is asked to write (the generation prompt's end) to where the template is done with
    the turn. Each stretch is tokenised on its own, so that in training an answer begins with the tokens that it begins
    with when the model writes it.

    Raises:
        ExpError: the template refuses the chat, or writes a turn differently when others follow it.
    """
    whole = _text(tokenizer, messages, where)
    found: list[Piece] = []
    done = 0
    for turn, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        begin = _text(tokenizer, messages[:turn], where, ask=True)
        until = _common(whole, _text(tokenizer, messages[: turn + 1], where))
        if not whole.startswith(begin) or until <= len(begin):
            raise ExpError(
                f"{where}: the chat template writes turn {turn + 1} differently when other turns follow it, so its "
                f"tokens cannot be told apart; choose task.chat_template={' or '.join(list(TEMPLATES)[:2])}"
            )
        found += [Piece(whole[done : len(begin)], False), Piece(whole[len(begin) : until], True)]
        done = until
    return [piece for piece in [*found, Piece(whole[done:], False)] if piece.text]


def prompt_text(tokenizer: Any, messages: Sequence[Message], where: str) -> str:
    """The chat up to where its last answer is to be written."""
    answers = [turn for turn, message in enumerate(messages) if message["role"] == "assistant"]
    asked = messages[: answers[-1]] if answers and answers[-1] == len(messages) - 1 else messages
    return _text(tokenizer, asked, where, ask=True)


def _text(tokenizer: Any, messages: Sequence[Message], where: str, ask: bool = False) -> str:
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=ask)
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExpError(f"{where}: the chat template refuses this chat: {reason}") from error


def _common(one: str, two: str) -> int:
    """Characters that two texts have in common at their beginning."""
    if one.startswith(two):
        return len(two)
    return next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))

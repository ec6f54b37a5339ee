"""Tokenizers that mark a text's language with a token (mBART, NLLB, M2M100)."""

from __future__ import annotations

import re
from typing import Any

from exp.errors import ExpError, nearest

_CODE = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]+")  # en_XX, eng_Latn


def set_languages(tokenizer: Any, source: str | None, target: str | None) -> None:
    """What both sides of a pair are marked with from here on; nothing where the tokenizer marks none.

    Raises ExpError for a language that is not given, or that the tokenizer does not know.
    """
    if not hasattr(tokenizer, "src_lang"):
        return
    known = languages_of(tokenizer)
    tokenizer.src_lang = _code("source", source, known)
    tokenizer.tgt_lang = _code("target", target, known)


def languages_of(tokenizer: Any) -> list[str]:
    codes = getattr(tokenizer, "lang_code_to_id", None)
    if codes is None:
        codes = [text for text in map(str, tokenizer.all_special_tokens) if _CODE.fullmatch(text)]
    return sorted(codes)


def _code(which: str, given: str | None, known: list[str]) -> str:
    key = f"task.{which}_lang"
    if given is None:
        raise ExpError(f"this model's tokenizer marks languages: set {key}, e.g. {key}={known[0]}")
    if given in known:
        return given
    one_country = [code for code in known if code.startswith(f"{given}_")]  # en is en_XX
    if len(one_country) == 1:
        return one_country[0]
    raise ExpError(f"{key}={given}: this model's tokenizer has no such language{nearest(given, known)}")

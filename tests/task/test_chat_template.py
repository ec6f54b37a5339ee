from __future__ import annotations

import pytest

from exp.data.examples import Examples
from exp.errors import ExpError
from exp.model.trained_tokenizer import trained_tokenizer
from exp.task.chat_template import TEMPLATES, check_template, fit_template, pieces, prompt_text

CHAT = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": "Bye"},
]


@pytest.fixture
def tokenizer():
    return trained_tokenizer(Examples([0], {"text": ["some words"]}, None), "characters", 300, 64)


@pytest.mark.parametrize("name", TEMPLATES)
def test_only_answers_are_learned_and_the_stretches_make_the_whole(name, tokenizer):
    fit_template(tokenizer, name)
    found = pieces(tokenizer, CHAT, "row 1")
    assert "".join(piece.text for piece in found) == tokenizer.apply_chat_template(CHAT, tokenize=False)
    learned = [piece.text for piece in found if piece.answer]
    assert len(learned) == 2
    for text, answer in zip(learned, ("Hi", "Bye"), strict=True):
        assert answer in text and tokenizer.eos_token in text
    told = "".join(piece.text for piece in found if not piece.answer)
    assert "Hi" not in told and "Bye" not in told and "And now?" in told


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_model_is_asked_with_what_stood_before_the_answer(name, tokenizer):
    fit_template(tokenizer, name)
    before = "".join(piece.text for piece in pieces(tokenizer, CHAT, "row 1")[:-1])
    asked = prompt_text(tokenizer, CHAT, "row 1")
    assert before.startswith(asked) and asked == prompt_text(tokenizer, CHAT[:-1], "row 1")


def test_the_template_may_be_a_file_or_stand_there(tokenizer, tmp_path):
    file = tmp_path / "chat.jinja"
    file.write_text(TEMPLATES["plain"])
    for given in (str(file), TEMPLATES["plain"]):
        check_template(given)
        fit_template(tokenizer, given)
        assert tokenizer.chat_template == TEMPLATES["plain"]


def test_a_name_that_is_none_and_a_tokenizer_without_template(tokenizer):
    with pytest.raises(ExpError, match=r"task.chat_template=chatlm.*did you mean 'chatml'"):
        check_template("chatlm")
    tokenizer.chat_template = None
    with pytest.raises(ExpError, match=r"has no chat template; set task.chat_template to one of plain, chatml, none"):
        fit_template(tokenizer, None)


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    """As templates do that drop the reasoning of earlier answers."""
    fit_template(
        tokenizer,
        "{% for m in messages %}{% if m.role == 'assistant' and not loop.last %}(left out){% else %}{{ m.content }}"
        "{% endif %}|{% endfor %}{% if add_generation_prompt %}A:{% endif %}",
    )
    with pytest.raises(ExpError, match=r"row 1: the chat template writes turn 3 differently"):
        pieces(tokenizer, CHAT, "row 1")


def test_a_template_that_refuses_a_chat_is_told_with_the_row(tokenizer):
    fit_template(tokenizer, "{{ raise_exception('no system messages') }}")
    with pytest.raises(ExpError, match=r"row 7: the chat template refuses this chat: no system messages"):
        pieces(tokenizer, CHAT, "row 7")

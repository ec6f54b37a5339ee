from __future__ import annotations

from pathlib import Path

import pytest

from exp.data.rows import Rows
from exp.errors import ExpError
from exp.task.chats import answers, chats_of, paired


def user(text="hello"):
    return {"role": "user", "content": text}


def assistant(text="hi"):
    return {"role": "assistant", "content": text}


def system(text="be kind"):
    return {"role": "system", "content": text}


def rows_of(*cells) -> Rows:
    return Rows(Path("chats.jsonl"), {"messages": list(cells)}, [10 + row for row in range(len(cells))])


GOOD = [user(), assistant()]


@pytest.mark.parametrize(
    "cell, told",
    [
        ("User: hi", "is a text ('User: hi'), not a list of messages"),
        (None, "is missing"),
        ([], "is []; a list of messages"),
        ({"role": "user"}, "a list of messages"),
        ([user()], "has no assistant turn"),
        ([system(), user()], "has no assistant turn"),
        ([system()], "holds a system message and nothing else"),
        ([assistant()], "message 1 is of assistant and should be of user"),
        ([user(), user(), assistant()], "message 2 is of user and should be of assistant"),
        ([user(), assistant(), assistant()], "message 3 is of assistant and should be of user"),
        ([system(), assistant()], "message 2 is of assistant and should be of user"),
        ([user(), system(), assistant()], "message 2 is of system and should be of assistant"),
        ([{"role": "asistant", "content": "x"}], "has the role 'asistant'; did you mean 'assistant'"),
        ([{"from": "human", "value": "x"}], "rename from/value to role/content"),
        ([user(), {"role": "assistant"}], "message 2 is {'role': 'assistant'}; it needs a role and a content"),
        ([user(), {"role": "assistant", "content": None}], "message 2 has the content None, which is no text"),
        ([user(), assistant(" \n")], "message 2 (assistant) is empty"),
        (["hi"], "message 1 is 'hi'"),
    ],
)
def test_a_chat_that_does_not_fit_is_named_with_its_row(cell, told):
    with pytest.raises(ExpError) as error:
        chats_of(rows_of(GOOD, cell), "messages", labelled=True)
    assert "chats.jsonl, line 11" in str(error.value) and told in str(error.value)
    assert "\n" not in str(error.value)


def test_good_chats_keep_role_and_content_alone():
    rows = rows_of([system(), user(), assistant(), user()], [{**user(), "name": "Ann"}, assistant()])
    found = chats_of(rows, "messages", labelled=True)
    assert found[1] == GOOD and answers(found[0]) == ["hi"]


def test_without_labels_a_question_alone_will_do():
    assert chats_of(rows_of([user()]), "messages", labelled=False) == [[user()]]


def test_a_prompt_and_its_completion_make_a_chat():
    assert paired(["a", [system(), user()]], ["b", "c"]) == [
        [user("a"), assistant("b")],
        [system(), user(), assistant("c")],
    ]
    assert paired(["a"], None) == [[user("a")]]

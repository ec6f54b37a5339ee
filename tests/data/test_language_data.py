from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest

from exp.data.chat_file import ChatFile
from exp.data.dice import Dice
from exp.data.markov_text import STOP, WORDS, MarkovText, successors
from exp.data.quiz import Quiz
from exp.data.text_file import TextFile
from exp.data.wikitext import WikiText
from exp.errors import ExpError


def test_every_word_of_the_embedded_text_has_four_successors():
    """So a word costs log 4 nats on every sentence, and nobody's perplexity a word is below 4."""
    follows = successors(Dice(7))
    assert set(follows) == {*WORDS, STOP} and all(len(set(chosen)) == 4 for chosen in follows.values())
    assert {word for chosen in follows.values() for word in chosen} == {*WORDS, STOP}
    raw = MarkovText(None, None, 300, 20, 20, 7).read()
    seen = Counter()
    for sentence in raw.train.columns["text"]:
        words = [STOP, *sentence.split()]
        assert words[-1] == STOP and STOP not in words[1:-1]
        seen.update(pairwise(words))
    assert set(seen) <= {(word, after) for word, chosen in follows.items() for after in chosen}
    assert raw.train.columns["text"] == MarkovText(None, None, 300, 20, 20, 7).read().train.columns["text"]


def test_answers_of_the_embedded_chats_follow_from_their_questions():
    raw = Quiz(None, None, 300, 50, 50, 7).read()
    chats = [chat for rows in (raw.train, raw.evals[""], raw.tests[""]) for chat in rows.columns["messages"]]
    assert len({json.dumps(chat) for chat in chats}) == 400
    known: dict[tuple[str, ...], set[str]] = {}
    for chat in chats:
        turns = [message["content"] for message in chat if message["role"] != "system"]
        thing = next(word.strip("?.:") for word in turns[0].split() if word.strip("?.:") in _things(turns[0]))
        for question, answer in zip(turns[::2], turns[1::2], strict=True):
            kind = next(k for k, words in _KINDS.items() if any(word in question for word in words))
            known.setdefault((thing, kind), set()).add(answer)
    assert all(len(answers) == 1 for answers in known.values()) and len(known) == 60
    assert {len(chat) for chat in chats} == {2, 3, 4, 5, 6, 7}


_KINDS = {"colour": ("colour",), "size": ("size", "How big"), "place": ("here", "place")}


def _things(question: str) -> list[str]:
    from exp.data.quiz import _THINGS

    return [thing for thing in _THINGS if f" {thing}" in question]


def test_one_text_is_split_by_characters_and_comes_back_whole(tmp_path):
    file = tmp_path / "input.txt"
    text = "".join(f"line {number}\n" for number in range(100)) + "no end"
    file.write_text(text)
    raw = TextFile(None, None, "made", str(tmp_path), "input.txt", None, 0.05, 0.05).read()
    parts = ["".join(rows.columns["text"]) for rows in (raw.train, raw.evals[""], raw.tests[""])]
    assert "".join(parts) == text and len(parts[0]) == int(0.9 * len(text))
    assert raw.evals[""].where(0) == f"{file}, line {parts[0].count(chr(10)) + 1}"
    two = TextFile(None, None, "made", str(file), "input.txt", None, 0.1, 0.0).read()
    assert not two.tests and len("".join(two.train.columns["text"])) == len(parts[0])


def test_a_text_that_is_too_short_or_not_there(tmp_path):
    (tmp_path / "input.txt").write_text("ab")
    with pytest.raises(ExpError, match="2 characters are too few to split"):
        TextFile(None, None, "made", str(tmp_path), "input.txt", None, 0.05, 0.05).read()
    with pytest.raises(ExpError, match=r"data.path: there is no file .*imput.txt"):
        TextFile(None, None, "made", str(tmp_path / "imput.txt"), "input.txt", None, 0.05, 0.05)
    with pytest.raises(ExpError, match="nothing is left to train on"):
        TextFile(None, None, "made", str(tmp_path), "input.txt", None, 0.5, 0.5)


def test_tiny_shakespeare_has_the_usual_split(shared_data):
    path = str(shared_data / "language-modeling" / "tiny-shakespeare")
    raw = TextFile(None, None, "tiny_shakespeare", path, "input.txt", None, 0.05, 0.05).read()
    sizes = [sum(map(len, rows.columns["text"])) for rows in (raw.train, raw.evals[""], raw.tests[""])]
    assert sizes == [1003854, 55770, 55770]


def test_chats_of_one_file_the_last_to_test_on(shared_data):
    folder = shared_data / "instruction"
    seed = ChatFile(
        None, None, "s", str(folder / "self-instruct-seed"), "seed_tasks.messages.jsonl", "messages", None, 25, 0.1, 13
    ).read()
    assert (len(seed.train), len(seed.tests[""])) == (150, 25) and seed.hold_out is not None
    kto = ChatFile(
        None, None, "k", str(folder / "kto-demo"), "kto_en_demo.json", "messages", {"label": True}, 25, 0.1, 13
    ).read()
    assert (len(kto.train), len(kto.tests[""])) == (125, 25) and set(kto.train.columns["label"]) == {True}


def test_wikitext_from_a_folder(tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"wiki.{split}.raw").write_text(f" \n = {split} = \n \n some words \n")
    raw = WikiText(None, None, str(tmp_path), "wikitext-2-raw-v1", None, "train", "validation", "test", 0.1, 13, None)
    found = raw.read()
    assert found.evals[""].columns["text"] == [" ", " = valid = ", " ", " some words "]
    assert found.roles["between_rows"] == "line_break"
    (tmp_path / "wiki.valid.raw").unlink()
    with pytest.raises(ExpError, match=r"no single file wiki.valid.\*"):
        raw.read()

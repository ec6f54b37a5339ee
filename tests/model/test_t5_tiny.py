"""T5 from nothing: texts survive its tokenizer, and it fits every task that T5 has a head for."""

from __future__ import annotations

import pytest

from exp.data.examples import Examples, TaskData
from exp.errors import ExpError
from exp.model.t5_tiny import SPECIAL, T5Tiny, vocabulary
from exp.task.base import Generation, Head
from exp.task.gold import Gold

SHAPE = {"num_layers": 2, "d_model": 16, "num_heads": 2, "d_ff": 32, "dropout": 0.0, "vocab_size": 500}
SOURCES = ["Ein Mann, ein Wort: ein  Hund.", "a dog (the big one) doesn't run", "a dog runs"]
TARGETS = [["Größe zählt!"], ["größer als", "anders"], ["zählt"]]


def data(targets=TARGETS) -> TaskData:
    split = Examples([0, 1, 2], {"source": SOURCES}, targets)
    return TaskData("toy", split, {"": split}, {}, None, ("bleu",), 32, "")


def head(auto="AutoModelForSeq2SeqLM", **given) -> Head:
    generation = Generation({"num_beams": 2, "max_new_tokens": 7}) if auto.endswith("LM") else None
    base = {"labels": None, "problem_type": None, "peft_task": "SEQ_2_SEQ_LM", "pipeline": "translation"}
    return Head(auto_class=auto, max_length=32, drawn=generation is None, generation=generation, **(base | given))


def test_texts_come_back_as_they_were_but_for_runs_of_spaces() -> None:
    tokenizer = T5Tiny(**SHAPE).processor(data(), head())
    for text in (*SOURCES, *(one for row in TARGETS for one in row), "Hund runs, Mann"):
        ids = tokenizer(text)["input_ids"]
        assert ids[-1] == tokenizer.eos_token_id and tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == " ".join(text.split())
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)
    assert tokenizer.unk_token_id in tokenizer("Ж")["input_ids"]


def test_words_of_the_targets_are_known_too() -> None:
    with_targets, without = (T5Tiny(**SHAPE).processor(data(t), head()) for t in (TARGETS, None))
    assert "▁zählt" in with_targets.get_vocab() and "▁zählt" not in without.get_vocab()
    T5Tiny(**SHAPE).processor(data([0, 1, 0]), head())  # classes are no texts


@pytest.mark.parametrize("targets", [[0, 1, 0], [1.5, 2.0, 0.1], [Gold([], []), Gold(["a"], [0]), Gold([], [])]])
def test_targets_that_are_no_texts_add_no_word(targets) -> None:
    plain, found = (T5Tiny(**SHAPE).processor(data(one), head()) for one in (None, targets))
    assert found.get_vocab() == plain.get_vocab()


def test_the_vocabulary_has_every_character_and_the_most_frequent_words() -> None:
    from collections import Counter

    counts = Counter({"▁aa": 3, "▁ab": 3, "▁c": 1, "▁b": 2})
    assert vocabulary(counts, 100) == [*SPECIAL, "a", "b", "c", "▁", "▁aa", "▁ab", "▁b"]
    assert vocabulary(counts, 8) == [*SPECIAL, "a", "b", "c", "▁", "▁aa"]
    assert vocabulary(counts, 4) == [*SPECIAL, "a", "b", "c", "▁"]  # characters are never left out


def test_how_it_generates_stands_in_its_folder(tmp_path) -> None:
    import transformers

    option = T5Tiny(**SHAPE)
    model = option.model(head(), option.processor(data(), head()))
    model.save_pretrained(tmp_path)
    saved = transformers.GenerationConfig.from_pretrained(tmp_path)
    assert (saved.num_beams, saved.max_new_tokens, saved.do_sample) == (2, 7, False)
    assert (saved.decoder_start_token_id, saved.eos_token_id, saved.pad_token_id) == (0, 1, 0)


@pytest.mark.parametrize(
    ("auto", "pipeline"),
    [
        ("AutoModelForSequenceClassification", "text-classification"),
        ("AutoModelForTokenClassification", "token-classification"),
    ],
)
def test_it_serves_other_tasks_as_well(auto, pipeline) -> None:
    wanted = head(auto, labels=("a", "b", "c"), pipeline=pipeline)
    option = T5Tiny(**SHAPE)
    model = option.model(wanted, option.processor(data([0, 1, 0]), wanted))
    assert model.config.num_labels == 3 and model.config.id2label[2] == "c"


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ExpError, match=r"model.d_model=17 must be a multiple of model.num_heads=2"):
        T5Tiny(**SHAPE | {"d_model": 17})
    with pytest.raises(ExpError, match=r"model=t5_tiny is a t5, which has no head for fill-mask; .* bert"):
        T5Tiny(**SHAPE).processor(data(), head("AutoModelForMaskedLM", pipeline="fill-mask"))
    option = T5Tiny(**SHAPE)
    with pytest.raises(ExpError, match="adapter=qlora"):
        option.model(head(), option.processor(data(), head()), quantization_config=1)

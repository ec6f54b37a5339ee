"""The generated data of translation and summarization: the same everywhere, no row twice, one right answer."""

from __future__ import annotations

import pytest

from exp.data.toy_language import ToyLanguage
from exp.data.toy_notes import ToyNotes
from exp.errors import ExpError

SIZES = {"train_size": 300, "eval_size": 40, "test_size": 40, "generator_seed": 7}
SAMPLES = {"max_train_samples": None, "max_eval_samples": None}
TOYS = {ToyLanguage: ("english", "toy"), ToyNotes: ("note", "summary")}


def made(toy, **given):
    raw = toy(**SIZES | SAMPLES | given).read()
    source, target = TOYS[toy]
    return [list(zip(one.columns[source], one.columns[target], strict=True)) for one in splits(raw)]


def splits(raw):
    return raw.train, raw.evals[""], raw.tests[""]


def test_the_first_rows_are_the_same_on_every_machine() -> None:
    assert made(ToyLanguage)[0][1] == ("the dog paints three books", "lo kano tri libes pintas")
    assert made(ToyNotes)[0][0] == (
        "above all , anna loses a heavy clock . anna paints a chair .",
        "anna loses clock",
    )


@pytest.mark.parametrize("toy", TOYS)
def test_no_source_occurs_twice_and_the_sizes_are_as_asked(toy) -> None:
    parts = made(toy)
    assert [len(part) for part in parts] == [300, 40, 40]
    sources = [source for part in parts for source, _ in part]
    assert len(set(sources)) == len(sources)
    assert made(toy, generator_seed=8) != parts
    with pytest.raises(ExpError, match=r"data\.train_size=100000: the three sizes together can be at most 100,000"):
        toy(**SIZES | SAMPLES | {"train_size": 100_000})


@pytest.mark.parametrize("toy", TOYS)
def test_a_sources_columns_and_roles_are_known_before_it_is_read(toy) -> None:
    option = toy(**SIZES | SAMPLES)
    assert option.columns() == [*splits(option.read())[0].columns]
    assert (option.roles["source_column"], option.roles["target_column"]) == TOYS[toy]


def test_the_language_has_its_own_order_plurals_and_genders() -> None:
    pairs = dict(made(ToyLanguage, train_size=20_000)[0])
    whole = [one for one in pairs.items() if one[0].startswith("the old dog sees two red boats")]
    assert all(toy.startswith("lo kano vetu ") and toy.endswith(" du barkis rudu vidas") for _, toy in whole)
    for english, toy in pairs.items():
        assert len(toy.split()) == len(english.split())
        assert toy.split()[-1] in ("vidas", "amas", "sekas", "trovas", "pintas", "audas")


def test_a_summary_is_the_marked_sentence_without_what_can_go() -> None:
    for note, summary in made(ToyNotes)[0]:
        (marked,) = [one for one in note.split(" . ") if " all , " in one]
        words = marked.removesuffix(" .").partition(" , ")[2].split()
        assert summary.split() == [words[0], words[1], words[-1]]

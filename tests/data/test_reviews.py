from __future__ import annotations

import pytest
from tests.reading import option, read

from exp.data.examples import TaskData
from exp.errors import ExpError


def default(**changes) -> TaskData:
    return read(option("data", "reviews", **changes))


def test_the_data_is_the_same_on_every_machine() -> None:
    data = default()
    assert data.train.inputs["sentence"][0] == "the salad looked good, but the room looked dull"
    assert data.fingerprint == "5fea246bf58527d3303d4bf8e118ec7f86062bd54aa9e255855ad2f3c9e5a11e"
    assert default(generator_seed=8).fingerprint != data.fingerprint


def test_exactly_the_stated_share_of_labels_is_flipped() -> None:
    noisy, clean = default(), default(label_noise=0.0)
    for one, other, size in (
        (noisy.train, clean.train, 4000),
        (noisy.evals[""], clean.evals[""], 1000),
        (noisy.tests[""], clean.tests[""], 1000),
    ):
        flipped = sum(a != b for a, b in zip(one.targets, other.targets, strict=True))
        assert flipped == size * 0.04
        assert sum(other.targets) == size / 2


def test_no_sentence_occurs_twice() -> None:
    sentences = [text for split in default().splits().values() for text in split.inputs["sentence"]]
    assert len(set(sentences)) == len(sentences) == 6000


def test_the_label_is_the_opinion_of_the_main_clause() -> None:
    data = default(label_noise=0.0)
    good = {"good", "great", "fine", "lovely", "nice", "superb"}

    def opinion(clause: str) -> int:
        words = clause.split()
        return int((words[-1] in good) != any(word in words for word in ("not", "hardly", "never")))

    split = data.evals[""]
    for sentence, label in zip(split.inputs["sentence"], split.targets, strict=True):
        first, _, second = sentence.partition(", ")
        main = second if first.startswith("although ") or second.startswith("but ") else first
        assert opinion(main) == label, sentence


def test_a_count_of_words_knows_next_to_nothing() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    data = default()
    count, evaluation = CountVectorizer(), data.evals[""]
    words = count.fit_transform(data.train.inputs["sentence"])
    model = LogisticRegression(max_iter=1000).fit(words, data.train.targets)
    assert model.score(count.transform(evaluation.inputs["sentence"]), evaluation.targets) < 0.65


def test_more_rows_than_there_are_sentences_are_refused() -> None:
    with pytest.raises(ExpError, match=r"data\.train_size=1000000000: .* at most 200,000"):
        option("data", "reviews", train_size=10**9)

from __future__ import annotations

import pytest

from exp.data.reviews import reviews
from exp.errors import ExpError


def default(**changes):
    options = {
        "train_size": 4000,
        "eval_size": 1000,
        "test_size": 1000,
        "label_noise": 0.04,
        "generator_seed": 7,
        "metrics": ["accuracy"],
        "max_length": 32,
        "max_train_samples": None,
        "max_eval_samples": None,
    }
    return reviews(**(options | changes))


def test_the_data_is_the_same_on_every_machine() -> None:
    raw = default()
    assert raw.train[0]["sentence"] == "the salad looked good, but the room looked dull"
    assert raw.fingerprint == "5fea246bf58527d3303d4bf8e118ec7f86062bd54aa9e255855ad2f3c9e5a11e"
    assert default(generator_seed=8).fingerprint != raw.fingerprint


def test_exactly_the_stated_share_of_labels_is_flipped() -> None:
    noisy, clean = default(), default(label_noise=0.0)
    for one, other, size in (
        (noisy.train, clean.train, 4000),
        (noisy.evals[""], clean.evals[""], 1000),
        (noisy.tests[""], clean.tests[""], 1000),
    ):
        flipped = sum(a != b for a, b in zip(one["label"], other["label"], strict=True))
        assert flipped == size * 0.04
        assert sum(other["label"]) == size / 2


def test_no_sentence_occurs_twice() -> None:
    raw = default()
    sentences = [*raw.train["sentence"], *raw.evals[""]["sentence"], *raw.tests[""]["sentence"]]
    assert len(set(sentences)) == len(sentences) == 6000


def test_the_label_is_the_opinion_of_the_main_clause() -> None:
    raw = default(label_noise=0.0)
    good = {"good", "great", "fine", "lovely", "nice", "superb"}

    def opinion(clause: str) -> int:
        words = clause.split()
        return int((words[-1] in good) != any(word in words for word in ("not", "hardly", "never")))

    for row in raw.evals[""]:
        first, _, second = row["sentence"].partition(", ")
        main = second if first.startswith("although ") or second.startswith("but ") else first
        assert opinion(main) == row["label"], row


def test_a_count_of_words_knows_next_to_nothing() -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    raw = default()
    count = CountVectorizer()
    words = count.fit_transform(raw.train["sentence"][:])
    model = LogisticRegression(max_iter=1000).fit(words, raw.train["label"][:])
    assert model.score(count.transform(raw.evals[""]["sentence"][:]), raw.evals[""]["label"][:]) < 0.65


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_noise": 0.5}, "label_noise=0.5"),
        ({"train_size": 0}, "train_size=0"),
        ({"train_size": 10**9}, "at most"),
        ({"metrics": ["pearson"]}, "pearson"),
    ],
)
def test_bad_options_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        default(**change)

"""ROUGE, BLEU and chrF against the libraries' own answers and against values worked out by hand."""

from __future__ import annotations

import pytest

from exp import metrics
from exp.errors import ExpError
from exp.metrics import names, text

PREDICTIONS = ["the cat sat on the mat", "a dog ran home", "birds sing"]
REFERENCES = [["the cat is on the mat"], ["the dogs run home", "a dog ran home"], ["a bird sings loudly"]]


def test_rouge_is_the_best_reference_after_stemming_times_100() -> None:
    found = metrics.compute(["rouge1", "rouge2", "rougeL"], "text", PREDICTIONS, REFERENCES)
    # Row 1: 5 of 6 words, 3 of 5 pairs. Row 2: the second reference is met. Row 3: bird, sing of 2 and 4 words.
    assert found["rouge1"] == pytest.approx(100 * (5 / 6 + 1 + 2 * (1 * 0.5) / 1.5) / 3)
    assert found["rouge2"] == pytest.approx(100 * (3 / 5 + 1 + 2 * (1 * 1 / 3) / (4 / 3)) / 3)
    assert found["rougeL"] == found["rouge1"]


def test_rouge_lsum_reads_sentences_whatever_parts_them() -> None:
    summary = "the cat sat . the dog ran ."
    one = metrics.compute(["rougeLsum", "rougeL"], "text", ["The dog ran. The cat sat."], [[summary]])
    assert one["rougeLsum"] == pytest.approx(100.0) and one["rougeL"] < 60
    lines = metrics.compute(["rougeLsum"], "text", ["The dog ran\nThe cat sat"], [["the cat sat\nthe dog ran"]])
    assert lines["rougeLsum"] == pytest.approx(100.0)


def test_bleu_and_chrf_are_sacrebleus_of_the_corpus() -> None:
    import sacrebleu

    streams = [[row[0] for row in REFERENCES], [row[1] if len(row) > 1 else None for row in REFERENCES]]
    found = metrics.compute(["bleu", "bleu_char", "chrf", "chrf_pp"], "text", PREDICTIONS, REFERENCES)
    assert found["bleu"] == sacrebleu.corpus_bleu(PREDICTIONS, streams).score
    assert found["bleu_char"] == sacrebleu.corpus_bleu(PREDICTIONS, streams, tokenize="char").score
    assert found["chrf"] == sacrebleu.corpus_chrf(PREDICTIONS, streams).score
    assert found["chrf_pp"] == sacrebleu.corpus_chrf(PREDICTIONS, streams, word_order=2).score


def test_a_right_answer_is_100_and_an_empty_one_0() -> None:
    every = [name for name, spec in names.METRICS.items() if "text" in spec.kinds]
    right = ["one two three four five", "six seven eight nine ten"]
    found = metrics.compute(every, "text", right, [[one] for one in right])
    assert found == pytest.approx(dict.fromkeys(every, 100.0))
    assert metrics.compute(every, "text", ["", ""], [[one] for one in right]) == dict.fromkeys(every, 0.0)
    assert all(names.METRICS[name].highest == 100 for name in every)


def test_the_signature_says_how_many_references() -> None:
    several = text.signatures(["rouge1", "bleu", "chrf_pp"], REFERENCES)
    assert several.keys() == {"bleu", "chrf_pp"}
    assert several["bleu"].startswith("nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "nw:2" in several["chrf_pp"]
    assert text.signatures(["bleu_zh"], [["a"], ["b"]])["bleu_zh"].startswith("nrefs:1|case:mixed|eff:no|tok:zh")


def test_rows_have_scores_of_their_own() -> None:
    for name in ("rougeL", "bleu", "chrf"):
        rows = text.of_each_row(name, PREDICTIONS, REFERENCES)
        assert rows.shape == (3,) and rows[1] == pytest.approx(100) and rows[2] < rows[0] < 100


def test_metrics_of_texts_fit_texts_alone() -> None:
    names.check(["bleu", "rougeLsum"], "text")
    with pytest.raises(ExpError, match="'bleu' is for text, and this task is single_label"):
        names.check(["bleu"], "single_label")
    with pytest.raises(ExpError, match="'accuracy' is for single_label or tags or choices, and this task is text"):
        names.check(["accuracy"], "text")


def test_as_one_evaluate_metric() -> None:
    metric = metrics.build(["bleu", "rouge1"])
    for prediction, references in zip(PREDICTIONS, REFERENCES, strict=True):
        metric.add_batch(predictions=[prediction], references=[references])
    assert metric.compute() == metrics.compute(["bleu", "rouge1"], "text", PREDICTIONS, REFERENCES)

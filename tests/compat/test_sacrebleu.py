from __future__ import annotations

import numpy as np
from sacrebleu.metrics import BLEU, CHRF

from exp.compat.sacrebleu import score_of_sums, sentence_statistics


def test_sentences_add_up_to_the_corpus():
    """When this fails, sacrebleu keeps what adds up elsewhere: look at sacrebleu/significance.py."""
    texts, streams = ["the cat sat on the mat", "a dog"], [["the cat sat on a mat", "the dog"]]
    for metric in (BLEU(force=True), CHRF()):
        sums = np.array(sentence_statistics(metric, texts, streams)).sum(axis=0)
        assert score_of_sums(metric, sums) == metric.corpus_score(texts, streams).score

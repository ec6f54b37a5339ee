"""Metrics of generated texts: ROUGE by rouge-score, BLEU and chrF by sacrebleu. All from 0 to 100.

ROUGE is the F-measure after Porter's stemmer, a mean over rows; of several references the best one counts, for each
kind of ROUGE alone, as SciTLDR has it. rouge-score reads a to z and digits only, so that it says little of other
scripts. For rougeLsum a text is cut into sentences at its line ends, or by nltk's Punkt where it has one line.

BLEU and chrF are the corpus's, against all references at once; their signatures say how they were computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

References = Sequence[Sequence[str]]  # [n] lists of one or more texts
ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
BLEU = {"bleu": "13a", "bleu_intl": "intl", "bleu_zh": "zh", "bleu_char": "char", "bleu_none": "none"}
CHRF = {"chrf": 0, "chrf_pp": 2}  # -> sacrebleu's word_order


def compute(metrics: Sequence[str], predictions: Sequence[str], references: References) -> dict[str, float]:
    """name -> value of those `metrics` that are built in; `predictions` [n], at least one."""
    values = {name: float(np.mean(rows)) for name, rows in _rouge(metrics, predictions, references).items()}
    for name in metrics:
        if name in BLEU or name in CHRF:
            values[name] = float(_sacrebleu(name).corpus_score(list(predictions), _streams(references)).score)
    return values


def of_each_row(name: str, predictions: Sequence[str], references: References) -> NDArray[np.float64]:
    """[n] scores of single rows, from 0 to 100; BLEU with sacrebleu's smoothing of sentences (effective order)."""
    if name in ROUGE:
        return np.asarray(_rouge([name], predictions, references)[name])
    metric = _sacrebleu(name, sentences=True)
    pairs = zip(predictions, references, strict=True)
    return np.array([metric.sentence_score(text, list(right)).score for text, right in pairs])


def statistics(
    name: str, predictions: Sequence[str], references: References
) -> tuple[NDArray[np.float64], Callable[[NDArray[np.float64]], float]]:
    """What of each row adds up to BLEU or chrF, [n, k], and the score of such sums, [k]."""
    from exp.compat.sacrebleu import score_of_sums, sentence_statistics

    metric = _sacrebleu(name)
    parts = np.array(sentence_statistics(metric, predictions, _streams(references)), dtype=np.float64)
    return parts, lambda sums: score_of_sums(metric, sums)


def signatures(metrics: Sequence[str], references: References) -> dict[str, str]:
    """How sacrebleu computes each of `metrics` that is its own, the number of references included."""
    found = {}
    for name in metrics:
        if name in BLEU or name in CHRF:
            metric = _sacrebleu(name)
            counts = {len(right) for right in references}
            metric.num_refs = counts.pop() if len(counts) == 1 else -1  # sacrebleu's word for "varies"
            found[name] = str(metric.get_signature())
    return found


def is_built_in(name: str) -> bool:
    return name in ROUGE or name in BLEU or name in CHRF


def _rouge(metrics: Sequence[str], predictions: Sequence[str], references: References) -> dict[str, list[float]]:
    """[n] F-measures of each ROUGE among `metrics`, times 100."""
    kinds = [name for name in metrics if name in ROUGE]
    if not kinds:
        return {}
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(kinds, use_stemmer=True)
    cut = _sentences if "rougeLsum" in kinds else str  # only rougeLsum looks at line ends
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for text, right in zip(predictions, references, strict=True):
        best = scorer.score_multi([cut(one) for one in right], cut(text))
        for kind in kinds:
            found[kind].append(100 * best[kind].fmeasure)
    return found


def _sentences(text: str) -> str:
    """One sentence a line, as rougeLsum reads them."""
    lines = [line for line in text.split("\n") if line.strip()]
    return "\n".join(lines if len(lines) > 1 else _punkt().tokenize(text))


@lru_cache(maxsize=1)
def _punkt() -> Any:
    """Without the trained parameters that nltk would download; they only tell abbreviations from sentence ends."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    return PunktSentenceTokenizer()


def _sacrebleu(name: str, *, sentences: bool = False) -> Any:
    from sacrebleu.metrics import BLEU as Bleu
    from sacrebleu.metrics import CHRF as Chrf

    if name in CHRF:
        return Chrf(word_order=CHRF[name])
    return Bleu(tokenize=BLEU[name], force=True, effective_order=sentences)  # force: no warning about tokenized texts


def _streams(references: References) -> list[list[str | None]]:
    """All first references, all second ones, and so on; None where a row has fewer, as sacrebleu wants it."""
    most = max(len(right) for right in references)
    return [[right[number] if number < len(right) else None for right in references] for number in range(most)]

"""What transformers' own example scripts give their Trainer to evaluate with: collators and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from exp.loop.base import Parts


def _texts(parts: Parts) -> Any:
    from transformers import DataCollatorWithPadding

    return DataCollatorWithPadding(parts.processor)


def _tokens(parts: Parts) -> Any:
    from transformers import DataCollatorForTokenClassification

    return DataCollatorForTokenClassification(parts.processor)


def _pairs(parts: Parts) -> Any:
    from transformers import DataCollatorForSeq2Seq

    return DataCollatorForSeq2Seq(parts.processor, model=parts.model)


def _questions(parts: Parts) -> Any:
    from exp.task.spans import POSITIONS

    collate = _texts(parts)
    return lambda rows: collate([{**row, **{name: int(row[name][0]) for name in POSITIONS}} for row in rows])


def _choices(parts: Parts) -> Any:
    from transformers import DataCollatorForMultipleChoice

    collate = DataCollatorForMultipleChoice(parts.processor)

    def parted(rows: list[Mapping[str, Any]]) -> Any:
        return collate([_parted(row) for row in rows])

    return parted


def _parted(row: Mapping[str, Any]) -> dict[str, Any]:
    """exp keeps a row's choices end to end, transformers as lists."""
    ends = np.cumsum(row["choice_lengths"])[:-1]
    fields = {name: row[name] for name in ("input_ids", "token_type_ids") if name in row}
    parts = {name: [part.tolist() for part in np.split(np.asarray(field), ends)] for name, field in fields.items()}
    return {**parts, "label": row["labels"]}


def _best_choice(parts: Parts) -> Any:
    def compute(found: Any) -> dict[str, float]:
        return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}

    return compute


def _accuracy(parts: Parts) -> Any:
    from sklearn.metrics import accuracy_score, f1_score

    def compute(found: Any) -> dict[str, float]:
        answers = found.predictions.argmax(-1)
        return {"accuracy": accuracy_score(found.label_ids, answers), "f1": f1_score(found.label_ids, answers)}

    return compute


def _spans(parts: Parts) -> Any:
    from seqeval.metrics import f1_score

    names = list(parts.model.config.id2label.values())

    def compute(found: Any) -> dict[str, float]:
        answers = found.predictions.argmax(-1)
        pairs = [
            [(names[a], names[b]) for a, b in zip(*row, strict=True) if b != -100]
            for row in zip(answers, found.label_ids, strict=True)
        ]
        return {"f1": f1_score([[b for _, b in row] for row in pairs], [[a for a, _ in row] for row in pairs])}

    return compute


def _rouge(parts: Parts) -> Any:
    """As run_summarization.py: a sentence a line, stemmed."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer
    from rouge_score.rouge_scorer import RougeScorer

    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer, cut = RougeScorer(kinds, use_stemmer=True), PunktSentenceTokenizer()

    def compute(found: Any) -> dict[str, float]:
        pairs = zip(*_decoded(parts, found), strict=True)
        scores = [scorer.score(*("\n".join(cut.tokenize(text.strip())) for text in pair)) for pair in pairs]
        return {kind: float(np.mean([score[kind].fmeasure for score in scores])) for kind in kinds}

    return compute


def _bleu(parts: Parts) -> Any:
    """As run_translation.py, with chrF, which ours has too."""
    import sacrebleu

    def compute(found: Any) -> dict[str, float]:
        right, given = _decoded(parts, found)
        bleu, chrf = sacrebleu.corpus_bleu(given, [right]), sacrebleu.corpus_chrf(given, [right])
        return {"bleu": bleu.score, "chrf": chrf.score}

    return compute


def _decoded(parts: Parts, found: Any) -> list[list[str]]:
    """References and answers."""
    pad = parts.processor.pad_token_id
    return [
        parts.processor.batch_decode(np.where(ids == -100, pad, ids), skip_special_tokens=True)
        for ids in (found.label_ids, found.predictions)
    ]


def _answers(parts: Parts) -> Any:
    """The n best pairs of the n best starts and ends of each window, in plain Python, as run_qa.py finds them."""
    from exp.metrics import squad

    examples, windows = next(iter(parts.data.evals.values())), next(iter(parts.encoded.evals.values()))
    task: Any = parts.task  # of question answering
    reading: Any = parts.reading
    contexts = examples.inputs[reading.context]
    assert windows.example is not None and examples.targets is not None
    rows, gold = windows.example, [one.texts for one in examples.targets]
    offsets = [
        [windows.kept[name][row].tolist() for name in ("begins", "ends", "places")] for row in range(len(windows))
    ]

    def compute(found: Any) -> dict[str, float]:
        of_example: list[list[tuple[float, str]]] = [[] for _ in contexts]
        nulls = [np.inf] * len(contexts)
        for window, row in enumerate(rows):
            starts, ends = (logits[window] for logits in found.predictions)
            begins, closes, (first, cls) = offsets[window]
            nulls[row] = min(nulls[row], starts[cls] + ends[cls])
            last = first + len(begins)
            for start in np.argsort(starts)[-1 : -task.n_best_size - 1 : -1].tolist():
                for end in np.argsort(ends)[-1 : -task.n_best_size - 1 : -1].tolist():
                    if first <= start <= end < last and end - start < task.max_answer_length:
                        text = contexts[row][begins[start - first] : closes[end - first]]
                        of_example[row].append((starts[start] + ends[end], text))
        answers = []
        for best, null in zip(of_example, nulls, strict=True):
            score, text = max(best, default=(-np.inf, ""))
            answers.append(text if score >= null else "")
        pairs = list(zip(answers, gold, strict=True))
        return {
            "exact": float(np.mean([squad.exact(*one) for one in pairs])),
            "f1": float(np.mean([squad.f1(*one) for one in pairs])),
        }

    return compute


COLLATORS: dict[str, Callable[[Parts], Any]] = {
    "texts": _texts,
    "tokens": _tokens,
    "spans": _questions,
    "choices": _choices,
    "generation": _pairs,
    "translation": _pairs,
}
METRICS: dict[str, Callable[[Parts], Any]] = {
    "texts": _accuracy,
    "tokens": _spans,
    "spans": _answers,
    "choices": _best_choice,
    "generation": _rouge,
    "translation": _bleu,
}

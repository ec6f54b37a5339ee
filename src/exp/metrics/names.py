"""Which metrics exist, what their values mean, and what `task.metrics` may hold. Light: the config check reads it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exp.errors import ExpError, nearest

# What a task's answers are: a class a row, a number a row, any number of labels a row, a tag for each word, the
# likelihood of a row's tokens, one after the other or where they were masked, a text, a part of a text, one of the
# row's own choices, how alike a row's two texts are, the rank at which a row's own text is found, and that with by how
# much it is nearer than the row's negative.
KINDS = (
    *("single_label", "regression", "multi_label", "tags", "next_tokens", "masked_tokens"),
    *("text", "spans", "choices", "similarity", "ranks", "triplets"),
)


@dataclass(frozen=True)
class MetricSpec:
    """`kinds`: of which answers it is a metric. `needs_scores`: it reads the model's probabilities too."""

    kinds: tuple[str, ...]
    lowest: float = 0.0
    highest: float = 1.0
    greater_is_better: bool = True
    needs_scores: bool = False


SINGLE, REGRESSION, MULTI, TAGS, NEXT, MASKED, TEXT, SPANS, CHOICES, SIMILARITY, RANKS, TRIPLETS = (
    (kind,) for kind in KINDS
)

METRICS = {
    "accuracy": MetricSpec(SINGLE + TAGS + CHOICES),  # of rows; of words with tags
    # f1, precision and recall are of class 1 of two; what follows the _ is scikit-learn's `average`.
    "f1": MetricSpec(SINGLE + SPANS),  # of spans: in words, as SQuAD has it
    "f1_macro": MetricSpec(SINGLE + MULTI),
    "f1_micro": MetricSpec(SINGLE + MULTI),
    "f1_weighted": MetricSpec(SINGLE + MULTI),
    "f1_samples": MetricSpec(MULTI),
    "precision": MetricSpec(SINGLE),
    "precision_macro": MetricSpec(SINGLE + MULTI),
    "precision_micro": MetricSpec(SINGLE + MULTI),
    "precision_weighted": MetricSpec(SINGLE + MULTI),
    "recall": MetricSpec(SINGLE),
    "recall_macro": MetricSpec(SINGLE + MULTI),
    "recall_micro": MetricSpec(SINGLE + MULTI),
    "recall_weighted": MetricSpec(SINGLE + MULTI),
    "balanced_accuracy": MetricSpec(SINGLE),
    "top_5_accuracy": MetricSpec(SINGLE, needs_scores=True),  # the right class is among the five likeliest
    "matthews_correlation": MetricSpec(SINGLE, lowest=-1.0),
    "cohen_kappa": MetricSpec(SINGLE, lowest=-1.0),
    "roc_auc": MetricSpec(SINGLE + MULTI, needs_scores=True),  # more than two classes: each against the rest
    "brier": MetricSpec(SINGLE, highest=2.0, greater_is_better=False, needs_scores=True),  # up to 1 with two classes
    "log_loss": MetricSpec(SINGLE, highest=math.inf, greater_is_better=False, needs_scores=True),
    "pearson": MetricSpec(REGRESSION + SIMILARITY, lowest=-1.0),
    "spearmanr": MetricSpec(REGRESSION + SIMILARITY, lowest=-1.0),
    "kendall": MetricSpec(REGRESSION + SIMILARITY, lowest=-1.0),
    "r2": MetricSpec(REGRESSION, lowest=-math.inf),
    "mse": MetricSpec(REGRESSION, highest=math.inf, greater_is_better=False),
    "rmse": MetricSpec(REGRESSION, highest=math.inf, greater_is_better=False),
    "mae": MetricSpec(REGRESSION, highest=math.inf, greater_is_better=False),
    "subset_accuracy": MetricSpec(MULTI),
    "hamming_loss": MetricSpec(MULTI, greater_is_better=False),
    "average_precision": MetricSpec(MULTI, needs_scores=True),  # the mean over labels
    "average_precision_micro": MetricSpec(MULTI, needs_scores=True),
    "entity_f1": MetricSpec(TAGS),
    "entity_precision": MetricSpec(TAGS),
    "entity_recall": MetricSpec(TAGS),
    "perplexity": MetricSpec(NEXT + MASKED, lowest=1.0, highest=math.inf, greater_is_better=False),  # a token
    "perplexity_word": MetricSpec(NEXT, lowest=1.0, highest=math.inf, greater_is_better=False),
    "bits_per_byte": MetricSpec(NEXT, highest=math.inf, greater_is_better=False),
    "token_accuracy": MetricSpec(NEXT + MASKED),
    # From 0 to 100, as papers and sacrebleu report them; see exp.metrics.text.
    "rouge1": MetricSpec(TEXT, highest=100.0),
    "rouge2": MetricSpec(TEXT, highest=100.0),
    "rougeL": MetricSpec(TEXT, highest=100.0),
    "rougeLsum": MetricSpec(TEXT, highest=100.0),
    "bleu": MetricSpec(TEXT, highest=100.0),  # what follows the _ is sacrebleu's tokenizer; without one: 13a
    "bleu_intl": MetricSpec(TEXT, highest=100.0),
    "bleu_zh": MetricSpec(TEXT, highest=100.0),
    "bleu_char": MetricSpec(TEXT, highest=100.0),
    "bleu_none": MetricSpec(TEXT, highest=100.0),
    "chrf": MetricSpec(TEXT, highest=100.0),
    "chrf_pp": MetricSpec(TEXT, highest=100.0),  # chrF++: words count too
    "exact_match": MetricSpec(SPANS),
    # Of the questions that have an answer, and of those that have none; the names are those of SQuAD 2.0's script.
    "HasAns_exact": MetricSpec(SPANS),
    "HasAns_f1": MetricSpec(SPANS),
    "NoAns_exact": MetricSpec(SPANS),
    "NoAns_f1": MetricSpec(SPANS),
    "mrr": MetricSpec(RANKS + TRIPLETS),  # mean reciprocal rank
    "recall_at_1": MetricSpec(RANKS + TRIPLETS),
    "recall_at_5": MetricSpec(RANKS + TRIPLETS),
    "recall_at_10": MetricSpec(RANKS + TRIPLETS),
    "triplet_accuracy": MetricSpec(TRIPLETS),
}
FOR_TWO_CLASSES = ("f1", "precision", "recall")

# The mean of a task's metrics where it has several, as GLUE averages them (Wang et al. 2018, table 2).
COMBINED = "combined_score"
LOSS = "loss"  # every evaluation reports it

# A word of a metric's name that ends so, or is this, says that smaller is better.
FALLING_ENDINGS = ("loss", "error", "errors", "mse", "mae", "perplexity")
FALLING_WORDS = frozenset({"mape", "brier", "cost", "distance", "nll", "ppl", "wer", "cer", "ter"})


def spec(name: str) -> MetricSpec:
    """What is known of a metric of ours, `loss` and `combined_score` included; ExpError for any other name."""
    if name == LOSS:
        return MetricSpec(KINDS, highest=math.inf, greater_is_better=False)
    if name == COMBINED:
        return MetricSpec(("single_label", "regression"), lowest=-1.0)
    if name not in METRICS:
        raise ExpError(f"there is no metric {name!r}{nearest(name, METRICS)}")
    return METRICS[name]


def is_known(name: str) -> bool:
    return name in METRICS or name in (LOSS, COMBINED)


def needs_scores(name: str) -> bool:
    """Whether a metric of ours reads the model's probabilities; the mean of several may."""
    return name == COMBINED or (name in METRICS and METRICS[name].needs_scores)


def greater_is_better(name: str) -> bool:
    """By the metric's spec. A name that exp does not know falls with a word such as loss, error, mse, mae,
    perplexity, brier or cost in it (`my_rmse`, `word_error_rate`); every other one rises."""
    if is_known(name):
        return spec(name).greater_is_better
    words = re.split(r"[^a-z0-9]+", name.lower())
    return not any(word.endswith(FALLING_ENDINGS) or word in FALLING_WORDS for word in words)


def check(metrics: Sequence[str], kind: str, labels: int | None = None) -> None:
    """Whether `task.metrics` fits a task.

    Args:
        metrics: built-in names, dotted functions, and paths of local `evaluate` modules.
        kind: one of KINDS.
        labels: the number of classes or labels, where it is known yet.
    Raises:
        ExpError: for an empty list, an unknown or doubled name, a metric of another kind of task or of two
            classes where there are more, and an outside metric that is not trusted, not there or named as one of ours.
    """
    from exp.metrics import outside

    if kind == "multi_label" and labels == 1:
        raise ExpError("a task of many labels a row has one label only; use task=text_classification, with two classes")
    if not metrics:
        raise ExpError("task.metrics is empty; name at least one, the first is the primary one")
    for name in metrics:
        if outside.is_outside(name):
            outside.check(name)
        else:
            _check_own(name, kind, labels)
    short = [outside.short_name(name) for name in metrics]
    twice = [name for name in short if short.count(name) > 1]
    if twice:
        raise ExpError(f"task.metrics names {twice[0]!r} twice: {', '.join(metrics)}")
    for name, reported in zip(metrics, short, strict=True):
        if outside.is_outside(name) and is_known(reported):
            # Floors, intervals and comparisons take the name for exp's.
            raise ExpError(
                f"task.metrics: {name} would be reported as {reported!r}, which is exp's; give it another name"
            )


def produced(metrics: Sequence[str], kind: str | None = None) -> tuple[str, ...]:
    """The keys that `exp.metrics.compute` is sure to return, in order; the first is the primary metric.

    GLUE's mean, `combined_score`, comes after several metrics of one label or number a row. An error or an outside
    metric among them leaves it out: a mean of a correlation and a squared error says nothing. `kind` None: not known.
    """
    from exp.metrics.outside import short_name

    averages = kind is None or kind in spec(COMBINED).kinds
    rise = all(name in METRICS and METRICS[name].greater_is_better for name in metrics)
    keys = tuple(short_name(name) for name in metrics)
    return (*keys, COMBINED) if averages and rise and len(metrics) > 1 else keys


def directions(metrics: Sequence[str]) -> Mapping[str, bool]:
    """Whether greater is better, for each outside metric that says so itself; the others go by their name."""
    from exp.metrics import outside

    said = {outside.short_name(name): outside.says(name) for name in metrics if outside.is_outside(name)}
    return {name: greater for name, greater in said.items() if greater is not None}


def _check_own(name: str, kind: str, labels: int | None) -> None:
    if name not in METRICS:
        hint = nearest(name, METRICS)
        raise ExpError(
            f"task.metrics: there is no metric {name!r}{hint}{'' if hint.endswith('?') else ';'} a metric of "
            f"your own is a dotted function (my_pkg.metrics.cost) or the path of an evaluate module"
        )
    if kind not in METRICS[name].kinds:
        fitting = ", ".join(known for known, what in METRICS.items() if kind in what.kinds)
        whose = " or ".join(METRICS[name].kinds)
        raise ExpError(f"task.metrics: {name!r} is for {whose}, and this task is {kind}; use one of: {fitting}")
    if labels is not None and labels > 2 and name in FOR_TWO_CLASSES:
        raise ExpError(
            f"task.metrics: {name!r} is of class 1 of two, and the data has {labels} classes; "
            f"use {name}_macro, {name}_weighted or {name}_micro"
        )

"""What `task.metrics` may hold."""

from __future__ import annotations

import pytest

from exp.data.glue import METRICS
from exp.errors import ExpError
from exp.metrics import entities, names, text
from exp.metrics.functions import FUNCTIONS


def test_every_metric_has_a_function_for_each_of_its_kinds():
    known = {(name, kind) for name, spec in names.METRICS.items() for kind in spec.kinds}
    texts = {(name, "text") for name in (*text.ROUGE, *text.BLEU, *text.CHRF)}
    assert known == set(FUNCTIONS) | texts | {(name, "tags") for name in entities.NAMES}


def test_glue_mapping_gives_glue_keys():
    assert {task: names.produced(metrics, names.METRICS[metrics[0]].kinds[0]) for task, metrics in METRICS.items()} == {
        "cola": ("matthews_correlation",),
        "sst2": ("accuracy",),
        "mrpc": ("accuracy", "f1", "combined_score"),
        "stsb": ("pearson", "spearmanr", "combined_score"),
        "qqp": ("accuracy", "f1", "combined_score"),
        "mnli": ("accuracy",),
        "qnli": ("accuracy",),
        "rte": ("accuracy",),
        "wnli": ("accuracy",),
    }


def test_no_mean_with_an_error_or_a_stranger_or_of_other_kinds():
    assert names.produced(["mse", "pearson"], "regression") == ("mse", "pearson")
    assert names.produced(["accuracy", "my_pkg.metrics.gains"], "single_label") == ("accuracy", "gains")
    assert names.produced(["f1_micro", "f1_macro"], "multi_label") == ("f1_micro", "f1_macro")
    assert names.produced(["entity_f1", "accuracy"], "tags") == ("entity_f1", "accuracy")
    assert names.produced(["f1_micro", "f1_macro"]) == (
        "f1_micro",
        "f1_macro",
        "combined_score",
    )  # of a kind not known yet


@pytest.mark.parametrize(
    ("metrics", "kind", "labels", "message"),
    [
        ([], "single_label", 2, "empty"),
        (["acuracy"], "single_label", 2, "'accuracy' .* a metric of your own is a dotted function"),
        (["zzz"], "single_label", 2, "no metric 'zzz'; a metric of your own"),
        (
            ["accuracy"],
            "regression",
            None,
            "'accuracy' is for single_label or tags or choices, and this task is regression.*pearson",
        ),
        (["accuracy", "pearson"], "single_label", 2, "'pearson' is for regression.*use one of: accuracy, f1"),
        (["f1", "f1"], "single_label", 2, "'f1' twice"),
        (["f1"], "single_label", 3, "3 classes; use f1_macro, f1_weighted or f1_micro"),
        (["accuracy", "precision"], "single_label", 4, "4 classes; use precision_macro, precision_weighted"),
        (["recall"], "single_label", 3, "recall_macro"),
        (["entity_f1"], "multi_label", 5, "'entity_f1' is for tags"),
        (["f1_macro"], "tags", 5, "use one of: accuracy, entity_f1, entity_precision, entity_recall"),
        (["f1_macro"], "multi_label", 1, "text_classification"),
    ],
)
def test_metrics_that_do_not_fit_are_refused(metrics, kind, labels, message):
    with pytest.raises(ExpError, match=message) as caught:
        names.check(metrics, kind, labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metrics", "kind", "labels"),
    [
        (["f1", "precision", "recall", "roc_auc"], "single_label", 2),
        (["f1"], "single_label", None),
        (["f1_macro", "f1_weighted", "f1_micro", "roc_auc", "log_loss"], "single_label", 3),
        (["mae", "rmse", "kendall"], "regression", None),
        (["f1_samples", "subset_accuracy", "average_precision"], "multi_label", 28),
        (["accuracy"], "tags", 17),
    ],
)
def test_metrics_that_fit(metrics, kind, labels):
    names.check(metrics, kind, labels)


def test_spec_and_kinds():
    assert names.spec("loss").greater_is_better is False and names.spec("combined_score").greater_is_better
    with pytest.raises(ExpError, match="'accuracy'"):
        names.spec("acuracy")

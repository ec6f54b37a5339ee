"""The promise: both loops and a plain loop give the same numbers at every step (fp32, one CPU)."""

from __future__ import annotations

import pytest

from exp.errors import ExpError
from exp.testing.loops import plain_loop, run_loop
from exp.testing.promises import same_events as same

LOOPS = ("trainer", "accelerate")

RECIPES = {
    "plain": ["max_grad_norm=0"],
    "clipping": ["max_grad_norm=0.1"],
    "accumulation": ["gradient_accumulation_steps=4"],
    "warmup_cosine": ["scheduler=cosine", "scheduler.warmup_ratio=0.3", "gradient_accumulation_steps=2"],
    "weight_decay": ["optimizer.weight_decay=0.1", "optimizer.lr=1e-3"],
    "seeds": ["data_seed=1", "dropout_seed=2", "init_seed=3"],
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_both_loops_equal_the_plain_loop(recipe, tmp_path):
    reference, _ = plain_loop(*RECIPES[recipe])
    assert len(reference.of("train/loss")) >= 6 and len(reference.of("eval/accuracy")) == 2
    for loop in LOOPS:
        recorder, result, _, _ = run_loop(tmp_path / loop, f"loop={loop}", *RECIPES[recipe])
        same(recorder, reference)
        assert result.status == "completed"


@pytest.fixture(scope="module")
def mnli(tmp_path_factory):
    """MNLI in GLUE's layout with two evaluation sets of different size."""
    folder = tmp_path_factory.mktemp("MNLI")
    columns = ["index", "promptID", "pairID", "genre", *(f"x{i}" for i in range(4)), "sentence1", "sentence2"]
    columns += ["label1", "gold_label"]
    labels = ("entailment", "neutral", "contradiction")
    for name, rows in (("train", 30), ("dev_matched", 11), ("dev_mismatched", 8)):
        lines = ["\t".join(columns)]
        for i in range(rows):
            label = labels[i % 3]
            texts = [f"the {word} sat on mat {i}" for word in ("cat", "dog")]
            lines.append("\t".join([str(i), "1", "1", "tale", *"abcd", *texts, label, label]))
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_both_loops_agree_on_two_evaluation_sets(mnli, tmp_path):
    words = ["data=mnli", f"data.path={mnli}", "metric_for_best_model=eval_mm/accuracy", "data.max_eval_samples=null"]
    reference, _ = plain_loop(*words)
    for loop in LOOPS:
        recorder, result, _, run = run_loop(tmp_path / loop, f"loop={loop}", *words)
        same(recorder, reference)
        assert result.objective["name"] == "eval_mm/accuracy"
        assert {path.name for path in run.predictions.iterdir()} == {"eval.parquet", "eval_mm.parquet"}


@pytest.mark.parametrize(
    "words",
    [
        ["batching=length_grouped", "gradient_accumulation_steps=4"],
        ["batching=packed", "max_tokens=60", "gradient_accumulation_steps=2"],
        ["eval_strategy=steps", "eval_steps=3", "logging_steps=2"],
        ["logging_strategy=epoch", "max_steps=17"],
        [
            "num_train_epochs=8",
            "early_stopping_patience=2",
            "eval_strategy=steps",
            "eval_steps=2",
            "optimizer.lr=1e-12",
        ],
        ["num_train_epochs=8", "early_stopping_patience=2", "optimizer.lr=1e-12"],
        ["speed=fast", "precision=fp32", "gradient_accumulation_steps=2"],
        ["scheduler=reduce_on_plateau", "optimizer.lr=1e-2", "num_train_epochs=4"],
    ],
    ids=" ".join,
)
def test_the_loops_equal_each_other(words, tmp_path):
    ours, result, _, _ = run_loop(tmp_path / "accelerate", "loop=accelerate", *words)
    theirs, other, _, _ = run_loop(tmp_path / "trainer", "loop=trainer", *words)
    same(ours, theirs)
    assert (result.stopped_early, result.objective) == (other.stopped_early, other.objective)
    if "optimizer.lr=1e-12" in words:  # nothing is learned, so the third evaluation is the second without progress
        assert result.stopped_early and len(ours.of("eval/loss")) == 3


def test_batches_by_tokens_hold_the_budget_and_every_example_once():
    from exp.loop.batching import EpochBatches
    from exp.loop.token_batches import batch_count

    lengths = [3 + (i * 37) % 60 for i in range(1001)]
    count = batch_count(lengths, 128, "max_tokens=128")
    assert count < 1.1 * sum(lengths) / 128
    epochs = []
    for seed in range(6):
        batches = EpochBatches(lengths, 8, seed, "packed", max_tokens=128, count=count)
        found = list(batches)
        assert len(found) == len(batches) == count  # for every seed, so that steps are known before
        assert sorted(i for batch in found for i in batch) == list(range(1001))
        assert max(sum(lengths[i] for i in batch) for batch in found) <= 128
        epochs.append(found)
    assert epochs[0] != epochs[1]
    assert batch_count([5, 5, 5], 5, "") == batch_count([5, 5, 5], 9, "") == 3
    with pytest.raises(ExpError, match="max_tokens=60: row 48 of the training features has 62 tokens"):
        batch_count(lengths, 60, "max_tokens=60")


def test_length_grouping_pads_less_and_sees_every_example_once(tmp_path):
    from exp.loop.batching import EpochBatches

    lengths = [5 + (i * 37) % 60 for i in range(1001)]
    grouped, random = (EpochBatches(lengths, 8, 1, mode) for mode in ("length_grouped", "random"))

    def padded(batches):
        return sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)

    first, again = list(grouped), list(grouped)
    assert first == again and sorted(i for batch in first for i in batch) == list(range(1001))
    assert [len(batch) for batch in first] == [len(batch) for batch in random] and len(first) == len(grouped)
    assert padded(first) < 0.75 * padded(list(random))
    assert max(lengths[i] for i in first[0]) == max(lengths)
    grouped.set_epoch(1)
    assert list(grouped) != first

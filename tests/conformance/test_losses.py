"""The promises, for every loss: parity of the loops, a mean over units, exact resume, and a task that fits."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from exp.errors import ExpError
from exp.loop.outputs import data_facts
from exp.loss import values
from exp.loss.base import LossFacts, OverUnits
from exp.loss.function import build_function, check_function
from exp.options.confdir import conf_dir
from exp.testing.loops import config_of, parts_of, run_loop
from tests.conformance.task_data import TASKS
from tests.conformance.test_loop_parity import same

LOOPS = ("trainer", "accelerate")
NO_DROPOUT = ["model.dropout=0", "tracker=none"]
LOSSES = {
    "own": [],
    "label_smoothing": ["loss.epsilon=0.2"],
    "class_weights": [],
    "focal": ["loss.weights=balanced"],
    "r_drop": [],
    "distillation": ["loss.mix=0.7"],
}
WEIGHING = ("class_weights", "focal")
# Each loss with tasks whose units are of every kind it takes.
KINDS = {
    "label_smoothing": ("multiple_choice", "causal_lm-packed"),
    "class_weights": ("multi_label",),
    "focal": ("token_classification",),
    "r_drop": ("text_classification", "summarization"),
    "distillation": ("text_classification", "question_answering"),
}
PAIRS = [(loss, task) for loss, tasks in KINDS.items() for task in tasks]


def test_every_loss_of_conf_is_here():
    assert {path.stem for path in (conf_dir() / "loss").glob("*.yaml")} == set(LOSSES)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("task-data")
    return {name: make(folder / name) for name, make in TASKS.items()}


@pytest.fixture(scope="module")
def teacher(words, tmp_path_factory):
    """Task -> a folder with a model of other weights, as a finished run has one."""
    made = {}

    def of(task):
        if task not in made:
            folder = tmp_path_factory.mktemp(task) / "teacher"
            parts = parts_of(config_of(*words[task], "init_seed=7", "optimizer.lr=1e-3"))
            parts.model.save_pretrained(folder / "model")
            parts.processor.save_pretrained(folder / "model")
            made[task] = folder
        return made[task]

    return of


def recipe(loss, task, words, teacher):
    given = [f"loss.teacher_path={teacher(task)}"] if loss == "distillation" else []
    return [*words[task], f"loss={loss}", *LOSSES[loss], *given]


@pytest.mark.parametrize("task", TASKS)
def test_the_units_of_every_task_make_its_own_loss(task, words):
    """Cross entropy made of the task's terms equals the model's loss, gradient and all; or the task names none."""
    parts = parts_of(config_of(*words[task], *NO_DROPOUT))
    terms = parts.task.head(parts.data).terms
    if terms is None:
        with pytest.raises(ExpError, match="says no logits and labels a unit; use loss=own"):
            parts_of(config_of(*words[task], "loss=label_smoothing", *NO_DROPOUT))
        return
    parts.encoded.train.begin_epoch(0, 0)
    batch = parts.collator([parts.encoded.train[i] for i in range(6)])
    found = terms.of(batch, parts.model(**batch))
    assert {len(term.labels) for term in found} == {parts.task.units(batch)}
    assert {term.kind for term in found} == {terms.kind}
    smoothed = OverUnits(parts.task.head(parts.data), partial(values.smoothed, epsilon=0.0))
    numbers = []
    for loss in (parts.loss, smoothed):
        parts.model.zero_grad()
        value = loss(parts.model, batch)
        value.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in parts.model.parameters() if p.grad is not None])
        numbers.append((value.item(), norm.item()))
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-5)


@pytest.mark.parametrize(("loss", "task"), PAIRS)
def test_both_loops_agree_and_a_cut_run_ends_as_the_whole_one(loss, task, words, teacher, tmp_path):
    said = [*recipe(loss, task, words, teacher), "gradient_accumulation_steps=4", "max_steps=4", "eval_strategy=no"]
    theirs, _, _, _ = run_loop(tmp_path / "trainer", "loop=trainer", *said)
    saving = ["save_strategy=steps", "save_steps=2", "save_total_limit=null"]
    ours, _, parts, _ = run_loop(tmp_path / "whole", "loop=accelerate", *said, *saving)
    same(ours, theirs)
    cut = tmp_path / "cut" / "checkpoints"
    cut.mkdir(parents=True)
    (tmp_path / "whole" / "checkpoints" / "step-000002").rename(cut / "step-000002")
    resumed, _, again, _ = run_loop(tmp_path / "cut", "loop=accelerate", *said, *saving)
    assert resumed.events == [event for event in ours.events if event[0] > 2]
    own, other = parts.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own)


@pytest.mark.parametrize(("loss", "task"), PAIRS)
def test_accumulation_changes_no_loss(loss, task, words, teacher, tmp_path):
    def first(said, *more):
        said = [*said, *NO_DROPOUT, *more, "max_steps=1", "eval_strategy=no"]
        recorder, _, _, _ = run_loop(tmp_path / f"{len(said)}-{more[0]}", *said)
        return [recorder.of(f"train/{key}")[0][1] for key in ("loss", "grad_norm")]

    said = recipe(loss, task, words, teacher)
    found = first(said, "per_device_train_batch_size=8")
    parts = first(said, "per_device_train_batch_size=2", "gradient_accumulation_steps=4")
    own = first(words[task], "per_device_train_batch_size=8")
    assert parts == pytest.approx(found, rel=1e-5)
    if loss == "r_drop":  # without dropout both passes say the same
        assert found == pytest.approx(own, rel=1e-5)
    else:
        assert abs(found[0] - own[0]) > 1e-6


GUESSED = {
    "own": lambda classes: np.log(classes),
    "label_smoothing": lambda classes: np.log(classes),
    "class_weights": lambda classes: np.log(classes),  # balanced weights have the mean 1
    "focal": lambda classes: (1 - 1 / classes) ** 2 * np.log(classes),  # the same weights
    "r_drop": lambda classes: np.log(classes),  # both passes say the same
}


@pytest.mark.parametrize("task", ["text_classification", "token_classification", "multi_label", "multiple_choice"])
def test_what_guessing_gives_is_said_by_every_loss(task, words, teacher):
    """Every class alike; exactly what an untrained head's loss is about. Labels have their shares."""
    for loss, expected in GUESSED.items():
        if loss in WEIGHING and task in ("multiple_choice", "multi_label"):  # refused; the weight of a label alone
            continue
        facts = data_facts(parts_of(config_of(*recipe(loss, task, words, teacher))))
        own, trained = facts["chance"]["loss"], facts["chance_train_loss"]
        classes = np.exp(own)  # of several labels a row each is one of two
        near = 0.05 if loss in WEIGHING or task == "multiple_choice" else 1e-5  # rows of train, and of eval
        assert trained == pytest.approx(expected(classes), rel=near), loss
    # A teacher that is as untrained as the guess says the same, so that only the labels' half counts.
    facts = data_facts(parts_of(config_of(*recipe("distillation", task, words, teacher))))
    assert facts["chance_train_loss"] == pytest.approx(0.3 * own, rel=0.2)


def test_guessing_is_unknown_where_the_task_or_a_function_knows_nothing_of_it(words, teacher):
    facts = data_facts(parts_of(config_of(*recipe("label_smoothing", "causal_lm-packed", words, teacher))))
    assert facts["chance_train_loss"] is None
    parts, _, _ = facts_of(words)
    odd = replace(parts, loss=build_function(lambda outputs, labels: outputs.hidden_states[0], LossFacts(
        parts.task.head(parts.data), parts.encoded.train, parts.processor)))  # fmt: skip
    assert data_facts(odd)["chance_train_loss"] is None


@pytest.mark.parametrize("loss", WEIGHING)
@pytest.mark.parametrize("task", ["multiple_choice", "masked_lm", "question_answering"])
def test_a_task_without_fixed_classes_is_refused(loss, task, words):
    with pytest.raises(ExpError, match=f"loss={loss} weighs classes, and the task .* has no fixed ones; use loss=own"):
        parts_of(config_of(*words[task], f"loss={loss}", *LOSSES[loss]))


def test_scores_have_no_classes_to_smooth(glue):
    said = ["data=stsb", f"data.path={glue}"]
    with pytest.raises(ExpError, match="loss=label_smoothing is not defined for a task that predicts numbers"):
        parts_of(config_of(*said, "loss=label_smoothing"))
    assert parts_of(config_of(*said, "loss=r_drop")).loss is not None


def test_weights_are_scikit_learns(words):
    from sklearn.utils.class_weight import compute_class_weight

    parts = parts_of(config_of(*words["text_classification"], "loss=class_weights"))
    targets = parts.data.train.targets
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=np.array(targets))
    assert parts.loss.value.keywords["weights"].tolist() == pytest.approx(expected.tolist())
    with pytest.raises(ExpError, match=r"loss.weights has 3 values, the data 2 classes"):
        parts_of(config_of(*words["text_classification"], "loss=class_weights", "loss.weights=[1,2,3]"))


def test_a_teacher_of_other_classes_or_tokens_is_refused(words, teacher):
    place = teacher("text_classification")
    with pytest.raises(ExpError, match=r"loss.teacher_path=.* was trained for another task|knows the classes"):
        said = [*words["token_classification"], "loss=distillation", f"loss.teacher_path={place}"]
        parts_of(config_of(*said))
    with pytest.raises(ExpError, match=r"loss.teacher_path=.* knows the classes"):
        other = [*words["multi_label"], "loss=distillation", f"loss.teacher_path={place}"]
        parts_of(config_of(*other))


def test_a_teacher_that_is_believed_alone_teaches(words, teacher, tmp_path):
    said = recipe("distillation", "text_classification", words, teacher)
    said += [*NO_DROPOUT, "loss.mix=1", "optimizer.lr=1e-3", "num_train_epochs=6"]
    recorder, _, _, _ = run_loop(tmp_path / "run", *said)
    losses = [value for _, value in recorder.of("train/loss")]
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])


# ---- functions of one's own ----


def poly(logits, labels, epsilon=1.0):
    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return loss + epsilon * (1 - torch.exp(-loss))


def of_outputs(outputs, labels):
    return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="none")


def facts_of(words, task="text_classification"):
    parts = parts_of(config_of(*words[task], *NO_DROPOUT))
    facts = LossFacts(parts.task.head(parts.data), parts.encoded.train, parts.processor)
    return parts, facts, parts.collator([parts.encoded.train[i] for i in range(6)])


def test_a_function_of_ones_own(words):
    parts, facts, batch = facts_of(words)
    own = parts.loss(parts.model, batch)
    assert build_function(of_outputs, facts)(parts.model, batch).item() == pytest.approx(own.item())
    assert build_function(partial(poly, epsilon=0.0), facts)(parts.model, batch).item() == pytest.approx(own.item())
    assert build_function(poly, facts)(parts.model, batch) > own


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda logits, labels: logits.mean(), r"gives one number for 6 units; leave out the mean"),
        (lambda logits, labels: logits, r"gives the shape \(6, 2\) for 6 units"),
        (lambda logits, labels: 1.0, "gives float; it has to give a tensor of 6 values"),
        (lambda logits, labels: labels.float(), "values without a gradient"),
    ],
)
def test_a_function_that_gives_something_else_is_told_in_one_line(function, said, words):
    parts, facts, batch = facts_of(words)
    with pytest.raises(ExpError, match=said) as error:
        build_function(function, facts)(parts.model, batch)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("function", [lambda logits: logits, lambda logits, labels, weight: logits])
def test_a_function_with_another_signature_is_refused(function):
    with pytest.raises(ExpError, match=r"loss: <lambda>\(logits.*a loss is a function of \(logits, labels\)"):
        check_function(function)


def test_a_task_that_names_no_units_takes_its_own_loss_alone():
    with pytest.raises(ExpError, match="says no logits and labels a unit; use loss=own"):
        build_function(poly, LossFacts(SimpleNamespace(terms=None, pipeline="odd"), None, None))

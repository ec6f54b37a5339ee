from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, open_dict

from exp.config import rules
from exp.config.check import check
from exp.config.compose import compose, own
from exp.config.targets import check_node
from exp.errors import ExpError
from exp.options.confdir import groups
from exp.options.other_names import NOT_HERE, TRAINING_ARGUMENTS
from exp.options.settings import RootSettings
from tests.config.bad_values import GIVEN, options, prepare


def composed(*overrides: str) -> tuple[DictConfig, dict[str, Any]]:
    cfg = compose(overrides)
    return own(cfg), dict(cfg.hydra.runtime.choices)


def told(*overrides: str) -> str:
    """The message for a config that is refused."""
    with pytest.raises(ExpError) as error:
        check(*composed(*overrides))
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        # types
        (["seed=1.5"], "seed=1.5 has the wrong type: it takes a whole number"),
        (["seed=true"], "seed=true has the wrong type"),
        (["load_best_model_at_end=1"], "it takes true or false"),
        (["eval_steps=often"], "it takes a whole number or null"),
        (["num_train_epochs=null"], "num_train_epochs=null has the wrong type: it takes a number"),
        (["optimizer.betas=[0.9]"], "optimizer.betas=[0.9] has the wrong type: it takes a list of 2"),
        (["optimizer.lr='1e-5 '"], "optimizer.lr="),
        (["+optimizer.momentum=0.9"], "optimizer.momentum: no such key; known: betas"),
        (["+nonsense.a=1"], "nonsense: no such key"),
        # choices and ranges
        (["eval_strategy=step"], "eval_strategy=step: no such choice; did you mean 'steps'"),
        (["batching=bucketed"], "batching=bucketed: no such choice"),
        (["on_bad_loss=ignore"], "on_bad_loss=ignore: no such choice"),
        (["eval_steps=0"], "eval_steps=0 must be 1 or more"),
        (["per_device_train_batch_size=0"], "per_device_train_batch_size=0 must be 1 or more"),
        (["data.max_train_samples=0"], "data.max_train_samples=0"),
        (["early_stopping_patience=0"], "early_stopping_patience=0 must be 1 or more"),
        (["max_grad_norm=-1"], "max_grad_norm=-1 must be 0 or more"),
        (["optimizer.lr=nan"], "optimizer.lr=nan must be a finite number"),
        (["seed=4294967296"], "seed=4294967296 must be 0 or more and below 4294967296"),
        (["max_steps=0"], "max_steps=0 must be 1 or more, or -1"),
        (["num_train_epochs=0"], "num_train_epochs=0 must be above 0"),
        # combinations
        (["eval_strategy=no", "early_stopping_patience=3"], "early_stopping_patience=3 needs evaluations"),
        (["eval_strategy=no", "load_best_model_at_end=true"], "load_best_model_at_end=true needs evaluations"),
        (["eval_strategy=no", "metric_for_best_model=accuracy"], "metric_for_best_model=accuracy needs evalu"),
        (["scheduler.warmup_ratio=1.0"], "scheduler.warmup_ratio=1.0 must be 0 or more and below 1"),
        (["scheduler.warmup_steps=10", "max_steps=10"], "scheduler.warmup_steps=10 is no shorter than max_steps"),
        (["metric_for_best_model=accurcy"], "does not compute it; choose one of accuracy"),
        (["metric_for_best_model=pearson"], "data=reviews does not compute it; choose one of accuracy, loss"),
        (
            ["data=stsb", "metric_for_best_model=f1"],
            "data=stsb does not compute it; choose one of combined_score",
        ),
        # files
        (["data=mrpc", "data.path=./no/such"], "data.path=./no/such: no such file or folder"),
        (["model=pretrained", "model.path=/no/model"], "model.path=/no/model: no such file or folder"),
        (["data=files", "data.train_file=trian.csv"], "data.train_file"),
    ],
)
def test_what_a_config_alone_shows(overrides: list[str], expected: str) -> None:
    assert expected in told(*overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["eval_strategy=no"],
        ["max_steps=10", "scheduler.warmup_steps=9"],
        ["num_train_epochs=0.5", "optimizer.lr=1"],
        ["data=mrpc", "metric_for_best_model=eval_f1"],
        ["data=mrpc", "metric_for_best_model=eval/combined_score"],
        ["data=mnli", "metric_for_best_model=eval_mm/accuracy"],
        ["data=stsb", "metric_for_best_model=spearmanr"],
        ["metric_for_best_model=loss", "early_stopping_patience=3"],
        ["model=pretrained", "model.path=owner/name"],
        ["tracker=none"],
    ],
)
def test_what_can_work_passes(overrides: list[str]) -> None:
    check(*composed(*overrides))


@pytest.mark.parametrize("option", options())
def test_every_option_binds_to_its_target(option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys and values of each YAML fit the declaration that it names; what it leaves open is filled in."""
    monkeypatch.setattr(rules, "_accelerator_here", lambda: True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXP_TRUST", "my_parts")  # the user's package among the files
    monkeypatch.syspath_prepend(str(tmp_path))
    prepare(tmp_path)
    check(*composed(option, *GIVEN.get(option, [])))


def test_fp16_needs_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_accelerator_here", lambda: False)
    assert "precision=fp16 cannot train on a CPU" in told("precision=fp16")
    check(*composed("precision=bf16"))
    check(*composed("precision=auto"))
    monkeypatch.setattr(rules, "_accelerator_here", lambda: True)
    check(*composed("precision=fp16"))


@pytest.mark.parametrize(
    ("name", "value", "overrides", "refused"),
    [
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", [], True),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", ["gradient_accumulation_steps=4"], False),
        ("ACCELERATE_MIXED_PRECISION", "bf16", [], True),
        ("ACCELERATE_MIXED_PRECISION", "bf16", ["precision=bf16"], False),
        ("ACCELERATE_MIXED_PRECISION", "no", ["precision=bf16"], False),  # what `accelerate launch` sets
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", [], True),
        ("ACCELERATE_USE_DEEPSPEED", "true", [], True),
    ],
)
def test_variables_of_accelerate_may_not_contradict(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, overrides: list[str], refused: bool
) -> None:
    monkeypatch.setenv(name, value)
    if refused:
        assert f"{name}={value}" in told(*overrides)
    else:
        check(*composed(*overrides))


@pytest.mark.parametrize(
    ("word", "extra"), [("optimizer=adamw_8bit", "bnb"), ("adapter=qlora", "bnb"), ("tracker=trackio", "trackio")]
)
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, word: str, extra: str) -> None:
    monkeypatch.setattr(rules.importlib.util, "find_spec", lambda name: None)
    assert f"{word} needs" in told(word)
    assert f"pip install 'exp[{extra}]'" in told(word)


def test_a_missing_file_names_its_neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    assert "model.path=./modle: no such file or folder" in told("model=pretrained", "model.path=./modle")
    assert "did you mean 'model'" in told("model=pretrained", "model.path=./modle")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["task.text_columns=[txt]"],
            "no column 'txt'; did you mean 'text'?; say which is which with task.text_columns",
        ),
        (["task.label_column=lable"], "no column 'lable'; did you mean 'label'"),
        (["data.id_column=labl"], "data.id_column=labl: the train rows have no such column; did you mean 'label'"),
        (["task.metrics=[pearson]"], "'pearson' is for regression"),
        (["task.metrics=[f1]", "metric_for_best_model=accuracy"], "choose one of f1, loss"),
    ],
)
def test_a_task_and_data_that_do_not_fit(
    overrides: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    files = ["data=files", "data.train_file=train.csv"]
    check(*composed(*files))
    assert expected in told(*files, *overrides)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("learning_rate", "optimizer.lr"),
        ("output_dir", "hydra.run.dir"),
        ("report_to", "tracker"),
        ("fp16", "precision=fp16"),
        ("group_by_length", "batching=length_grouped"),
        ("warmup_ratio", "scheduler.warmup_ratio"),
        ("dataloader_num_workers", "exp has no such setting"),
        ("data.text_columns", "it is task.text_columns now"),
        ("data.metrics", "it is task.metrics now"),
        ("data.task", "it is task.problem_type now"),
    ],
)
def test_a_name_from_elsewhere_says_what_it_is_here(key: str, expected: str) -> None:
    assert expected in told(f"+{key}=1")


def test_every_name_from_elsewhere_is_none_of_ours_and_names_one_of_ours() -> None:
    ours = {one.name for one in fields(RootSettings)}
    assert not ours & set(TRAINING_ARGUMENTS)
    for said in TRAINING_ARGUMENTS.values():
        word = said.partition(" ")[0].partition("=")[0].rstrip(",")
        group = word.partition(".")[0]
        assert group in {*ours, *groups(), "hub", "hydra", "the", "chosen"}, said


def test_names_from_elsewhere_are_those_of_training_arguments() -> None:
    """Those that exist in transformers and mean a thing here are all known: each is ours or told where it is."""
    from transformers import TrainingArguments

    theirs = {one.name for one in fields(TrainingArguments)}
    ours = {one.name for one in fields(RootSettings)}
    assert sorted(theirs - ours - set(TRAINING_ARGUMENTS) - NOT_HERE) == []


class Half:
    """A callable that is no dataclass, as a user's own may be."""

    def __init__(self, model: Any, *, share: float, names: list[str] | None = None, **more: Any) -> None: ...


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"share": 0.5, "other": 1}, None),
        ({"share": "x"}, "part.share='x' has the wrong type: it takes a number"),
        ({"share": 0.5, "names": "a"}, "part.names='a' has the wrong type: it takes a list, each a text or null"),
        ({"share": float("nan")}, "part.share=nan must be a finite number"),
    ],
)
def test_a_callable_is_checked_against_its_signature(
    values: dict[str, Any], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exp.options.trust.resolve", lambda target, where: Half)
    node = {"_target_": "mine.Half", "_partial_": True, **values}
    if expected is None:
        assert check_node(node, "part") is None
        return
    with pytest.raises(ExpError) as error:
        check_node(node, "part")
    assert str(error.value) == expected


def test_a_config_that_is_older_than_a_key_is_as_it_was_made():
    cfg, choices = composed("tracker=none")
    with open_dict(cfg):
        del cfg["max_tokens"], cfg["eval_max_tokens"]
    check(cfg, choices)

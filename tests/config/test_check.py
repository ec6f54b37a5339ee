from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from exp.config import rules
from exp.config.check import check
from exp.config.confdir import conf_dir, groups
from exp.config.typed import described, fits
from exp.errors import ExpError


def composed(*overrides: str) -> tuple[DictConfig, dict[str, Any]]:
    with initialize_config_dir(str(conf_dir()), job_name="train"):
        cfg = compose("train", overrides=list(overrides), return_hydra_config=True)
    with open_dict(cfg):
        choices = dict(cfg.hydra.runtime.choices)
        del cfg["hydra"]
    return cfg, choices


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
        (["seed=true"], "seed=True has the wrong type"),
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
        (["data.max_train_samples=0"], "data.max_train_samples=0 must be 1 or more"),
        (["early_stopping_patience=0"], "early_stopping_patience=0 must be 1 or more"),
        (["max_grad_norm=-1"], "max_grad_norm=-1 must be 0 or more"),
        (["optimizer.lr=nan"], "optimizer.lr=nan must be 0 or more"),
        (["seed=4294967296"], "must be below 2**32"),
        (["max_steps=0"], "max_steps=0 must be 1 or more, or -1"),
        (["num_train_epochs=0"], "num_train_epochs=0 must be above 0"),
        # combinations
        (["eval_strategy=no", "early_stopping_patience=3"], "early_stopping_patience=3 needs evaluations"),
        (["eval_strategy=no", "load_best_model_at_end=true"], "load_best_model_at_end=True needs evaluations"),
        (["eval_strategy=no", "metric_for_best_model=accuracy"], "metric_for_best_model=accuracy needs evalu"),
        (["scheduler.warmup_ratio=1.0"], "must be below 1"),
        (["scheduler.warmup_steps=10", "max_steps=10"], "scheduler.warmup_steps=10 is no shorter than max_steps"),
        (["metric_for_best_model=accurcy"], "does not compute it; choose one of accuracy"),
        (["metric_for_best_model=pearson"], "pearson is a metric of regression, and data=reviews is single_label"),
        (["data=stsb", "metric_for_best_model=f1"], "f1 is a metric of single_label, and data=stsb is regression"),
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


def every_option() -> list[str]:
    return [
        f"{group}={file.stem}"
        for group in groups()
        if group not in ("experiment", "sweep", "table")
        for file in sorted((conf_dir() / group).glob("*.yaml"))
    ]


@pytest.mark.parametrize("option", every_option())
def test_every_option_binds_to_its_target(option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys and types of each YAML fit the signature that it names; what it leaves open is filled in."""
    monkeypatch.setattr(rules, "_accelerator_here", lambda: True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\n")
    more = {
        "data=files": ["data.train_file=train.csv", "data.text_columns=[text]", "data.label_column=label"],
        "data=hub": ["data.path=owner/name", "data.text_columns=[text]", "data.label_column=label"],
        "model=pretrained": ["model.path=owner/name"],
    }
    check(*composed(option, *more.get(option, [])))


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
    (tmp_path / "train.csv").write_text("")
    with pytest.raises(ExpError, match=r"data.train_file=trian.csv: no such file.*did you mean 'train.csv'"):
        rules._files({"data": {"train_file": "trian.csv"}})


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, "float", True),
        (3.0, "int", False),
        (True, "int", False),
        (None, "int | None", True),
        ("a", "int | None", False),
        ([0.9, 0.999], "tuple[float, float]", True),
        ([0.9, "x"], "tuple[float, float]", False),
        (["a", "b"], "tuple[str, ...]", True),
        (["a", 1], "list[str]", False),
        ("a", "Sequence[str]", False),
        ("b", "Literal['a', 'b'] | None", True),
        ("c", "Literal['a', 'b']", False),
        ({"a": 1}, "Mapping[str, Any]", True),
        (object(), "SomethingElse", True),
    ],
)
def test_fits(value: Any, annotation: str, expected: bool) -> None:
    assert fits(value, annotation) is expected


def test_described() -> None:
    assert described("int | None") == "a whole number or null"
    assert described("tuple[str, ...]") == "a list, each a text"

"""The configs of small runs are those that Hydra composes, though values are put into one that was composed before."""

from __future__ import annotations

import pytest

from exp.config.compose import compose, plain
from exp.errors import ExpError
from exp.testing.loops import SMALL, config_of

WORDS = [
    [],
    ["optimizer.lr=0.1", "optimizer=sgd", "optimizer.momentum=0.5"],  # an option after a value of it
    ["adapter=lora", "adapter.r=3", "data=mrpc", "task.metrics=[f1]"],
    ["data=files", "data.path=/tmp/x", "data.train_file=[a.jsonl,b.jsonl]", "task=causal_lm", "model=gpt2_tiny"],
    ["experiment=debug", "max_steps=7"],
    ["tracker=[wandb]", "tracker.wandb.project=x", "seed=5", "save_total_limit=null"],
    ["+notes=1", "~hub.push"],
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_config_is_hydras_own(words: list[str]) -> None:
    expected = plain(compose([*SMALL, *words]))
    for _ in range(2):
        found = config_of(*words)
        assert found == expected and list(found) == list(expected)
        found["optimizer"]["lr"] = 1000  # it is the caller's own


def test_variables_that_configs_read_are_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("/tmp/one", "/tmp/other"):
        monkeypatch.setenv("EXP_CACHE", place)
        assert config_of()["cache_dir"] == place


@pytest.mark.parametrize("word", ["optimizer.lrr=0.1", "sead=1", "seed=1,2"])
def test_what_does_not_fit_is_told_as_ever(word: str) -> None:
    with pytest.raises(ExpError) as expected:
        compose([*SMALL, word])
    with pytest.raises(ExpError) as error:
        config_of(word)
    assert str(error.value) == str(expected.value)

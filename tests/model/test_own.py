"""Models of the user's own: a head over an encoder, a class, a function."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from exp.errors import ExpError
from exp.testing import promises
from exp.testing.loops import config_of, parts_of
from tests.conformance.task_data import token_classification
from tests.outside import project
from tests.tiny_models import make_tiny

TINY = ("model=own_tiny", "model.hidden_size=16", "model.intermediate_size=32", "model.num_hidden_layers=1")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(project(tmp_path / "project"))
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]


@pytest.mark.parametrize("make", ["Mean", "Whole", "made"])
def test_each_form_keeps_the_promises(make: str, tmp_path: Path) -> None:
    words = [*TINY, f"model.make=acme.heads.{make}"]
    promises.both_loops_equal_a_plain_loop(tmp_path / "loops", words)
    promises.the_saved_model_gives_the_recorded_numbers(tmp_path / "saved", words)


def test_a_head_over_tokens(tmp_path: Path) -> None:
    words = [*token_classification(tmp_path / "data"), *TINY, "model.make=acme.heads.PerToken"]
    promises.the_saved_model_gives_the_recorded_numbers(tmp_path / "saved", words)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "modernbert"])
def test_a_head_over_pretrained_weights(kind: str, tmp_path: Path) -> None:
    """The encoder is the checkpoint's, and the head is drawn as it draws itself."""
    from transformers import AutoModel

    folder = make_tiny(kind, tmp_path / kind)
    words = ("model=own", f"model.path={folder}", "model.make=acme.heads.Mean")
    first, second = (parts_of(config_of(*words, f"init_seed={seed}")).model for seed in (1, 2))
    encoder, loaded = AutoModel.from_pretrained(folder), getattr(first, first.base_model_prefix)
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight, loaded.state_dict()[name]), name
    assert first.head.scale.min() >= 0 and first.head.scale.max() <= 1 and first.head.scale.std() > 0.1
    assert not torch.equal(first.head.scale, second.head.scale)
    assert {"head.scale", "head.output.weight"} <= first.drawn_parameters


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*TINY, "model.make=os.system"], "model.make=os.system is not trusted"),
        ([*TINY, "model.make=acme.heads.Men"], "model.make=acme.heads.Men: the trusted package acme"),
        ([*TINY, "model.make=acme.heads.not_a_model"], "returned a Linear; it has to return a PreTrainedModel"),
        ([*TINY, "model.make=acme.heads.wants_more"], "is called as (config): missing a required argument: 'width'"),
        ([*TINY, "model.make=acme.heads.WantsMore"], "is called as (config): missing a required argument: 'width'"),
    ],
)
def test_what_is_no_model_is_one_line(words: list[str], said: str) -> None:
    with pytest.raises(ExpError) as error:
        parts_of(config_of(*words))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_code_that_no_longer_fits_the_weights(tmp_path: Path) -> None:
    import exp

    run = exp.train([*TINY, "model.make=acme.heads.Mean", "data.train_size=32", "max_steps=1", "tracker=none"])
    file = Path("acme/heads.py")
    file.write_text(file.read_text().replace("torch.rand(config.hidden_size)", "torch.rand(1)"))
    del sys.modules["acme.heads"]
    with pytest.raises(ExpError, match=r"does not fit acme\.heads\.Mean, whose code may have changed"):
        exp.load(run.folder).model  # noqa: B018

"""Each family of transformers with a head for one label a text: three steps in both loops, and batches that hold."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from exp.loop.accelerate import AccelerateLoop
from exp.loop.base import Parts
from exp.loop.trainer import TrainerLoop
from exp.loop.trial import NoTrial
from exp.model.padding import LEAKS, longest_input
from exp.run.folder import create
from exp.testing.loops import Recorder, config_of, parts_of
from tests.model import families
from tests.model.test_pretrained import head_of
from tests.optim.test_options import make

# Why a family is not tried.
LEFT_OUT = {
    **dict.fromkeys(("gemma3", "modernvbert", "qwen3_5", "t5gemma2", "ultravbert"), "reads pictures beside the text"),
    **dict.fromkeys(("layoutlm", "layoutlmv2", "layoutlmv3", "lilt"), "reads places on a page beside the text"),
    **dict.fromkeys(("canine", "perceiver"), "reads characters or bytes, by a tokenizer in Python"),
    "gpt-sw3": "is gpt2 by another name",
    "markuplm": "reads the paths of HTML elements beside the text",
    "reformer": "reads rows of one fixed length, a product of its axes",
    "t5gemma": "is made of two configs; t5 and gemma are tried",
    "tapas": "reads tables",
    **dict.fromkeys(("zamba", "zamba2"), "its config makes no model of two layers"),
}
TRIED = sorted(set(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES) - set(LEFT_OUT))
pytestmark = pytest.mark.slow
LOOPS = {"trainer": TrainerLoop, "accelerate": AccelerateLoop}
CONFIG = config_of()
TEXTS = ("w1 w2 w3", "w5 w6 w7 w8 w9 w10 w11 w12", "w20")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """A run on twelve texts of one to six words; its features are those of every family here."""
    folder = tmp_path_factory.mktemp("families")
    rows = [" ".join(f"w{(7 * row + word) % 60}" for word in range(1 + row % 6)) for row in range(16)]
    text = "\n".join(["text,label", *(f"{row},{'yes' if number % 2 else 'no'}" for number, row in enumerate(rows))])
    (folder / "rows.csv").write_text(text + "\n")
    model = families.write("bert", folder / "bert", families.tokenizer())
    words = [
        "data=files",
        f"data.train_file={folder / 'rows.csv'}",
        "model=pretrained",
        f"model.path={model}",
        "task.max_length=12",
    ]
    more = ["max_steps=3", "eval_strategy=no", "optimizer.lr=1e-3"]
    made = parts_of(config_of(*words, *more, "model.dropout=0"))
    yield made
    gc.unfreeze()


def test_every_family_is_tried_or_left_out_for_a_reason() -> None:
    assert set(LEFT_OUT) <= set(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
    assert len(TRIED) > 100


@pytest.mark.parametrize("family", TRIED)
def test_both_loops_train_it_alike_and_no_prediction_depends_on_its_batch(
    family: str, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exp.run.folder.surroundings", dict)  # git and packages: the same for each
    # A tokenizer that pads on the left, as many decoders bring it: exp pads where the head can read.
    folder = families.write(family, tmp_path / "model", families.tokenizer(side="left"))
    source = make("model", "pretrained", path=str(folder), dropout=0.0)
    head = head_of(("no", "yes"), max_length=12)
    processor = source.processor(None, head)
    torch.manual_seed(5)
    model = source.model(head, processor)
    gc.freeze()  # Accelerate collects garbage after each run, and the libraries are none
    start = {name: value.clone() for name, value in model.state_dict().items()}
    collator = parts.task.collate(processor, None, parts.data.labels)
    if family not in LEAKS:
        assert spread(model, collator, processor) < 1e-4
    limit = longest_input(model.config)
    if limit is not None:
        ids = torch.tensor([[2, *[9] * (limit - 2), 3]])
        assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all()
    losses = {}
    for loop in LOOPS:
        model.load_state_dict(start)
        losses[loop] = trained(replace(parts, model=model, processor=processor, collator=collator), loop, tmp_path)
    assert len(losses["trainer"]) == 3
    tolerance = {"rel": 1e-5, "abs": 1e-6}
    assert [loss for _, loss in losses["trainer"]] == pytest.approx(
        [loss for _, loss in losses["accelerate"]], **tolerance
    )


def trained(parts: Parts, loop: str, folder: Path) -> list[tuple[int, float]]:
    (folder / loop).mkdir()
    recorder = Recorder()
    LOOPS[loop]().fit(parts, create(folder / loop, CONFIG), recorder, NoTrial())
    return recorder.of("train/loss")


def spread(model: Any, collator: Any, processor: Any) -> float:
    """How far the numbers of a text alone are from those in a batch, of weights that make them large."""
    rows = [{**processor(text), "labels": 1} for text in TEXTS]
    model.eval()
    with torch.no_grad():
        together = model(**collator(rows)).logits
        alone = torch.cat([model(**collator([row])).logits for row in rows])
    return ((together - alone).abs().max() / together.std()).item()

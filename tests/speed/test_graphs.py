from __future__ import annotations

import logging
import math

import pytest
import torch

from exp.loss.own import model_loss
from exp.run.folder import read_record
from exp.speed.graphs import GraphedLoss
from exp.speed.options import Speed
from exp.testing.loops import run_loop

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="graphs of CUDA need a GPU")
GRAPHS = Speed(compile=False, pad_to_multiple_of=None, pooled_dropout=False, cuda_graphs=True)


@pytest.mark.parametrize(
    ("device", "packed", "processes", "why"),
    [
        ("cpu", False, 1, "they need a CUDA GPU"),
        ("cuda", True, 1, "every batch of packed rows has a shape of its own"),
        ("cuda", False, 2, "gradients meet those of other processes during the backward pass"),
    ],
)
def test_where_graphs_cannot_be_the_loss_stays_itself(device, packed, processes, why, caplog):
    with caplog.at_level(logging.INFO, "exp"):
        loss = GRAPHS.recorded(model_loss, device, packed=packed, processes=processes, accumulates=False)
    assert loss is model_loss
    assert caplog.messages == [f"speed: cuda_graphs left out, {why}"]


def test_on_a_gpu_the_loss_is_recorded():
    loss = GRAPHS.recorded(model_loss, "cuda", packed=False, processes=1, accumulates=True)
    assert isinstance(loss, GraphedLoss) and loss.accumulates


def test_what_guessing_gives_is_asked_of_the_loss_itself(tmp_path, monkeypatch):
    """A recorded loss wants weights; guessing has none."""
    asked = []

    def recorded(self, loss, device, **facts):
        def wants_weights(model, batch):
            asked.append(len(list(model.parameters())))
            return loss(model, batch)

        return wants_weights

    monkeypatch.setattr(Speed, "recorded", recorded)
    words = ("loss=focal", "max_steps=2", "eval_strategy=no")
    _, _, _, run = run_loop(tmp_path / "run", *words)
    assert len(asked) == 2
    assert read_record(run.folder)["data"]["chance_train_loss"] == pytest.approx(0.25 * math.log(2), rel=1e-3)


@on_gpu
@pytest.mark.parametrize("loop", ["accelerate", "trainer"])
@pytest.mark.parametrize(
    "words",
    [
        ["model.dropout=0.1"],
        ["precision=bf16"],
        ["precision=fp16"],
        ["gradient_accumulation_steps=4"],
        ["adapter=lora"],
        ["freeze=layers", "freeze.count=1"],
        ["freeze=gradual", "freeze.steps=2"],
        ["data=markov_text"],
        ["loss=focal"],
    ],
    ids=str,
)
def test_a_replayed_step_gives_the_same_numbers(words, loop, tmp_path):
    words = [*words, f"loop={loop}"]
    runs = [run_loop(tmp_path / str(on), *words, f"speed.cuda_graphs={on}") for on in ("true", "false")]
    assert runs[0][0].events == runs[1][0].events
    assert isinstance(runs[0][2].step_loss, GraphedLoss) and not runs[0][2].step_loss.given_up


@on_gpu
def test_what_cannot_be_recorded_runs_as_before(tmp_path, caplog):
    def reads(model, batch):
        loss = model(**batch).loss
        return loss * (1.0 if loss.item() > 0 else 2.0)

    from exp.speed import graphs

    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1).cuda()

    class Answer:
        def __init__(self, loss):
            self.loss = loss

    def call(**batch):
        return Answer(torch.nn.functional.dropout(model(batch["x"])).square().mean())

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, **batch):
            return call(**batch)

    loss = graphs.GraphedLoss(reads, accumulates=False)
    batch = {"x": torch.ones(2, 4, device="cuda")}
    with caplog.at_level(logging.INFO, "exp"):
        torch.cuda.manual_seed(3)
        found = loss(Model(), batch).item()
    torch.cuda.manual_seed(3)
    assert found == reads(Model(), batch).item()
    assert loss.given_up and "cuda_graphs left out" in caplog.text

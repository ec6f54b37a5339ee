"""Several finished runs as one: an ensemble of their answers, a soup of their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from exp import evaluate, predict, soup
from exp.errors import ExpError
from exp.loop import outputs
from exp.run.folder import read_record
from exp.run.result import write_result
from exp.saved.ensemble import Ensemble
from exp.task import terms
from exp.testing.loops import run_loop
from tests.conformance.task_data import TASKS


def trained(folder, *words):
    _, result, parts, run = run_loop(folder, *words)
    outputs.save_model(parts, run, result)
    run.finish(result.status, result.reason)
    write_result(run.result_path, result)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three seeds from one start, short and long."""
    folder = tmp_path_factory.mktemp("together")
    said = ["init_seed=42", "num_train_epochs=1", "optimizer.lr=1e-3"]
    return [str(trained(folder / str(seed), f"seed={seed}", *said)) for seed in range(3)]


def test_an_ensemble_answers_with_the_mean_of_probabilities(runs, tmp_path, capsys):
    predict.predict(runs, {"data.split": "eval", "out": str(tmp_path / "all.parquet")})
    together = pq.read_table(tmp_path / "all.parquet")
    each = [pq.read_table(f"{run}/predictions/eval.parquet") for run in runs]
    scores = np.mean([np.stack(table["scores"].to_numpy()) for table in each], axis=0)
    assert np.stack(together["scores"].to_numpy()) == pytest.approx(scores, abs=1e-6)
    names = read_record(Path(runs[0]))["data"]["label_names"]
    assert together["prediction"].to_pylist() == [names[i] for i in scores.argmax(1)]
    capsys.readouterr()
    assert evaluate.evaluate_together(runs, {}) == 0
    said = capsys.readouterr().out
    accuracy = (np.array(together["prediction"].to_pylist()) == np.array(together["label"].to_pylist())).mean()
    assert f"{accuracy:.4f}" in said and "the 3 runs alone, as recorded" in said


class Says(torch.nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, **batch):
        from transformers.modeling_outputs import SequenceClassifierOutput

        return SequenceClassifierOutput(loss=torch.zeros(()), logits=self.logits)


def test_the_mean_of_each_kind():
    one, two = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[-1.0, 1.0, 0.0]])
    labels = torch.tensor([1])
    found = Ensemble([Says(one), Says(two)], terms.ROWS)(labels=labels)
    mean = (one.softmax(-1) + two.softmax(-1)) / 2
    assert torch.allclose(found.logits.softmax(-1), mean) and found.loss.item() == pytest.approx(
        -mean[0, 1].log().item()
    )
    several = Ensemble([Says(one), Says(two)], terms.SEVERAL)(labels=torch.ones(1, 3))
    assert torch.allclose(several.logits.sigmoid(), (one.sigmoid() + two.sigmoid()) / 2)
    score = Ensemble([Says(one[:, :1]), Says(two[:, :1])], terms.SCORES)(labels=torch.ones(1))
    assert score.logits.item() == 0.5 and score.loss.item() == 0.25


def test_a_uniform_soup_is_the_mean_of_the_weights_and_a_run(runs, tmp_path, capsys):
    out = tmp_path / "soup"
    soup.soup(runs, _given(out=out))
    weights = [load_file(f"{run}/model/model.safetensors") for run in runs]
    for name, value in load_file(out / "model" / "model.safetensors").items():
        expected = sum(part[name].double() for part in weights) / 3
        assert torch.allclose(value.double(), expected, atol=1e-7)
    record = read_record(out)
    assert [member["folder"] for member in record["soup"]["members"]] == runs and record["soup"]["how"] == "uniform"
    assert record["condition"] != read_record(Path(runs[0]))["condition"]
    capsys.readouterr()
    assert evaluate.evaluate(str(out), {}) == 0
    assert "every recorded number exactly" in capsys.readouterr().out


def test_a_greedy_soup_is_no_worse_than_its_best_member(runs, tmp_path):
    out = tmp_path / "greedy"
    soup.soup(runs, _given(out=out, how="greedy"))
    members = [member["folder"] for member in read_record(out)["soup"]["members"]]
    assert 1 <= len(members) <= 3 and set(members) <= set(runs)

    def accuracy(folder):
        table = pq.read_table(f"{folder}/predictions/eval.parquet")
        return np.mean(np.array(table["prediction"].to_pylist()) == np.array(table["label"].to_pylist()))

    assert accuracy(out) >= max(map(accuracy, runs))


def test_what_does_not_fit_together_is_told(runs, tmp_path):
    other = trained(tmp_path / "other", *TASKS["multi_label"](tmp_path), "max_steps=1")
    wide = trained(tmp_path / "wide", "model.hidden_size=96", "max_steps=1")
    for call in (evaluate.evaluate_together, lambda places, given: soup.soup(places, _given(out=tmp_path / "x"))):
        with pytest.raises(ExpError, match=r"other has another task than"):
            call([runs[0], str(other)], {})
        with pytest.raises(ExpError, match="is given twice"):
            call([runs[0], runs[0]], {})
    with pytest.raises(ExpError, match="is another architecture than"):
        soup.soup([runs[0], str(wide)], _given(out=tmp_path / "x"))
    with pytest.raises(ExpError, match="out is not given"):
        soup.soup(runs, _given())
    with pytest.raises(ExpError, match="exists already"):
        soup.soup(runs, _given(out=tmp_path))
    with pytest.raises(ExpError, match="say where their predictions go"):
        predict.predict(runs, {"data.split": "eval"})
    assert not (tmp_path / "x").exists() and not list(tmp_path.glob(".*.part"))


def _given(**values):
    from exp.options.arguments import Given

    return Given(soup.GRAMMAR, values=values)

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from exp import evaluate as entry
from exp.errors import ExpError
from exp.run.events import Event
from exp.saved.metrics import of_saved_weights
from tests.finished_runs import contents, copy_of, fast_run, lora_run, reviews_run, saved_step, virtual_run


def test_the_saved_model_gives_the_recorded_numbers_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    run = reviews_run()
    before = contents(run)
    assert entry.evaluate(str(run), {}) == 0
    text = capsys.readouterr().out
    assert f"exactly (weights of step {saved_step(run)})" in text
    assert all(key in text for key in ("eval/loss", "eval/accuracy", "test/loss", "test/accuracy"))
    assert contents(run) == before


def test_a_fast_runs_model_computes_with_the_same_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.evaluate(str(fast_run()), {}) == 0
    assert "every recorded number exactly" in capsys.readouterr().out


def test_other_weights_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = copy_of(reviews_run(), tmp_path / "run")
    file = run / "model" / "model.safetensors"
    weights = load_file(file)
    weights["classifier.bias"][0] += 1e-3  # on both it would cancel in the softmax
    save_file(weights, file, metadata={"format": "pt"})
    assert entry.evaluate(str(run), {}) == 1
    text = capsys.readouterr().out
    assert "eval/loss" in text and "differs by" in text
    assert "different: " in text


def test_another_file_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its labels are needed, and looked at before the model is loaded."""
    (tmp_path / "a.csv").write_text("sentence,label\nthe soup was bad,negative\nthe soup was fine,positive\n")
    (tmp_path / "b.csv").write_text("sentence\nthe soup was bad\n")
    files = [tmp_path / "a.csv"]
    assert entry.evaluate(str(reviews_run()), {"file": files}) == 0
    text = capsys.readouterr().out
    assert "a.csv: 2 examples" in text and float(text.split("accuracy")[1].split()[0]) in (0.0, 0.5, 1.0)
    with pytest.raises(ExpError, match=r"b\.csv has no column 'label'"):
        entry.evaluate(str(reviews_run()), {"file": [*files, tmp_path / "b.csv"]})


@pytest.mark.slow
def test_a_merged_adapter_differs_by_rounding_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.evaluate(str(lora_run()), {}) == 0
    assert "equal" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.slow
def test_a_run_whose_adapter_is_not_merged_is_used_as_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from peft import PeftModel
    from transformers import BertForSequenceClassification

    import exp
    from exp.loss.distillation import DistillationLoss
    from exp.model.source import check_folder
    from exp.saved import finished, soup

    run, text = virtual_run(), "the soup was bad"
    assert entry.evaluate(str(run), {}) == 0
    assert "exactly (weights of step 12)" in capsys.readouterr().out.splitlines()[-1]
    loaded = exp.load(run)
    [made] = loaded.pipeline([text])
    base = BertForSequenceClassification.from_pretrained(run / "model", subfolder="base")  # as the card has it
    model = PeftModel.from_pretrained(base, str(run / "model")).eval()
    with torch.no_grad():
        shares = model(**loaded.processor(text, return_tensors="pt")).logits.softmax(-1)[0]
    assert made["score"] == pytest.approx(float(shares.max()), rel=1e-5)
    card = (run / "model" / "README.md").read_text()
    assert "library_name: peft" in card and "PeftModel.from_pretrained(base" in card
    with pytest.raises(ExpError, match="a soup is a mean of weights"):
        soup.make(
            [finished.find(str(one)) for one in (run, copy_of(run, tmp_path / "b"))], tmp_path / "soup", "uniform"
        )
    with pytest.raises(ExpError, match=r"the plain model that it was trained on is in .*model/base"):
        check_folder(run / "model")
    with pytest.raises(ExpError, match="a teacher is a plain model"):
        DistillationLoss(teacher_path=str(run), temperature=2.0, mix=0.5)


def test_rows_compare_to_the_last_bit() -> None:
    assert entry.Remeasured("eval/loss", 0.1, 0.1).equal
    assert entry.Remeasured("eval/loss", math.nan, math.nan).equal
    near = entry.Remeasured("eval/loss", 0.7, math.nextafter(0.7, 1))
    assert not near.equal and near.close
    assert not entry.Remeasured("eval/accuracy", 0.7, 0.71).close


EVENTS = [
    Event(1, 0.1, 0.0, {"eval/accuracy": 0.5, "eval/loss": 0.9}),
    Event(2, 0.2, 0.0, {"train/loss": 0.8}),
    Event(2, 0.2, 0.0, {"eval/accuracy": 0.8, "eval/loss": 0.7}),
    Event(3, 0.3, 0.0, {"eval/accuracy": 0.8, "eval/loss": 0.6}),
    Event(3, 0.3, 0.0, {"test/accuracy": 0.75}),
]


@pytest.mark.parametrize(("best", "loss", "step"), [(True, 0.7, 2), (False, 0.6, 3)])
def test_recorded_metrics_are_those_of_the_saved_weights(best: bool, loss: float, step: int) -> None:
    config = {"load_best_model_at_end": best, "early_stopping_threshold": 0.0}
    found = of_saved_weights(EVENTS, config, "eval/accuracy", True)
    assert found["eval/loss"] == {"value": loss, "step": step}
    assert found["test/accuracy"]["value"] == 0.75
    assert "train/loss" not in found


def broken(kind: str, folder: Path) -> str:
    """A run folder with one thing wrong; returns a part of the message."""
    if kind == "no folder":
        return "there is no such folder"
    if kind == "no run":
        folder.mkdir()
        return "is no run folder"
    copy_of(reviews_run(), folder)
    record = json.loads((folder / "run.json").read_text())
    if kind == "newer":
        record["schema"] = 99
        message = "was written by a newer exp (schema 99"
    elif kind == "first version":
        del record["config"]["task"]
        message = "was trained by the first version of exp"
    elif kind == "failed":
        for file in (folder / "model").iterdir():
            file.unlink()
        record |= {"status": "failed", "reason": "no memory"}
        message = "it saved no model; its status is failed (no memory); go on with it"
    elif kind == "no tokenizer":  # transformers would make one of the special tokens alone
        for file in (folder / "model").glob("tokenizer*"):
            file.unlink()
        message = "model has no tokenizer any more"
    elif kind == "a config of no keys":
        (folder / "model" / "config.json").write_text("[1]")
        message = "model cannot be loaded: TypeError"
    elif kind == "no metrics":
        (folder / "metrics.jsonl").unlink()
        message = "metrics.jsonl is missing or was changed: it holds no evaluation, and result.json does"
    else:
        assert kind == "cut weights"
        file = folder / "model" / "model.safetensors"
        file.write_bytes(file.read_bytes()[:1000])
        message = "cannot be loaded"
    (folder / "run.json").write_text(json.dumps(record))
    return message


LACKING = ["no tokenizer", "a config of no keys", "no metrics"]


@pytest.mark.parametrize("kind", ["no folder", "no run", "newer", "first version", "failed", "cut weights", *LACKING])
def test_bad_folders(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    message = broken(kind, folder)
    before = contents(tmp_path)
    with pytest.raises(ExpError) as error:
        entry.evaluate(str(folder), {})
    assert message in str(error.value)
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_data_that_are_gone_or_were_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run on files: removed, they are missed by name; from a new place the numbers are the same."""
    from tests.finished_runs import train

    rows = [f"the soup was {word},{label}" for word, label in (("good", "yes"), ("bad", "no"))] * 20
    data = tmp_path / "data.csv"
    data.write_text("text,label\n" + "\n".join(rows) + "\n")
    done = train(tmp_path / "run", "data=files", "data.train_file=data.csv", "max_steps=2", "eval_strategy=epoch")
    assert done.returncode == 0, done.stderr
    moved = tmp_path / "elsewhere.csv"
    data.rename(moved)
    with pytest.raises(ExpError, match=r"cannot be read any more: .*data\.csv"):
        entry.evaluate(str(tmp_path / "run"), {})
    assert entry.evaluate(str(tmp_path / "run"), {"data.train_file": str(moved)}) == 0
    assert "exactly" in capsys.readouterr().out

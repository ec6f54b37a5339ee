from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from exp.errors import ExpError
from exp.model.drawn import drawn_parameters, output_layer
from exp.task.base import Head
from tests.optim.test_options import make
from tests.tiny_models import KINDS, batches, make_tiny


def head_of(labels=("no", "yes"), max_length=64, **changes) -> Head:
    """One label a text; a score where `labels` is None."""
    problem = "regression" if labels is None else "single_label_classification"
    made = Head("AutoModelForSequenceClassification", labels, problem, "SEQ_CLS", "text-classification", max_length)
    return replace(made, **changes)


def tokenizer_of(source, **changes):
    """A pretrained model's own; it looks at no data."""
    return source.processor(None, head_of(**changes))


def load(folder, labels=("no", "yes"), head=None, **changes):
    source = make("model", "pretrained", path=str(folder), **changes)
    torch.manual_seed(5)
    return source.model(head or head_of(labels), tokenizer_of(source))


@pytest.fixture(scope="module", params=KINDS)
def base(request, tmp_path_factory) -> Path:
    return make_tiny(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=KINDS)
def classifier(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    return make_tiny(request.param, folder, labels=("entailment", "neutral", "contradiction"))


def test_every_architecture_learns(base):
    source = make("model", "pretrained", path=str(base), dropout=0.0)
    tokenizer = tokenizer_of(source)
    torch.manual_seed(5)
    model = source.model(head_of(), tokenizer).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(20):
        for batch in batches(tokenizer, size=4):
            loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_the_head_is_the_one_that_transformers_draws(base):
    ours = load(base)
    torch.manual_seed(5)
    plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, dtype=torch.float32)
    for (name, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert all(not name.startswith(ours.base_model_prefix + ".") for name in drawn_parameters(ours))


def test_label_names_and_the_kind_of_loss_are_in_the_saved_config(base, tmp_path):
    load(base, ("not_equivalent", "equivalent")).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "not_equivalent", "1": "equivalent"}
    assert config["label2id"] == {"not_equivalent": 0, "equivalent": 1}
    assert config["problem_type"] == "single_label_classification"


def test_regression_has_one_float_output(base):
    model = load(base, None)
    assert model.config.num_labels == 1 and model.config.problem_type == "regression"
    source = make("model", "pretrained", path=str(base))
    batch = next(batches(tokenizer_of(source)))
    batch["labels"] = torch.tensor([1.5, 4.0])
    out = model(**batch)
    expected = ((out.logits.squeeze(-1) - batch["labels"]) ** 2).mean()
    assert out.loss.item() == pytest.approx(expected.item())


def test_labels_are_matched_by_name_never_by_order(classifier, caplog):
    caplog.set_level(logging.INFO)
    kept = load(classifier, ("Contradiction", "entailment", "neutral"))
    saved = load_file(classifier / "model.safetensors")
    head, layer = output_layer(kept)
    assert torch.equal(layer.weight, saved[f"{head}.weight"][[2, 0, 1]])
    assert torch.equal(layer.bias, saved[f"{head}.bias"][[2, 0, 1]])
    assert "head kept" in caplog.text
    assert not drawn_parameters(kept)


@pytest.mark.parametrize("labels", [("entailment", "not_entailment"), ("a", "b", "c"), None], ids=str)
def test_other_labels_get_a_new_head_and_keep_everything_else(classifier, labels, caplog):
    caplog.set_level(logging.INFO)
    model = load(classifier, labels)
    saved = load_file(classifier / "model.safetensors")
    head, layer = output_layer(model)
    assert "new head" in caplog.text
    assert layer.out_features == len(labels or ("score",))
    assert drawn_parameters(model) == {f"{head}.weight", f"{head}.bias"}
    assert 0 < layer.weight.std() < 1
    same_shape = layer.weight.shape == saved[f"{head}.weight"].shape
    assert not (same_shape and torch.equal(layer.weight, saved[f"{head}.weight"]))
    for name, p in model.named_parameters():
        if not name.startswith(head + "."):
            assert torch.equal(p, saved[name]), name


def test_generic_label_names_are_no_names(tmp_path):
    folder = make_tiny("bert", tmp_path, labels=("LABEL_0", "LABEL_1"))
    assert drawn_parameters(load(folder, ("LABEL_0", "LABEL_1"))) == {"classifier.weight", "classifier.bias"}


def test_a_regression_head_is_kept_for_a_regression(tmp_path):
    folder = make_tiny("bert", tmp_path, labels=("score",))
    model = load(folder, None)
    assert torch.equal(model.classifier.weight, load_file(folder / "model.safetensors")["classifier.weight"])


def test_a_half_precision_checkpoint_trains_in_fp32(tmp_path):
    folder = make_tiny("bert", tmp_path, labels=("no", "yes"))
    AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    assert {p.dtype for p in load(folder).parameters()} == {torch.float32}


def test_dropout_sets_every_rate_of_every_architecture(base):
    model = load(base, dropout=0.3)
    drops = {n: m.p for n, m in model.named_modules() if isinstance(m, torch.nn.Dropout)}
    assert drops and set(drops.values()) == {0.3}, drops


def test_reinit_draws_the_last_layers_and_the_pooler_anew(base):
    plain, changed = dict(load(base).named_parameters()), load(base, reinit_layers=1)
    prefix = changed.base_model_prefix
    for name, p in changed.named_parameters():
        top = ".layer.1." in name or ".layers.1." in name or "pooler" in name
        same = torch.equal(p, plain[name])
        if not top:
            assert same, name
        elif name.endswith("weight") and "norm" not in name.lower():
            assert not same, name
            assert 0.005 < p.std() < 0.2, name
        elif "norm" in name.lower() and name.endswith("weight"):
            assert torch.equal(p, torch.ones_like(p)), name
    assert any(name.startswith(prefix) for name in drawn_parameters(changed))


def test_reinit_of_more_layers_than_there_are_is_refused(base):
    with pytest.raises(ExpError, match="reinit_layers=3, but the model has 2"):
        load(base, reinit_layers=3)


def test_minilm_reads_as_the_course_prints(minilm):
    tokenizer = tokenizer_of(make("model", "minilm_l6", path=str(minilm)), max_length=512)
    out = tokenizer("This is the first sentence.", "This is the second one.")
    assert len(out["input_ids"]) == 15
    assert out["token_type_ids"] == [0] * 8 + [1] * 7


def test_baked_in_truncation_and_padding_are_gone_also_after_saving(minilm, tmp_path):
    tokenizer = tokenizer_of(make("model", "minilm_l6", path=str(minilm)), max_length=512)
    tokenizer.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text())
    assert saved["truncation"] is None and saved["padding"] is None
    assert len(tokenizer.backend_tokenizer.encode("a " * 300).ids) == 302
    assert len(tokenizer.backend_tokenizer.encode("a").ids) == 3


@pytest.mark.parametrize(("kind", "limit"), [("bert", 130), ("roberta", 128 - 0), ("modernbert", 130)])
def test_more_tokens_than_the_model_reads_are_refused(kind, limit, tmp_path):
    source = make("model", "pretrained", path=str(make_tiny(kind, tmp_path)))
    tokenizer_of(source, max_length=limit)
    with pytest.raises(ExpError, match=f"reads at most {limit} tokens"):
        tokenizer_of(source, max_length=limit + 1)


def test_loading_says_one_line_and_nothing_of_transformers(tmp_path, capfd, caplog):
    caplog.set_level(logging.INFO)
    folder = make_tiny("bert", tmp_path)
    capfd.readouterr()
    load(folder)
    assert [r.getMessage() for r in caplog.records] == ["new head: classifier.bias, classifier.weight drawn at random"]
    assert capfd.readouterr() == ("", "")


def test_weights_of_another_architecture_are_refused(tmp_path):
    folder = make_tiny("bert", tmp_path / "a")
    other = make_tiny("distilbert", tmp_path / "b")
    (folder / "config.json").write_text((other / "config.json").read_text())
    with pytest.raises(ExpError, match="pretrained weights are not in the checkpoint"):
        load(folder)


def test_a_head_of_tags_is_the_one_that_transformers_draws(base):
    tags = head_of(("O", "B-x", "I-x"), auto_class="AutoModelForTokenClassification", problem_type=None)
    ours = load(base, head=tags)
    torch.manual_seed(5)
    plain = AutoModelForTokenClassification.from_pretrained(base, num_labels=3, dtype=torch.float32)
    for (name, a), b in zip(ours.named_parameters(), plain.named_parameters(), strict=True):
        assert name == b[0] and torch.equal(a, b[1]), name
    assert ours.config.id2label == {0: "O", 1: "B-x", 2: "I-x"} and ours.config.label2id["I-x"] == 2
    ids = torch.tensor([[5, 6, 7]])
    assert ours(input_ids=ids).logits.shape == (1, 3, 3)


def test_many_labels_a_text_have_a_loss_of_their_own(tmp_path):
    model = load(make_tiny("bert", tmp_path), head=head_of(problem_type="multi_label_classification")).eval()
    batch = next(batches(tokenizer_of(make("model", "pretrained", path=str(tmp_path)))))
    batch["labels"] = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    out = model(**batch)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(out.logits, batch["labels"])
    assert out.loss.item() == pytest.approx(expected.item())

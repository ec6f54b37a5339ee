from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from exp.errors import ExpError
from exp.model.peft_wrapping import targets, trained_whole
from exp.optim.groups import parameter_groups
from exp.task.base import Head
from tests.optim.test_options import make
from tests.tiny_models import KINDS, batches, make_tiny

ADAPTERS = ("lora", "adalora", "qlora")
STEPS = 6


HEAD = Head(
    auto_class="AutoModelForSequenceClassification",
    labels=("no", "yes"),
    problem_type="single_label_classification",
    peft_task="SEQ_CLS",
    pipeline="text-classification",
    max_length=64,
)
TAGS = replace(HEAD, auto_class="AutoModelForTokenClassification", problem_type=None, peft_task="TOKEN_CLS")


def load(folder, **changes):
    source = make("model", "pretrained", path=str(folder), **changes)
    torch.manual_seed(5)
    return source.model(HEAD, source.processor(None, HEAD))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: make_tiny(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


def adapted(folder, name, head=HEAD, **changes):
    source = make("model", "pretrained", path=str(folder))
    adapter = make("adapter", name, **changes)
    tokenizer = source.processor(None, head)
    torch.manual_seed(5)
    model = source.model(head, tokenizer, **adapter.load_kwargs())
    return adapter, adapter.apply(model, STEPS, head.peft_task), tokenizer


def train(adapter, model, tokenizer, steps=STEPS):
    optimizer = make("optimizer", "adamw", lr=1e-2)(model)
    model.train()
    for step in range(1, steps + 1):
        loss = model(**next(batches(tokenizer))).loss
        loss.backward()
        optimizer.step()
        adapter.after_optimizer_step(model, step)
        optimizer.zero_grad()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ADAPTERS)
def test_it_trains_little_and_merges_into_a_plain_model(folders, kind, name, tmp_path):
    adapter, model, tokenizer = adapted(folders[kind], name)
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    trained = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    assert frozen and any("lora_" in n for n in trained)
    assert {n for n in trained if "lora_" not in n and "modules_to_save" not in n} == set()
    train(adapter, model, tokenizer)
    now = dict(model.named_parameters())
    assert all(torch.equal(now[n], p) for n, p in frozen.items())
    heads = [n for n in trained if "modules_to_save" in n]
    assert heads and all(not torch.equal(now[n], trained[n]) for n in heads)
    batch = next(batches(tokenizer))
    before = model.eval()(**batch).logits
    merged = adapter.merge(model)
    merged.save_pretrained(tmp_path)
    again = type(merged).from_pretrained(tmp_path)
    assert type(again).__name__.endswith("ForSequenceClassification")
    assert again.config.id2label == {0: "no", 1: "yes"}
    assert torch.allclose(again.eval()(**batch).logits, before, atol=1e-5)
    assert torch.equal(model(**batch).logits, before), "merging leaves the trained model as it is"


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_head_for_each_word_is_trained_and_merged(folders, name):
    adapter, model, tokenizer = adapted(folders["bert"], name, TAGS)
    batch = next(batches(tokenizer))
    batch["labels"] = torch.zeros_like(batch["input_ids"])
    model.train()
    model(**batch).loss.backward()
    trained = {n for n, p in model.named_parameters() if p.grad is not None}
    assert any("lora_" in n for n in trained) and any("classifier.modules_to_save" in n for n in trained)
    assert model.peft_type and model.active_peft_config.task_type == "TOKEN_CLS"
    before = model.eval()(**batch).logits
    assert before.shape == (*batch["input_ids"].shape, 2)
    assert torch.allclose(adapter.merge(model).eval()(**batch).logits, before, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_ia3_trains_factors_of_every_family_and_merges(folders, kind):
    adapter, model, tokenizer = adapted(folders[kind], "ia3")
    trained = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    inner = {n for n in trained if "ia3_l" in n}
    assert inner and {n for n in trained if n not in inner and "modules_to_save" not in n} == set()
    assert any(p.shape[0] == 1 for n, p in trained.items() if n in inner), "one of a feed-forward's input"
    train(adapter, model, tokenizer, 2)
    assert all(not torch.equal(dict(model.named_parameters())[n], p) for n, p in trained.items())
    batch = next(batches(tokenizer))
    before = model.eval()(**batch).logits
    assert torch.allclose(adapter.merge(model).eval()(**batch).logits, before, atol=1e-5)


@pytest.mark.parametrize("name", ["dora", "rslora", "pissa"])
def test_variants_of_lora_start_from_the_pretrained_model_and_merge(folders, name):
    batch = None
    outputs = {}
    for option in ("none", name):
        adapter, model, tokenizer = adapted(folders["bert"], option, **({} if option == "none" else {"r": 4}))
        batch = batch or next(batches(tokenizer))
        outputs[option] = model.eval()(**batch).logits
    assert torch.allclose(outputs["none"], outputs[name], atol=1e-5)
    assert {"dora": "magnitude", "rslora": "lora_A", "pissa": "lora_A"}[name] in str(
        [n for n, p in model.named_parameters() if p.requires_grad]
    )
    if name == "rslora":
        assert model.get_base_model().bert.encoder.layer[0].attention.self.query.scaling["default"] == 16 / 4**0.5
    train(adapter, model, tokenizer, 2)
    before = model.eval()(**batch).logits
    assert not torch.allclose(before, outputs[name], atol=1e-3)
    assert torch.allclose(adapter.merge(model).eval()(**batch).logits, before, atol=1e-5)


def test_feedforward_modules_are_among_the_targets():
    with pytest.raises(ExpError, match=r"'output\.dense' is not among adapter\.target_modules"):
        make("adapter", "ia3", target_modules=["key"], feedforward_modules=["output.dense"])
    with pytest.raises(ExpError, match="name both, or neither"):
        make("adapter", "ia3", feedforward_modules=["output.dense"])


def test_adalora_needs_two_steps():
    option = make("adapter", "adalora")
    option.check_length(2)
    with pytest.raises(ExpError, match="this run has 1"):
        option.check_length(1)


def test_none_trains_and_saves_the_model_itself(folders):
    adapter, model, _ = adapted(folders["bert"], "none")
    assert adapter.merge(model) is model and all(p.requires_grad for p in model.parameters())


def test_layer_decay_and_weight_decay_see_through_the_wrapper(folders):
    _, model, _ = adapted(folders["bert"], "lora")
    rates = {id(p): g["lr"] for g in parameter_groups(model, 1.0, 0.1, 0.5) for p in g["params"]}
    named = {n: rates[id(p)] for n, p in model.get_base_model().named_parameters() if p.requires_grad}
    assert named["bert.encoder.layer.0.attention.self.query.lora_A.default.weight"] == 0.5**3
    assert named["bert.encoder.layer.1.attention.self.query.lora_A.default.weight"] == 0.5**2
    assert named["classifier.modules_to_save.default.weight"] == 1.0


def test_adalora_reaches_its_budget(folders):
    adapter, model, tokenizer = adapted(folders["bert"], "adalora", init_r=6, target_r=2, delta_t=1)
    train(adapter, model, tokenizer)
    ranks = [int((p != 0).sum()) for n, p in model.named_parameters() if "lora_E" in n]
    assert len(ranks) == 4 and sum(ranks) <= 4 * 2 < 4 * 6


def test_4bit_weights_are_4bit_and_an_evaluation_does_not_change_training(folders):
    adapter, model, tokenizer = adapted(folders["bert"], "qlora")
    query = model.get_base_model().bert.encoder.layer[0].attention.self.query.base_layer
    assert query.weight.dtype == torch.uint8 and query.weight.numel() == 32 * 32 // 2
    assert model.get_base_model().bert.pooler.dense.weight.dtype == torch.float32
    batch = next(batches(tokenizer))
    packed = query.weight.clone()
    with torch.no_grad():
        model.eval()(**batch)
    assert torch.equal(query.weight, packed)
    train(adapter, model, tokenizer, 2)


def test_a_missing_pooler_is_trained_too(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = make_tiny("bert", tmp_path)
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if "pooler" not in k}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert trained_whole(load(folder)) == ["classifier", "bert.pooler.dense"]


def test_target_modules_are_checked(folders):
    model = load(folders["bert"])
    assert targets(model, ["query", "key"]) == ["query", "key"]
    with pytest.raises(ExpError, match="'querry'; did you mean 'query'"):
        targets(model, ["querry"])
    model.config.model_type = "newest"
    with pytest.raises(ExpError, match="no default target modules for newest"):
        targets(model, None)


@pytest.mark.parametrize("changes", [{"mixout": 0.5}, {"reinit_layers": 1}], ids=str)
def test_stabilisers_of_trained_weights_are_refused(folders, changes):
    with pytest.raises(ExpError, match=next(iter(changes))):
        make("adapter", "lora").apply(load(folders["bert"], **changes), STEPS, HEAD.peft_task)


def test_decay_to_init_is_refused_under_an_adapter(folders):
    _, model, _ = adapted(folders["bert"], "lora")
    with pytest.raises(ExpError, match="decay_to_init"):
        make("optimizer", "adamw", decay_to_init=0.1)(model)


def test_qlora_needs_pretrained_weights():
    with pytest.raises(ExpError, match="bert_tiny has none"):
        make("model", "bert_tiny").model(HEAD, None, **make("adapter", "qlora").load_kwargs())


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("lora", {"r": 0}, "adapter.r=0"),
        ("adalora", {"init_r": 4}, "init_r=4 must not be below"),
        ("adalora", {"start_ratio": 0.6}, "sum must be below 1"),
        ("qlora", {"quant_type": "nf5"}, "quant_type"),
    ],
)
def test_numbers_that_cannot_work_are_refused(name, changes, message):
    with pytest.raises(ExpError, match=message):
        make("adapter", name, **changes)


@pytest.mark.parametrize(("name", "package"), [("lora", "peft"), ("adalora", "peft"), ("qlora", "peft")])
def test_a_missing_package_is_named(name, package, folders, monkeypatch):
    model = load(folders["bert"])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExpError, match=f"pip install {package}"):
        make("adapter", name).load_kwargs()
        make("adapter", name).apply(model, STEPS, HEAD.peft_task)

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers

from exp.errors import ExpError
from exp.model.unmerged import load_unmerged, plain_folder
from exp.optim.groups import named_trainable, parameter_groups
from tests.model.test_adapter import HEAD, TAGS, adapted, train
from tests.optim.test_options import make
from tests.task.test_causal_lm import FAMILIES, SHAPE
from tests.tiny_models import KINDS, batches, make_tiny
from tests.tiny_seq2seq import make_seq2seq

VIRTUAL = ("prompt_tuning", "p_tuning", "prefix_tuning")
CAUSAL = replace(HEAD, auto_class="AutoModelForCausalLM", labels=None, problem_type=None, peft_task="CAUSAL_LM")
IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [7, 9, 8, 0, 0, 0]])
MASK = (IDS != 0).long()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: make_tiny(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


def wrapped(name, plain, kind, **changes):
    torch.manual_seed(3)
    return make("adapter", name, num_virtual_tokens=4, **changes).apply(plain, 6, kind)


def tiny(name, auto="AutoModelForCausalLM"):
    shape = {**SHAPE, **FAMILIES[name]}
    if name == "GPT2Config":  # peft would believe the keys that are not GPT-2's
        shape = {
            key: value for key, value in shape.items() if key.startswith(("n_", "vocab")) or key.endswith("_token_id")
        }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, auto).from_config(getattr(transformers, name)(**shape))
    model.config.use_cache = False
    return model


def saved_and_loaded(model, place):
    """As a run saves it and a reader loads it, with transformers' and peft's own functions."""
    make("adapter", "prompt_tuning").merge(model).save_pretrained(place)
    return load_unmerged(type(model.get_base_model()).from_pretrained(plain_folder(place)).eval(), place)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in ("prompt_tuning", "p_tuning") for kind in KINDS]
    + [("prefix_tuning", kind) for kind in ("bert", "roberta", "electra")],
)
def test_encoders_learn_vectors_and_the_head_alone(folders, kind, name, tmp_path):
    adapter, model, tokenizer = adapted(folders[kind], name, num_virtual_tokens=4)
    trained = {n: p.detach().clone() for n, p in named_trainable(model)}
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    assert {"prompt_encoder" in n or "modules_to_save" in n for n in trained} == {True}
    assert any("modules_to_save" in n for n in trained)
    train(adapter, model, tokenizer, 2)
    assert all(not torch.equal(dict(named_trainable(model))[n], p) for n, p in trained.items())
    assert all(torch.equal(dict(model.named_parameters())[n], p) for n, p in frozen.items())
    batch = next(batches(tokenizer))
    before = model.eval()(**batch).logits
    again = saved_and_loaded(model, tmp_path / "model")
    assert torch.allclose(again(**batch).logits, before, atol=1e-6)
    assert torch.equal(model(**batch).logits, before), "saving leaves the trained model as it is"
    with pytest.raises((OSError, ValueError)):
        transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize("name", ["prompt_tuning", "p_tuning"])
def test_a_head_for_each_word_gives_a_label_for_each_word(folders, name, tmp_path):
    _, model, tokenizer = adapted(folders["bert"], name, TAGS, num_virtual_tokens=4)
    batch = next(batches(tokenizer))
    batch["labels"] = torch.where(batch["attention_mask"] == 1, torch.ones_like(batch["input_ids"]), -100)
    output = model.eval()(**batch)
    assert output.logits.shape == (*batch["input_ids"].shape, 2)
    by_hand = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), batch["labels"].flatten())
    assert output.loss.item() == pytest.approx(by_hand.item(), rel=1e-6)
    assert torch.allclose(saved_and_loaded(model, tmp_path)(**batch).logits, output.logits, atol=1e-6)


@pytest.mark.parametrize("family", ["GPT2Config", "LlamaConfig"])
@pytest.mark.parametrize("name", VIRTUAL)
def test_decoders_predict_the_rows_own_tokens_and_go_on(family, name, tmp_path):
    model = wrapped(name, tiny(family), "CAUSAL_LM").eval()
    assert all("prompt_encoder" in n for n, _ in named_trainable(model))
    labels = torch.where(MASK == 1, IDS, -100)
    output = model(input_ids=IDS, attention_mask=MASK, labels=labels)
    shown, wanted = output.logits[:, :-1], labels[:, 1:]  # the first token is predicted by nobody, as without them
    assert output.logits.shape[:2] == IDS.shape
    by_hand = torch.nn.functional.cross_entropy(shown.flatten(0, 1), wanted.flatten())
    assert output.loss.item() == pytest.approx(by_hand.item(), rel=1e-6)
    output.loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for _, p in named_trainable(model))
    written = IDS[:1]
    for _ in range(4):
        best = model(input_ids=written, attention_mask=torch.ones_like(written)).logits[:, -1].argmax(-1)
        written = torch.cat([written, best[:, None]], 1)
    asked = {"attention_mask": torch.ones(1, 6, dtype=torch.long), "max_new_tokens": 4, "do_sample": False}
    assert model.generate(input_ids=IDS[:1], eos_token_id=None, **asked).tolist() == written.tolist()
    again = saved_and_loaded(model, tmp_path)
    assert torch.allclose(again(input_ids=IDS, attention_mask=MASK).logits, output.logits, atol=1e-6)
    assert again.generate(input_ids=IDS[:1], eos_token_id=None, **asked).tolist() == written.tolist()


@pytest.mark.parametrize("kind", ["t5", "bart"])
@pytest.mark.parametrize("name", VIRTUAL)
def test_an_encoder_decoder_writes_what_its_logits_say(kind, name, tmp_path):
    folder = make_seq2seq(kind, tmp_path / kind)
    plain = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    model = wrapped(name, plain, "SEQ_2_SEQ_LM").eval()
    rows = {"input_ids": IDS + (IDS == 0) * plain.config.pad_token_id, "attention_mask": MASK}
    made = model.generate(**rows, max_new_tokens=4, min_new_tokens=4, num_beams=1, do_sample=False)
    labels = made[:, 1:].contiguous()
    said = model(**rows, decoder_input_ids=made[:, :-1]).logits
    ends = [one for one in (plain.config.eos_token_id,) if one is not None]
    said[:, :4, ends] = -torch.inf  # min_new_tokens
    forced = getattr(plain.generation_config, "forced_eos_token_id", None) is not None
    upto = 3 if forced else 4
    assert said.argmax(-1)[:, :upto].tolist() == labels[:, :upto].tolist()
    assert getattr(model(**rows, labels=labels), "encoder_last_hidden_state", None) is None or name == "prefix_tuning"
    again = saved_and_loaded(model, tmp_path / "model")
    assert torch.allclose(again(**rows, labels=labels).logits, model(**rows, labels=labels).logits, atol=1e-6)


@pytest.mark.parametrize("change", ["another kind", "a pickle", "no JSON"])
def test_an_adapter_that_exp_did_not_save_is_not_read(change, tmp_path):
    saved_and_loaded(wrapped("prompt_tuning", tiny("GPT2Config"), "CAUSAL_LM"), tmp_path)
    file, weights = tmp_path / "adapter_config.json", tmp_path / "adapter_model.safetensors"
    if change == "another kind":
        file.write_text(file.read_text().replace("PROMPT_TUNING", "LORA"))
    elif change == "a pickle":
        weights.rename(tmp_path / "adapter_model.bin")
    else:
        file.write_text("[1")
    with pytest.raises(ExpError, match="holds an adapter that exp did not save"):
        load_unmerged(tiny("GPT2Config"), tmp_path)


def test_what_a_family_cannot_read_is_said_in_one_line(folders):
    with pytest.raises(
        ExpError, match=r"adapter=prompt_tuning: GPT2ForSequenceClassification would answer for the pad"
    ):
        wrapped("prompt_tuning", tiny("GPT2Config", "AutoModelForSequenceClassification"), "SEQ_CLS")
    wrapped("prefix_tuning", tiny("GPT2Config", "AutoModelForSequenceClassification"), "SEQ_CLS")
    with pytest.raises(
        ExpError, match="DistilBertForSequenceClassification takes no keys and values from before a row"
    ):
        adapted(folders["distilbert"], "prefix_tuning")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("prompt_tuning", {"num_virtual_tokens": 0}, "adapter.num_virtual_tokens=0"),
        ("prompt_tuning", {"prompt_tuning_init": "TEXT"}, "belong together"),
        ("prompt_tuning", {"prompt_tuning_init_text": "is it one?"}, "belong together"),
        ("p_tuning", {"encoder_dropout": 0.1}, "are the LSTM's"),
        ("prefix_tuning", {"init_weights": "ones"}, "init_weights"),
    ],
)
def test_options_check_themselves(name, changes, message):
    with pytest.raises(ExpError, match=message):
        make("adapter", name, **changes)


CONFIG = {
    **{"batching": "random", "gradient_checkpointing": False, "task": {}, "speed": {}},
    "distributed": {"_target_": "x.NoSharding"},
}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("prompt_tuning", {"batching": "packed"}, "batching=packed lays rows end to end"),
        ("p_tuning", {"task": {"packing": True}}, "task.packing=true puts several texts"),
        ("prompt_tuning", {"distributed": {"_target_": "x.Fsdp"}}, "take distributed=ddp"),
        ("prefix_tuning", {"speed": {"first_token_only": True}}, "first_token_only=true computes the last layer"),
        ("prefix_tuning", {"gradient_checkpointing": True}, "take adapter=prompt_tuning"),
    ],
)
def test_settings_of_other_groups_that_do_not_fit(name, changes, message):
    make("adapter", name).check_config(CONFIG)
    with pytest.raises(ExpError, match=message):
        make("adapter", name).check_config(CONFIG | changes)


def test_a_task_or_a_length_that_does_not_fit():
    option = make("adapter", "prompt_tuning")
    with pytest.raises(ExpError, match="does not fit a task of multiple-choice"):
        option.check_head(replace(HEAD, auto_class="AutoModelForMultipleChoice", pipeline="multiple-choice"))
    option.check_room(HEAD, 128)
    option.check_room(replace(HEAD, max_length=4096), None)  # T5's positions are relative
    with pytest.raises(ExpError, match=r"more than the 128 tokens that the model reads; set task.max_length=108"):
        option.check_room(replace(HEAD, max_length=128), 128)
    with pytest.raises(ExpError, match=r"reads; set adapter.num_virtual_tokens=96"):
        make("adapter", "prompt_tuning", num_virtual_tokens=128).check_room(replace(HEAD, max_length=32), 128)


def test_text_is_where_they_begin(folders):
    words = {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "the movie"}
    _, model, tokenizer = adapted(folders["bert"], "prompt_tuning", num_virtual_tokens=6, **words)
    ids = tokenizer("the movie")["input_ids"]
    table = model.get_input_embeddings().weight
    expected = table[torch.tensor((ids * 6)[:6])]
    assert torch.equal(model.prompt_encoder["default"].embedding.weight, expected)
    with pytest.raises(ExpError, match="take SAMPLE_VOCAB"):
        wrapped("prompt_tuning", tiny("GPT2Config"), "CAUSAL_LM", **words)


def test_their_operations_count_the_way_back_through_the_model():
    from exp.loop.flops import FlopCount

    plain = tiny("LlamaConfig")
    whole, learned = FlopCount.of(plain), FlopCount.of(wrapped("prompt_tuning", tiny("LlamaConfig"), "CAUSAL_LM"))
    assert 0.6 < learned.per_token / whole.per_token < 0.75  # two of three: no weight has a gradient of its own


def test_layer_decay_gives_them_the_whole_rate(folders):
    _, model, _ = adapted(folders["bert"], "prompt_tuning")
    groups = parameter_groups(model, 1.0, 0.1, 0.5)
    ours = model.prompt_encoder["default"].embedding.weight
    [group] = [one for one in groups if any(p is ours for p in one["params"])]
    assert (group["lr"], group["weight_decay"]) == (1.0, 0.1)

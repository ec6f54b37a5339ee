"""Rows laid end to end: the padded numbers, for every family and head that we name."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers as hf

from exp.errors import ExpError
from exp.speed.first_token import first_token_only
from exp.speed.packing import DECODERS, FAMILIES, Layout, pack_rows

LENGTHS = (5, 17, 9, 2)
SHAPE = {
    "vocab_size": 150,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "num_labels": 3,
}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
GROUPED = {**SHAPE, "num_key_value_heads": 2}
WINDOW = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}
CONFIGS = {
    "Bert": hf.BertConfig(**SHAPE, **STILL),
    "Roberta": hf.RobertaConfig(**SHAPE, **STILL),
    "XLMRoberta": hf.XLMRobertaConfig(**SHAPE, **STILL),
    "Camembert": hf.CamembertConfig(**SHAPE, **STILL),
    "Electra": hf.ElectraConfig(**SHAPE, **STILL, embedding_size=32),
    "DistilBert": hf.DistilBertConfig(
        **{**SHAPE, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        **{"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0},
    ),
    "ModernBert": hf.ModernBertConfig(**SHAPE, local_attention=6, global_attn_every_n_layers=2),
    "GPT2": hf.GPT2Config(
        **{**SHAPE, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
        **{"embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "classifier_dropout": 0.0},
    ),
    "Llama": hf.LlamaConfig(**GROUPED),
    "Mistral": hf.MistralConfig(**GROUPED, sliding_window=4),
    "Qwen2": hf.Qwen2Config(**GROUPED, **WINDOW),
    "Qwen3": hf.Qwen3Config(**GROUPED, **WINDOW, head_dim=8),
}
HEADS = ("ForSequenceClassification", "ForTokenClassification", "ForMaskedLM", "ForCausalLM", "LMHeadModel")
MODELS = [(name, head) for name in CONFIGS for head in HEADS if hasattr(hf, name + head)]
LANGUAGE = ("ForCausalLM", "LMHeadModel")  # padded on the right alone: the token before a row's first is none
MODELS = [(name, head) for name, head in MODELS if (head in LANGUAGE) <= (CONFIGS[name].model_type in DECODERS)]


def batch(head, left):
    longest = max(LENGTHS) + 3 * (not left)
    ids, mask = torch.full((len(LENGTHS), longest), 1), torch.zeros(len(LENGTHS), longest, dtype=torch.long)
    draw = torch.Generator().manual_seed(1)
    for row, length in enumerate(LENGTHS):
        place = slice(longest - length, longest) if left else slice(0, length)
        ids[row, place], mask[row, place] = torch.randint(5, 150, (length,), generator=draw), 1
    if head == "ForSequenceClassification":
        labels = torch.tensor([0, 2, 1, 0])
    else:
        labels = torch.where(mask == 1, ids % 3 if head == "ForTokenClassification" else ids, -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def made(name, head):
    torch.manual_seed(0)
    model = getattr(hf, name + head)(copy.deepcopy(CONFIGS[name])).train()
    for module in model.modules():  # a head's own, which has no key in every config
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def compare(padded, packed, given):
    """Losses, logits of real tokens, and gradients, to 1e-5."""
    mask = given["attention_mask"].bool()
    one, other = padded(**given), packed(**given)
    for output in (one, other):
        output.loss.backward()
    torch.testing.assert_close(other.loss, one.loss, atol=1e-5, rtol=0)
    per_token = one.logits.shape[:2] == mask.shape
    logits = [output.logits[mask] if per_token else output.logits for output in (one, other)]
    torch.testing.assert_close(*logits, atol=1e-5, rtol=0)
    for own, its in zip(padded.parameters(), packed.parameters(), strict=True):
        assert (own.grad is None) == (its.grad is None)
        if own.grad is not None:
            torch.testing.assert_close(its.grad, own.grad, atol=1e-5, rtol=0)


def test_every_family_that_is_named_is_tried():
    assert {config.model_type for config in CONFIGS.values()} == set(FAMILIES)


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
@pytest.mark.parametrize(("name", "head"), MODELS, ids="".join)
def test_packed_rows_give_the_padded_numbers(name, head, left, monkeypatch):
    left = left and head not in LANGUAGE
    padded = made(name, head)
    packed = copy.deepcopy(padded)
    pack_rows(packed)
    seen, of = [], Layout.of.__func__
    monkeypatch.setattr(Layout, "of", classmethod(lambda cls, mask: seen.append(of(cls, mask)) or seen[-1]))
    compare(padded, packed, batch(head, left))
    # Each row's first place is kept, be it padding.
    assert [len(layout.index) for layout in seen] == [sum(LENGTHS) + left * (len(LENGTHS) - 1)]


@pytest.mark.parametrize("name", ["Bert", "Roberta", "Electra"])
def test_the_last_layer_for_the_first_tokens_of_packed_rows(name):
    padded = made(name, "ForSequenceClassification")
    packed = copy.deepcopy(padded)
    assert first_token_only(packed)
    pack_rows(packed)
    compare(padded, packed, batch("ForSequenceClassification", left=False))


def test_a_choice_that_a_question_does_not_have_stays_empty():
    padded = made("Bert", "ForMultipleChoice")
    packed = copy.deepcopy(padded)
    pack_rows(packed)
    given = batch("ForSequenceClassification", left=False)
    mask = given["attention_mask"].clone()
    mask[3] = 0
    labels = torch.tensor([1, 0])
    one, other = (
        model(given["input_ids"].view(2, 2, -1), attention_mask=mask.view(2, 2, -1), labels=labels)
        for model in (padded, packed)
    )
    torch.testing.assert_close(other.logits.flatten()[:3], one.logits.flatten()[:3], atol=1e-5, rtol=0)
    assert other.logits.isfinite().all()


def test_recomputed_activations_know_their_own_rows():
    padded = made("Bert", "ForSequenceClassification")
    packed = copy.deepcopy(padded)
    pack_rows(packed)
    packed.gradient_checkpointing_enable()
    compare(padded, packed, batch("ForSequenceClassification", left=False))


def test_generation_goes_the_padded_way():
    padded = made("GPT2", "LMHeadModel").eval()
    packed = copy.deepcopy(padded)
    pack_rows(packed)
    given = batch("LMHeadModel", left=True)
    asked = {"input_ids": given["input_ids"], "attention_mask": given["attention_mask"]}
    one, other = (model.generate(**asked, max_new_tokens=5, do_sample=False) for model in (padded, packed))
    assert torch.equal(one, other)


@pytest.mark.parametrize("config", [hf.T5Config(d_model=16, num_layers=1, d_kv=8, d_ff=16, num_heads=2, vocab_size=50)])
def test_a_family_that_cannot_is_one_line(config):
    with pytest.raises(ExpError, match="batching=packed: a t5 cannot read rows end to end; families that can: bert"):
        pack_rows(hf.T5ForConditionalGeneration(config))


def test_deberta_cannot():
    config = hf.DebertaV2Config(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    with pytest.raises(ExpError, match="a deberta-v2 cannot"):
        pack_rows(hf.DebertaV2ForSequenceClassification(config))

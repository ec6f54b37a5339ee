from __future__ import annotations

import torch
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

from exp.loop.flops import FlopCount

WIDTH, LAYERS = 16, 2
CONFIG = BertConfig(
    vocab_size=50, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=2, intermediate_size=32
)


def weights(model, embedded=False):
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    return sum(p.numel() for p in model.parameters() if embedded or id(p) not in tables)


def test_all_weights_trained():
    model = BertForSequenceClassification(CONFIG)
    found = FlopCount.of(model)
    assert found.per_token == 6 * weights(model)
    assert found.per_pair == 12 * LAYERS * WIDTH


def test_a_frozen_encoder_has_no_backward_pass():
    model = BertForSequenceClassification(CONFIG)
    for parameter in model.bert.parameters():
        parameter.requires_grad = False
    head = weights(model.classifier)
    found = FlopCount.of(model)
    assert found.per_token == 2 * weights(model) + 4 * head
    assert 4 * LAYERS * WIDTH <= found.per_pair < 4.2 * LAYERS * WIDTH


def test_lora_has_gradients_of_activations_but_not_of_frozen_weights():
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        BertForSequenceClassification(CONFIG), LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"])
    )
    every, trained = weights(model), sum(p.numel() for p in model.parameters() if p.requires_grad)
    found = FlopCount.of(model).per_token
    assert 0.9 * (4 * every + 2 * trained) < found < 4 * every + 2 * trained < 6 * every


def test_a_tied_output_layer_costs_what_it_computes():
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=WIDTH, n_layer=LAYERS, n_head=2, n_positions=32))
    assert FlopCount.of(model).per_token == 6 * (weights(model) + 50 * WIDTH)

from __future__ import annotations

import inspect
import io
import sys

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification
from transformers.optimization import Adafactor

from exp.config.targets import make as make_node
from exp.errors import ExpError
from exp.optim.torch_classes import _UNFIT, OPTIMIZERS, ByNameOptimizer, _classes, arguments
from tests.optim.test_options import make

NAMES = ("adamw", "adam", "sgd", "adafactor", "adamw_8bit", "muon", "outside", "schedule_free")


def tiny():
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertForSequenceClassification(BertConfig(vocab_size=80, max_position_embeddings=16, **shape)).eval()


def losses(model, optimizer, steps=5):
    torch.manual_seed(1)
    ids, labels = torch.randint(0, 80, (steps, 4, 8)), torch.randint(0, 2, (steps, 4))
    seen = []
    for step in range(steps):
        loss = model(input_ids=ids[step], labels=labels[step]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append(loss.item())
    return seen


def two_groups(model, weight_decay):
    decaying = optimizers_decays(model)
    named = list(model.named_parameters())
    return [
        {"params": [p for n, p in named if n in decaying], "weight_decay": weight_decay},
        {"params": [p for n, p in named if n not in decaying], "weight_decay": 0.0},
    ]


def optimizers_decays(model):
    from transformers import Trainer

    return set(Trainer.get_decay_parameter_names(None, model))


REFERENCES = {
    "adamw": (1e-3, lambda groups: torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, fused=True)),
    "adam": (1e-3, lambda groups: torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, fused=True)),
    "sgd": (1e-2, lambda groups: torch.optim.SGD(groups, lr=1e-2, momentum=0.9)),
    "adafactor": (1e-3, lambda groups: Adafactor(groups, lr=1e-3, scale_parameter=False, relative_step=False)),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_an_option_steps_as_its_reference(name):
    lr, reference = REFERENCES[name]
    ours, theirs = tiny(), tiny()
    seen = losses(ours, make("optimizer", name, lr=lr, weight_decay=0.1)(ours))
    expected = losses(theirs, reference(two_groups(theirs, 0.1)))
    assert seen == expected
    for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b), key


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_a_safe_load(name):
    model = tiny()
    optimizer = make("optimizer", name, lr=1e-3)(model)
    losses(model, optimizer, 2)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again = tiny()
    again.load_state_dict(saved["model"])
    resumed = make("optimizer", name, lr=1e-3)(again)
    resumed.load_state_dict(saved["optimizer"])
    assert losses(model, optimizer, 3) == losses(again, resumed, 3)


def test_8bit_state_is_8bit_and_near_the_32bit_result():
    ours, theirs = tiny(), tiny()
    optimizer = make("optimizer", "adamw_8bit", lr=1e-3)(ours)
    seen, expected = losses(ours, optimizer), losses(theirs, make("optimizer", "adamw", lr=1e-3)(theirs))
    assert seen == pytest.approx(expected, abs=0.02)
    dtype = {n: optimizer.state[p]["state1"].dtype for n, p in ours.named_parameters()}
    assert dtype["bert.encoder.layer.0.intermediate.dense.weight"] == torch.uint8
    assert dtype["bert.embeddings.word_embeddings.weight"] == torch.float32


def test_without_bias_correction_it_is_berts_adam():
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    model = torch.nn.Module()
    model.weight = p
    optimizer = make("optimizer", "adamw", lr=0.1, weight_decay=0.01, eps=1e-6, bias_correction=False)(model)
    w, m, v = p.detach().double(), 0.0, 0.0
    for step in range(4):
        g = torch.tensor([0.5, -1.0 + step])
        p.grad = g.clone()
        optimizer.step()
        m, v = 0.9 * m + 0.1 * g.double(), 0.999 * v + 0.001 * g.double() ** 2
        w = w - 0.1 * (m / (v.sqrt() + 1e-6) + 0.01 * w)
    assert torch.allclose(p.double(), w, atol=1e-6)
    # The first step shows the difference: (1 - beta1) / sqrt(1 - beta2) = 3.16 times as long as with correction.
    with_it = torch.nn.Parameter(torch.zeros(1))
    with_it.grad = torch.ones(1)
    other = torch.nn.Module()
    other.weight = with_it
    make("optimizer", "adamw", lr=0.1)(other).step()
    assert with_it.item() == pytest.approx(-0.1, rel=1e-4)


def test_decay_to_init_pulls_the_encoder_back_and_leaves_the_head():
    model = tiny()
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = make("optimizer", "sgd", lr=0.1, momentum=0.0, decay_to_init=0.5)(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
            p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in model.named_parameters():
        left = 1.0 if name.startswith("classifier") else 1.0 - 0.1 * 0.5
        assert torch.allclose(p - start[name], torch.full_like(p, left), atol=1e-5), name


def test_any_torch_optimizer_by_name_from_yaml_alone():
    common = {"lr": 1e-3, "weight_decay": 0.1, "layer_decay": 1.0, "decay_to_init": 0.0}
    ours, theirs = tiny(), tiny()
    made = ByNameOptimizer(name="RAdam", options={"betas": [0.9, 0.99]}, **common)(ours)
    assert losses(ours, made) == losses(theirs, torch.optim.RAdam(two_groups(theirs, 0.1), lr=1e-3, betas=(0.9, 0.99)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "RAdm"}, "did you mean .*RAdam"),
        ({"name": "LBFGS"}, "several times a step"),
        ({"name": "RAdam", "options": {"beta": [0.9, 0.99]}}, "options.beta: .*no such argument.*'betas'"),
        ({"name": "RAdam", "options": {"betas": [0.9, 1.5]}}, "betas=.*1.5 must be 0 or more and below 1"),
        ({"name": "NAdam", "options": {"momentum_decay": "x"}}, "momentum_decay='x' has the wrong type.*a number"),
        ({"name": "RMSprop", "options": {"centered": 1}}, "centered=1 has the wrong type.*true or false"),
        ({"name": "Rprop"}, "no weight decay"),
    ],
)
def test_by_name_refuses(options, message):
    with pytest.raises(ExpError, match=message):
        make("optimizer", "by_name", weight_decay=0.1, **options)


def test_torchs_own_class_as_a_target_is_the_option_by_name():
    node = {"_target_": "torch.optim.RAdam", "lr": 1e-3, "betas": [0.9, 0.99]}
    ours, theirs = tiny(), tiny()
    reference = torch.optim.RAdam(two_groups(theirs, 0.0), lr=1e-3, betas=(0.9, 0.99))
    assert losses(ours, make_node(node, "optimizer")(ours)) == losses(theirs, reference)
    with pytest.raises(ExpError, match=r"torch\.optim\.RAdam has no such argument"):
        make_node({**node, "beta": 1}, "optimizer")


@pytest.mark.parametrize("name", sorted(set(dict(_classes(OPTIMIZERS))) - set(_UNFIT)))
def test_arguments_read_off_the_source_are_torchs(name):
    read = arguments(OPTIMIZERS, name, "optimizer.name")
    real = inspect.signature(getattr(torch.optim, name)).parameters
    assert set(read) == set(real)
    assert {key for key, argument in read.items() if argument.needed} == {
        key for key, parameter in real.items() if parameter.default is parameter.empty
    }


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("adamw", {"lr": 0.0}, "optimizer.lr=0.0"),
        ("adamw", {"weight_decay": -0.1}, "weight_decay=-0.1"),
        ("adamw", {"layer_decay": 1.2}, "layer_decay=1.2"),
        ("adamw", {"betas": [0.9, 1.0]}, "betas"),
        ("adam", {"decay_to_init": -1.0}, "decay_to_init"),
        ("sgd", {"nesterov": True, "momentum": 0.0}, "momentum"),
    ],
)
def test_numbers_that_cannot_work_are_refused(name, changes, message):
    with pytest.raises(ExpError, match=message):
        make("optimizer", name, **changes)(torch.nn.Linear(2, 2))


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ExpError, match=r"exp\[bnb\]"):
        make("optimizer", "adamw_8bit")(tiny())

"""Fails in words when transformers changes a name that exp.compat.transformers uses."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel, Trainer
from transformers import initialization as init

from exp.compat import transformers as private
from exp.loop.hf_trainer import SharedTrainer


@pytest.fixture
def model() -> BertForSequenceClassification:
    return BertForSequenceClassification(
        BertConfig(vocab_size=16, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8)
    )


@pytest.mark.parametrize("name", private.TRAINER_OVERRIDES)
def test_trainer_still_has_what_we_override(name: str) -> None:
    assert hasattr(Trainer, name), f"transformers' Trainer has no {name} any more: nothing calls our override"
    assert name in vars(SharedTrainer), f"{name} is overridden no more: take it out of TRAINER_OVERRIDES"


def test_every_private_override_is_listed() -> None:
    found = {
        name
        for name, value in vars(SharedTrainer).items()
        if inspect.isfunction(value) and name.startswith("_") and not name.startswith("__")
    }
    assert found == set(private.TRAINER_OVERRIDES)


def test_the_attention_at_work_is_told(model: PreTrainedModel) -> None:
    assert hasattr(model.config, "_attn_implementation"), (
        "a transformers config has no _attn_implementation any more: speed=fast cannot see which attention runs"
    )
    for name in ("eager", "sdpa"):
        model.set_attn_implementation(name)
        assert private.attention_of(model.config) == name


def test_a_model_names_the_classes_that_it_wants_whole(model: PreTrainedModel) -> None:
    assert hasattr(PreTrainedModel, "_no_split_modules"), (
        "transformers' models have no _no_split_modules any more: distributed.wrap=transformer finds no units"
    )
    assert "BertLayer" in private.unsplit_classes(model)


def test_only_the_named_parameters_are_drawn(model: PreTrainedModel) -> None:
    assert hasattr(PreTrainedModel, "_init_weights"), (
        "transformers' models have no _init_weights any more: model.reinit_layers needs another way"
    )
    assert "_is_hf_initialized" in inspect.getsource(init), (
        "transformers' init functions ask for no _is_hf_initialized any more: reinit_layers would draw every weight"
    )
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(5)
    private.initialise(model, {"classifier.weight"})
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight"}


def test_a_model_that_was_quantised_is_saved_as_a_plain_one(model: PreTrainedModel, tmp_path: Path) -> None:
    source = inspect.getsource(PreTrainedModel.save_pretrained)
    assert "hf_quantizer" in source, "save_pretrained asks for no hf_quantizer any more: see forget_quantisation"
    model.hf_quantizer = object()
    model.is_quantized = model.is_loaded_in_4bit = True
    model.config.quantization_config = {"quant_method": "bitsandbytes"}
    private.forget_quantisation(model)
    model.save_pretrained(tmp_path)
    assert "quantization" not in (tmp_path / "config.json").read_text()


def test_an_auto_class_tells_which_configs_have_its_head() -> None:
    from transformers import AutoModel, AutoModelForCausalLM, BertConfig, GPT2Config, T5Config, ViTConfig

    from exp.compat.transformers import config_classes, model_class

    found = config_classes(AutoModelForCausalLM)
    why = "transformers' Auto classes have no _model_mapping of configs any more: find another way to name families"
    assert GPT2Config in found and BertConfig in found and T5Config not in found, why
    assert model_class(AutoModelForCausalLM, GPT2Config()).main_input_name == "input_ids"
    assert model_class(AutoModel, ViTConfig()).main_input_name == "pixel_values"


def test_a_generation_config_tells_whether_it_came_from_config_json() -> None:
    from transformers import GenerationConfig

    why = "transformers' GenerationConfig has no _from_model_config any more: see whether generate() keeps ours"
    assert hasattr(GenerationConfig(), "_from_model_config"), why


LIGHT = """
import sys

from exp.compat.transformers import import_light

import_light()
from transformers import get_scheduler
from transformers import BertConfig, BertForSequenceClassification
from transformers.loss.loss_for_object_detection import linear_sum_assignment
from transformers.trainer_utils import _is_peft_model

model = BertForSequenceClassification(
    BertConfig(vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
)
found = [name for name in sys.modules if name.partition(".")[0] in ("peft", "bitsandbytes", "scipy")]
assert not found, found
assert not _is_peft_model(model)
assert [list(places) for places in linear_sum_assignment([[1, 0], [0, 1]])] == [[0, 1], [1, 0]]
import peft
import scipy.stats

assert peft.__file__ and scipy.__file__ and scipy.stats.norm
assert not _is_peft_model(model)
assert _is_peft_model(peft.get_peft_model(model, peft.LoraConfig()))
"""


def test_libraries_that_few_runs_need_are_imported_by_those() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert not done.returncode, done.stderr

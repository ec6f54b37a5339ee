"""Families of images and sound: each trains in both loops alike, with LoRA, and loads again."""

from __future__ import annotations

import pytest
import torch
import transformers

from exp.errors import ExpError
from exp.loop.outputs import save_model
from exp.testing.loops import config_of, parts_of, run_loop
from tests.conformance.task_data import TASKS
from tests.conformance.test_loop_parity import same

SOUND = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (8, 8),
    "conv_stride": (20, 8),
    "conv_kernel": (40, 16),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 16,
    "mask_time_length": 2,
}
CONFIGS = {
    "vit": transformers.ViTConfig(
        image_size=32, patch_size=16, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    ),
    "swin": transformers.SwinConfig(
        image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4
    ),
    "resnet": transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"),
    "convnext": transformers.ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], image_size=32),
    "wav2vec2": transformers.Wav2Vec2Config(**SOUND),
    "hubert": transformers.HubertConfig(**SOUND),
    "audio-spectrogram-transformer": transformers.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_length=64,
        num_mel_bins=32,
    ),
}
IMAGES = ("vit", "swin", "resnet", "convnext")


def save(family: str, folder):
    """A checkpoint as the Hub has them: a bare encoder and its processor."""
    torch.manual_seed(0)
    transformers.AutoModel.from_config(CONFIGS[family]).save_pretrained(folder)
    if family == "convnext":
        transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32}).save_pretrained(folder)
    elif family in IMAGES:
        transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    elif family == "audio-spectrogram-transformer":
        transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64).save_pretrained(folder)
    else:
        transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Family -> the words of a run of two steps on its kind of data."""
    root = tmp_path_factory.mktemp("families")
    found = {}
    for task in ("image_classification", "audio_classification"):
        found[task] = [word for word in TASKS[task](root / task) if not word.startswith("model.")]
    few = ["data.max_train_samples=8", "data.max_eval_samples=4", "max_steps=2"]
    all_words = {}
    for family in CONFIGS:
        save(family, root / family)
        task = "image_classification" if family in IMAGES else "audio_classification"
        all_words[family] = [*found[task], *few, "model=pretrained", f"model.path={root / family}"]
    return all_words


@pytest.mark.parametrize("family", CONFIGS)
def test_both_loops_train_it_alike(family, words, tmp_path):
    found = [run_loop(tmp_path / loop, f"loop={loop}", *words[family]) for loop in ("accelerate", "trainer")]
    same(found[0][0], found[1][0])
    own, their = (parts.model.state_dict() for _, _, parts, _ in found)
    assert all(torch.equal(own[key], their[key]) for key in own)  # running means of BatchNorm too
    save_model(found[0][2], found[0][3], found[0][1])
    loaded = getattr(transformers, found[0][2].task.auto_class).from_pretrained(found[0][3].model_folder)
    assert all(torch.equal(value, own[key]) for key, value in loaded.state_dict().items())
    assert loaded.config.id2label == dict(enumerate(found[0][2].data.labels))


@pytest.mark.parametrize("family", CONFIGS)
def test_lora_trains_little_and_merges(family, words, tmp_path):
    _, result, parts, run = run_loop(tmp_path, *words[family], "adapter=lora")
    save_model(parts, run, result)
    trained = {name for name, value in parts.model.named_parameters() if value.requires_grad}
    assert any("lora_B" in name for name in trained) and any("classifier" in name for name in trained)
    assert not any(name.endswith(("q_proj.base_layer.weight", "convolution.base_layer.weight")) for name in trained)
    plain = getattr(transformers, parts.task.auto_class).from_pretrained(run.model_folder).eval()
    batch = parts.collator([parts.encoded.evals[""][row] for row in range(2)])
    parts.model.eval()
    with torch.no_grad():
        assert torch.allclose(plain(**batch).logits, parts.model(**batch).logits, atol=1e-5)


def test_a_family_of_another_kind_is_refused_with_those_that_fit(words):
    other = [word for word in words["vit"] if word.startswith("model")]
    with pytest.raises(ExpError, match=r"is a vit, which has no head for audio-classification; .*wav2vec2, hubert"):
        parts_of(config_of(*words["wav2vec2"], *other))
    with pytest.raises(
        ExpError, match=r"model=bert_tiny is a bert, which has no head for image-classification; .* vit"
    ):
        parts_of(config_of(*[word for word in words["vit"] if not word.startswith("model")], "model=bert_tiny"))


def test_the_waveforms_convolutions_are_frozen_where_a_checkpoint_brings_them(words):
    def trained(*more: str) -> bool:
        model = parts_of(config_of(*words["wav2vec2"], *more)).model
        return all(one.requires_grad for one in model.wav2vec2.feature_extractor.parameters())

    assert not trained() and trained("task.freeze_feature_encoder=false")


@pytest.mark.parametrize("family", ["swin", "wav2vec2"])
def test_checkpointing_changes_no_number(family, words, tmp_path):
    plain, _, _, _ = run_loop(tmp_path / "plain", *words[family])
    again, _, _, _ = run_loop(tmp_path / "again", *words[family], "gradient_checkpointing=true")
    same(plain, again)


def test_checkpointing_is_refused_where_transformers_has_none(words):
    with pytest.raises(ExpError, match="ResNetForImageClassification cannot recompute its activations"):
        parts_of(config_of(*words["resnet"], "gradient_checkpointing=true"))

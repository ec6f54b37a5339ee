"""Every family of transformers that has a head for one label a text, made tiny from its own config class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ("<pad>", "<unk>", "<s>", "</s>", "<mask>", *(f"w{number}" for number in range(60)))
# What configs call their sizes; each config takes those that it has.
SIZES: dict[str, int] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_head", "n_heads", "num_key_value_heads"), 2),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads", "num_decoder_layers"), 2),
    **dict.fromkeys(("intermediate_size", "moe_intermediate_size", "shared_expert_intermediate_size"), 32),
    **dict.fromkeys(("d_inner", "d_ff", "n_inner", "hidden_dim", "dff", "ffn_dim", "ffn_hidden_size"), 32),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "feed_forward_size"), 32),
    **dict.fromkeys(("head_dim", "d_kv", "d_head", "attention_head_size"), 16),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 40),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "type_vocab_size"), 2),
}
_LATENT = {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16, "kv_lora_rank": 16, "q_lora_rank": 16}
_EXPERTS = {"n_group": 1, "topk_group": 1, "n_shared_experts": 1}
_LINEAR = {"linear_key_head_dim": 16, "linear_value_head_dim": 16, "linear_num_key_heads": 2}
_SCALED_ROPE = {
    **{"rope_type": "default", "rope_theta": 1e4},
    **{"original_max_position_embeddings": 40, "llama_4_scaling_beta": 0.1},
}
_HYBRID = {**_LINEAR, "linear_num_value_heads": 2, "layer_types": ["linear_attention", "full_attention"]}
# What a family needs besides, or takes by another rule. None: its config takes no such size.
ALSO: dict[str, dict[str, Any]] = {
    "axk1": {**_LATENT, **_EXPERTS, "head_dim": 8},
    "axk2": {**_LATENT, **_EXPERTS, "head_dim": 8, "index_head_dim": 16, "index_n_heads": 2},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}},
    "deepseek_v2": {**_LATENT, **_EXPERTS, "head_dim": 8},
    "deepseek_v3": {**_LATENT, **_EXPERTS, "head_dim": 8},
    "falcon": {"head_dim": None},
    "funnel": {"num_hidden_layers": None, "num_layers": None, "block_sizes": [1, 1], "block_repeats": [1, 1]},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_dt_rank": 4, "use_mamba_kernels": False},
    "longformer": {"attention_window": 8},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 8},
    "minicpm3": _LATENT,
    "mistral4": {**_LATENT, **_EXPERTS, "head_dim": 8, "rope_parameters": _SCALED_ROPE},
    "mobilebert": {"true_hidden_size": 32, "intra_bottleneck_size": 32},
    "qwen3_5_text": _HYBRID,
    "qwen3_next": _HYBRID,
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "roc_bert": {"shape_vocab_size": 10, "pronunciation_vocab_size": 10},
    "squeezebert": {f"{name}_groups": 1 for name in ("q", "k", "v", "post_attention", "intermediate", "output")},
    "t5": {"decoder_start_token_id": 0},
    "umt5": {"decoder_start_token_id": 0},
    "mt5": {"decoder_start_token_id": 0},
    "xlnet": {"max_position_embeddings": None},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
}


def config_of(family: str, **ids: int) -> Any:
    """The family's config with two layers of width 32.

    Args:
        family: transformers' name, `model_type`.
        ids: Token ids, e.g. pad_token_id.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = CONFIG_MAPPING[family]
    there = kind()
    sizes = {name: size for name, size in SIZES.items() if hasattr(there, name)} | ALSO.get(family, {})
    sizes = {name: size for name, size in sizes.items() if size is not None}
    return kind(**{"vocab_size": len(WORDS), "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0, **ids, **sizes})


def tokenizer(*, pad: str | None = "<pad>", special: bool = True, side: str = "right") -> Any:
    """One word a token: `w0` to `w59`, between <s> and </s> where `special`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    if special:
        names |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
        ends = [(word, WORDS.index(word)) for word in ("<s>", "</s>")]
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=ends
        )
    if pad is not None:
        names["pad_token"] = pad
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, padding_side=side, model_input_names=["input_ids", "attention_mask"], **names
    )


def write(family: str, folder: Path, made: Any, **ids: int) -> Path:
    """A folder as `save_pretrained` leaves it: a bare model of the family with the tokenizer `made`."""
    import torch
    from transformers import MODEL_MAPPING

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = config_of(family, **ids)
        kind = MODEL_MAPPING[type(config)]
        (kind[0] if isinstance(kind, tuple) else kind)(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder

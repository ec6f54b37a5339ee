"""Names of transformers that are not public. tests/compat/test_transformers.py notices a change."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# Private methods of Trainer that exp.loop.hf_trainer.SharedTrainer overrides; the reasons stand there.
TRAINER_OVERRIDES = (
    "_build_accelerator_args",
    "_clip_grad_norm",
    "_get_grad_norm",
    "_load_from_checkpoint",
    "_load_optimizer_and_scheduler",
    "_load_rng_state",
    "_load_scaler",
)

# Methods of PreTrainedModel that a model of one's own overrides, as transformers' documentation has it.
MODEL_OVERRIDES = ("_init_weights",)


class _StandIn(type):
    """A class or function of a library that is not imported: a call imports it, and nothing is an instance before."""

    def __instancecheck__(cls, value: Any) -> bool:
        library = sys.modules.get(cls.__module__)
        return library is not None and isinstance(value, getattr(library, cls.__name__))

    def __call__(cls, *words: Any, **more: Any) -> Any:
        return getattr(importlib.import_module(cls.__module__), cls.__name__)(*words, **more)


# A module of transformers that imports a library whole for the sake of some names; those names.
STAND_INS = (
    ("transformers.loss.loss_utils", "scipy.optimize", ("linear_sum_assignment",)),  # all models' losses
    ("transformers.trainer_utils", "peft", ("PeftModel", "PeftMixedModel")),  # which schedules import
)


def import_light() -> None:
    """Imports transformers' losses and schedules without scipy and peft, which take a third of a start's seconds.

    While they are imported, stand-ins are in the libraries' places; see `_StandIn`. Before it Accelerate is imported,
    so that it finds the libraries themselves.
    """
    import accelerate  # noqa: F401
    from transformers.utils import is_peft_available, is_scipy_available

    for has in (is_scipy_available, is_peft_available):
        has()  # it looks for the library once, and would not find a stand-in
    for module, library, names in STAND_INS:
        package = library.partition(".")[0]
        if module in sys.modules or package in sys.modules:
            continue
        for name in (package, library):
            sys.modules[name] = stand_in = ModuleType(name)
            stand_in.__spec__ = ModuleSpec(name, None)
            vars(stand_in).update({of: _StandIn(of, (), {"__module__": library}) for of in names})
        try:
            importlib.import_module(module)
        except Exception:  # it asks for more of the library; who needs the module imports it as it is
            pass
        finally:
            for name in {package, library}:
                del sys.modules[name]


def attention_of(config: PretrainedConfig) -> str | None:
    """The attention implementation at work: sdpa, eager. `set_attn_implementation` is public, reading it is not."""
    return config._attn_implementation


def unsplit_classes(model: PreTrainedModel) -> list[str]:
    """Names of the classes whose modules `model` does not want cut: the natural units of FSDP."""
    return list(model._no_split_modules or ())


def initialise(model: PreTrainedModel, names: Collection[str]) -> None:
    """Draws the named parameters and buffers from the current torch RNG, by the model's own initialisation.

    The public `init_weights` draws everything, which would use more random numbers.
    """
    import torch

    # transformers' init functions leave a tensor alone that carries this flag.
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        tensor._is_hf_initialized = name not in names
    with torch.no_grad():
        # Parents after children: some architectures (ModernBERT) set a child's scale from its parent.
        for module in reversed(list(model.modules())):
            model._init_weights(module)


def is_initialised(tensor: Any) -> bool:
    """Whether transformers' loading has filled it: a model's own `_init_weights` leaves it alone then."""
    return getattr(tensor, "_is_hf_initialized", False)


def forget_quantisation(model: Any) -> None:
    """Removes what `save_pretrained` reads as "still quantised", from a model whose layers are plain again.

    transformers has only `dequantize`, which unpacks the layers itself and knows nothing of LoRA updates.
    """
    for key in ("hf_quantizer", "quantization_method"):
        if hasattr(model, key):
            delattr(model, key)
    model.is_loaded_in_4bit = False
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def config_classes(auto_class: Any) -> Mapping[type, Any]:
    """The configs whose models have the head of an Auto class. Public mappings have other names for each head.

    Whether a class is in it is known by names; going over all of them imports every family, which takes a second.
    """
    found: Mapping[type, Any] = auto_class._model_mapping
    return found


def model_class(auto_class: Any, config: Any) -> Any:
    """What an Auto class makes of a config. A few configs have several; the first is the plain one."""
    found = auto_class._model_mapping[type(config)]
    return found[0] if isinstance(found, tuple | list) else found


def keep_generation_config(config: Any) -> None:
    """Else generate() takes it for one that was made from config.json, and may make it anew."""
    config._from_model_config = False


def padding_of(generation_config: Any) -> Any:
    """The token that fills finished rows, as `generate` has prepared it: a tensor without dimensions, or None."""
    return generation_config._pad_token_tensor


def rust_half(tokenizer: Any) -> Any:
    """The tokenizers.Tokenizer that makes all tokens of `tokenizer`; None where a class of its own has a hand in it."""
    from transformers import TokenizersBackend

    own = isinstance(tokenizer, TokenizersBackend) and all(
        getattr(type(tokenizer), name) is getattr(TokenizersBackend, name) for name in ("__call__", "_encode_plus")
    )
    return tokenizer.backend_tokenizer if own else None

"""A pretrained model with the head that the task asks for, from the Hub or a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Lt

from exp.errors import ExpError
from exp.model.drawn import drawn_parameters, mark_drawn, output_layer, redraw_top
from exp.model.family import check_family
from exp.model.generation import set_generation
from exp.model.labels import named_labels, set_labels
from exp.model.output_layer import fit_output_layer
from exp.model.padding import longest_input, set_padding, share_padding, warn_of_leaks
from exp.model.processors import load_processor
from exp.model.source import hub_errors, locate
from exp.run.files import user_path
from exp.task.tokens import without_length_options

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from exp.data.examples import TaskData
    from exp.task.base import Head

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pretrained:
    """A model option that loads weights. Raises ExpError for numbers that cannot work."""

    path: str
    revision: str | None
    dropout: Annotated[float, Ge(0), Lt(1)] | None
    reinit_layers: Annotated[int, Ge(0)]
    mixout: Annotated[float, Ge(0), Lt(1)]
    attn_implementation: str | None

    def __post_init__(self) -> None:
        """Looks at names of files only; an id on the Hub is looked up when the model is loaded."""
        if not self.path.strip():
            raise ExpError("model.path is empty; give a folder that save_pretrained wrote, or an id on the Hub")
        if user_path(self.path).exists():
            locate(self.path, None)

    def processor(self, data: TaskData, head: Head) -> Any:
        """The checkpoint's own; of a tokenizer without the truncation and padding that some files bake in.

        Raises ExpError when it cannot be had, when `task.max_length` is more than the model can read, and for a family
        of models that has no such head.
        """
        path = locate(self.path, head.processor)
        config = self._config(head)
        self.check_head(config, head)
        with hub_errors(self.path, self.revision):
            found = load_processor(head, path, revision=self.revision)
        return self._tokenizer(found, config, head) if head.processor == "tokenizer" else found

    def _tokenizer(self, tokenizer: Any, config: PreTrainedConfig, head: Head) -> PreTrainedTokenizerBase:
        if not tokenizer.is_fast and head.drawn:
            raise ExpError(f"model.path={self.path} has no fast tokenizer (tokenizer.json); exp needs one")
        # sentence-transformers' MiniLM pads and cuts everything to 128 tokens.
        without_length_options(tokenizer)
        for key in ("max_length", "pad_to_multiple_of", "stride", "truncation_strategy", "pad_token_type_id"):
            tokenizer.init_kwargs.pop(key, None)
        set_padding(tokenizer, config, head, f"model.path={self.path}")
        limit = longest_input(config)
        if limit is not None:
            for key, length in (head.lengths or {"max_length": head.max_length}).items():
                if length > limit:
                    raise ExpError(f"task.{key}={length}: {self.path} reads at most {limit} tokens")
            tokenizer.model_max_length = min(tokenizer.model_max_length, limit)
        return tokenizer

    def model(self, head: Head, processor: Any, **load: Any) -> PreTrainedModel:
        """With the head that the task asks for, in fp32. What the checkpoint lacks is drawn from the current torch RNG.

        A head with the data's label names is kept, its rows put into the data's order; any other is drawn anew.
        Raises ExpError when the weights do not fit the config.
        """
        import torch

        if "quantization_config" in load and (self.reinit_layers or self.mixout):
            raise ExpError(
                "model.reinit_layers and model.mixout need trained weights; adapter=qlora freezes and packs them"
            )
        path = locate(self.path, head.processor)
        config = self._config(head)
        old_names = named_labels(config)
        old_count, old_classes = config.num_labels, config.architectures or []
        set_labels(config, head)
        if head.processor == "tokenizer":
            share_padding(config, processor)
            warn_of_leaks(config, f"model.path={self.path}")
        if self.dropout is not None:
            _set_dropout(config, self.dropout)
        if self.attn_implementation is not None:
            load = {**load, "attn_implementation": self.attn_implementation}
        with _quiet_loading(), hub_errors(self.path, self.revision):
            model, info = self.model_class(config, head).from_pretrained(
                path,
                revision=self.revision,
                config=config,
                dtype=torch.float32,  # the default, "auto", would train a bf16 checkpoint in bf16
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # another number of labels; anything else is refused below
                output_loading_info=True,
                **load,
            )
        missing, mismatched = set(info["missing_keys"]), {key[0] for key in info["mismatched_keys"]}
        name = output_layer(model)[0] if head.drawn else None
        self._check_fit(model, name, missing, mismatched)
        absent = missing | mismatched
        mark_drawn(model, absent & {key for key, _ in model.named_parameters()})
        if name is not None:
            fit_output_layer(model, head, absent, old_names, old_count, old_classes)
        set_generation(model, head, processor)
        if self.reinit_layers:
            names = redraw_top(model, self.reinit_layers)
            log.info("drawn anew: pooler and last %d layers (%d tensors)", self.reinit_layers, len(names))
        if self.mixout:
            from exp.model.mixout import add_mixout

            count = add_mixout(model, self.mixout, drawn_parameters(model))
            log.info("mixout %g on %d linear layers", self.mixout, count)
        return model

    def check_head(self, config: PreTrainedConfig, head: Head) -> None:
        """Raises ExpError for a family of models that has no such head."""
        check_family(config, head, f"model.path={self.path}")

    def model_class(self, config: PreTrainedConfig, head: Head) -> Any:
        """What has the head, and `from_pretrained`."""
        import transformers

        return getattr(transformers, head.auto_class)

    def _config(self, head: Head) -> PreTrainedConfig:
        from transformers import AutoConfig

        path = locate(self.path, head.processor)
        with hub_errors(self.path, self.revision):
            return AutoConfig.from_pretrained(path, revision=self.revision, trust_remote_code=False)

    def _check_fit(self, model: PreTrainedModel, head: str | None, missing: set[str], mismatched: set[str]) -> None:
        """`head`: the layer that may be missing; None: every weight belongs to the checkpoint."""
        strange = sorted(name for name in mismatched if head is None or not name.startswith(f"{head}."))
        if strange:
            raise ExpError(f"model.path={self.path}: weights and config.json differ in shape: {', '.join(strange[:3])}")
        prefix = "" if head is None else model.base_model_prefix + "."
        encoder = [name for name, _ in model.named_parameters() if name.startswith(prefix)]
        lacking = sorted(name for name in missing if name.startswith(prefix) and "pooler" not in name)
        if len(lacking) > len(encoder) / 2:
            raise ExpError(
                f"model.path={self.path}: {len(lacking)} of {len(encoder)} pretrained weights are not in the checkpoint"
                f" ({', '.join(lacking[:3])}, ...); it is not a {type(model).__name__}"
            )
        if lacking:
            log.warning("not in the checkpoint, drawn at random: %s", ", ".join(lacking))


def _set_dropout(config: PreTrainedConfig, rate: float) -> None:
    """Every rate of the config, by whatever name the architecture has for it."""
    for key, value in config.to_dict().items():
        if "dropout" in key and (value is None or isinstance(value, float | int)) and not isinstance(value, bool):
            setattr(config, key, rate)


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """transformers prints a table about every missing head, and more; `model` says what matters in one line."""
    from transformers.utils import logging as hf_logging

    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()

"""Techniques that make a step faster, each a setting of its own; what does not fit machine or model is left out."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger("exp")


@dataclass(frozen=True)
class Speed:
    compile: bool | str  # true | false | auto: on CUDA alone
    pad_to_multiple_of: int | None  # tokens
    pooled_dropout: bool
    # The defaults are how runs were made whose saved config is older than the option.
    first_token_only: bool = False
    keep_embedding_gradients: bool = False
    keep_freed_memory: bool = False
    onednn_linear: bool | str = False  # true | false | auto: where MKL leaves half of the processor idle

    def apply(self, model: PreTrainedModel, device: str, precision: str, seed: int) -> None:
        """Changes `model` in place. `precision` is Accelerate's word for what it is trained in.

        `seed` fills the pool, so that a resumed run cuts from the same one.
        """
        if self.pooled_dropout:
            if device == "cpu":
                from exp.loop.dropout import pool_dropout

                pool_dropout(model, seed)
            else:
                log.info("speed: pooled_dropout left out, a GPU draws its masks fast")
        if self.first_token_only:
            from exp.loop.firsttoken import first_token_only

            if not first_token_only(model):
                log.info("speed: first_token_only left out, %s may read other tokens", type(model).__name__)
        compiled = False
        if self.compile is True or (self.compile == "auto" and device == "cuda"):
            if device == "cpu" and shutil.which("g++") is None:
                log.info("speed: compile left out, it needs a C++ compiler (g++) on a CPU")
            else:
                model.compile(dynamic=True)
                compiled = True
        if self.keep_embedding_gradients and device == "cpu":  # a GPU's allocator keeps the memory anyway
            from exp.loop.embedding import keep_embedding_gradients

            keep_embedding_gradients(model)
        if self.keep_freed_memory and device == "cpu":
            from exp.loop.memory import keep_freed_memory

            keep_freed_memory()
        if self.onednn_linear and device == "cpu" and precision == "no" and not compiled:
            from exp.loop.linear import mkl_lags, onednn_linear

            if self.onednn_linear is True or mkl_lags():
                onednn_linear(model)
                log.info("speed: oneDNN computes fp32 products")

"""Techniques that make a step faster, each a setting of its own; what does not fit machine or model is left out."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from exp.loss.base import TrainingLoss

log = logging.getLogger("exp")


@dataclass(frozen=True)
class Speed:
    compile: bool | Literal["auto"]  # auto: on CUDA alone
    pad_to_multiple_of: (
        Annotated[int, Ge(1)] | Literal["auto", "kernels"] | None
    )  # tokens; kernels: 8 where each length costs a kernel; auto, as older configs have it: 8 on a GPU, else none
    pooled_dropout: bool
    keep_memory: bool = False
    # The defaults are how runs were made whose saved config is older than the option.
    first_token_only: bool = False
    keep_embedding_gradients: bool = False
    onednn_linear: bool | Literal["auto"] = False  # auto: where MKL leaves half of the processor idle
    cuda_graphs: bool = False
    fused_gelu: bool = False

    def pads_to(self, device: str, precision: str) -> int | None:
        """`precision` is Accelerate's word for what is computed in: on a CPU oneDNN keeps a kernel for each length, and
        MKL, which computes fp32 elsewhere, keeps none."""
        if self.pad_to_multiple_of == "kernels":
            mkl = device == "cpu" and precision == "no" and not self._asks_onednn(device, precision)
            return None if mkl and not self._compiles(device) else 8
        if self.pad_to_multiple_of == "auto":
            return 8 if device == "cuda" else None
        assert not isinstance(self.pad_to_multiple_of, str), self.pad_to_multiple_of
        return self.pad_to_multiple_of

    def apply(self, model: PreTrainedModel, device: str, precision: str, seed: int, *, packed: bool) -> None:
        """Changes `model` in place. `precision` is Accelerate's word for what it is trained in.

        `seed` fills the pool, so that a resumed run cuts from the same one. `packed`: rows are laid end to end.
        """
        if self.pooled_dropout:
            if device == "cpu":
                from exp.speed.dropout import pool_dropout

                pool_dropout(model, seed)
            else:
                log.info("speed: pooled_dropout left out, a GPU draws its masks fast")
        self.kernels(model, device, precision, packed=packed)
        if packed and self._compiles(device):
            log.info("speed: compile left out, every batch of packed rows has a shape of its own")
        elif self._compiles(device):
            model.compile(dynamic=True)
        elif self.compile is True:
            log.info("speed: compile left out, it needs a C++ compiler (g++) on a CPU")
        if device != "cpu":
            return  # a GPU's allocator keeps the memory anyway
        if self.keep_embedding_gradients:
            from exp.speed.embedding import keep_embedding_gradients

            keep_embedding_gradients(model)
        if self.keep_memory:
            from exp.speed.memory import keep_freed_memory

            if not keep_freed_memory():
                log.info("speed: keep_memory left out, it needs glibc")

    def recorded(
        self, loss: TrainingLoss, device: str, *, packed: bool, processes: int, accumulates: bool
    ) -> TrainingLoss:
        """`loss` as graphs of CUDA, where that can be."""
        if not self.cuda_graphs or self._compiles(device):
            return loss
        if device != "cuda":
            log.info("speed: cuda_graphs left out, they need a CUDA GPU")
        elif packed:
            log.info("speed: cuda_graphs left out, every batch of packed rows has a shape of its own")
        elif processes > 1:
            log.info("speed: cuda_graphs left out, gradients meet those of other processes during the backward pass")
        else:
            from exp.speed.graphs import GraphedLoss

            return GraphedLoss(loss, accumulates)
        return loss

    def kernels(self, model: PreTrainedModel, device: str, precision: str, *, packed: bool) -> None:
        """What an evaluation of the saved model needs as well, to give the training's numbers to the last bit."""
        if device == "cpu":
            from exp.speed.memory import align

            align(model)
        if self.first_token_only:
            from exp.speed.first_token import first_token_only

            if not first_token_only(model):
                log.info("speed: first_token_only left out, %s may read other tokens", type(model).__name__)
        if self.fused_gelu:
            from exp.speed.activations import fused_gelu

            fused_gelu(model)
        if packed:
            from exp.speed.packing import pack_rows

            pack_rows(model)
        if self._asks_onednn(device, precision):
            from exp.speed.linear import onednn_linear

            onednn_linear(model)
            log.info("speed: oneDNN computes fp32 products")

    def _asks_onednn(self, device: str, precision: str) -> bool:
        """Whether oneDNN computes fp32 products in place of MKL."""
        if not self.onednn_linear or device != "cpu" or precision != "no" or self._compiles(device):
            return False
        from exp.speed.linear import mkl_lags

        return self.onednn_linear is True or mkl_lags()

    def _compiles(self, device: str) -> bool:
        if device == "cpu":
            return self.compile is True and shutil.which("g++") is not None
        return self.compile is True or (self.compile == "auto" and device == "cuda")

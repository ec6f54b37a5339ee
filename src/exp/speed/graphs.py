"""CUDA graphs: a step's forward pass is one launch, its backward pass another, for each shape of batch.

Small models leave a GPU waiting for its launches: some thousand a step, ten microseconds each. A graph records them
once and replays them together, the same kernels on the same memory (torch.cuda.graph).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.func import functional_call

if TYPE_CHECKING:
    from exp.loss.base import TrainingLoss

log = logging.getLogger("exp")

WARMUPS = 3  # torch's own number, for the first graph: what a kernel sets up at its first call may not stand in a graph
ALIGNED = 128  # elements; a gradient begins at a multiple, as if it had been allocated alone


@dataclass
class GraphedLoss:
    """A training loss that is replayed. What cannot be recorded runs as before, and is said once.

    Call it as the loss itself: (model, batch) gives a scalar. The batch may hold tensors alone.
    """

    plain: TrainingLoss
    accumulates: bool  # a step has several micro-batches
    graphs: dict[Any, _Graph] = field(default_factory=dict)
    gradients: _Gradients | None = None
    given_up: bool = False

    def __call__(self, model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        if self.given_up:
            return self.plain(model, batch)
        parameters = list(model.parameters())
        # A graph reads weights where they lay when it was recorded.
        places = tuple((one.data_ptr(), one.requires_grad) for one in parameters)
        key = (*((name, one.shape, one.dtype) for name, one in batch.items()), places)
        graph = self.graphs.get(key)
        if graph is None:
            trained = [one for one in parameters if one.requires_grad]
            try:
                if self.gradients is None or not self.gradients.fits(trained):
                    self.gradients = _Gradients(trained, kept=self.accumulates)
                    self.graphs.clear()
                warmups = 1 if self.graphs else WARMUPS
                graph = self.graphs[key] = _Graph(self.plain, model, batch, trained, self.gradients, warmups)
            except (RuntimeError, _HostDraws) as error:
                self.given_up = True
                log.info("speed: cuda_graphs left out, %s", _cause(error))
                return self.plain(model, batch)
        return _Replay.apply(graph, list(batch.values()), *graph.trained)  # type: ignore[no-untyped-call, no-any-return]


class _HostDraws(Exception):
    pass


def _cause(error: BaseException) -> str:
    """The first line of the first error: the end of a recording that failed has one of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).splitlines()[0]


class _Gradients:
    """One stretch of memory for the gradients of all graphs: only one step is at work at a time."""

    def __init__(self, trained: list[torch.nn.Parameter], *, kept: bool) -> None:
        self.kept = kept  # while the next micro-batch is computed
        self.sizes = [-(-one.numel() // ALIGNED) * ALIGNED for one in trained]
        self.shapes = [one.shape for one in trained]
        if len({one.dtype for one in trained}) > 1:
            raise RuntimeError("trained weights are of several types")
        self.pool = torch.cuda.graph_pool_handle()  # of all graphs: what one computes is read before the next one runs
        self.whole = trained[0].new_zeros(sum(self.sizes))
        self.views = self.parts(self.whole)

    def fits(self, trained: list[torch.nn.Parameter]) -> bool:
        return self.shapes == [one.shape for one in trained]

    def parts(self, whole: torch.Tensor) -> list[torch.Tensor]:
        pieces = whole.split(self.sizes)
        return [piece[: shape.numel()].view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


class _Graph:
    def __init__(
        self,
        plain: TrainingLoss,
        model: Any,
        batch: Mapping[str, torch.Tensor],
        trained: list[torch.nn.Parameter],
        gradients: _Gradients,
        warmups: int,
    ) -> None:
        self.trained, self.gradients = trained, gradients
        self.inputs = [one.clone() for one in batch.values()]
        fixed = dict(zip(batch, self.inputs, strict=True))
        loss = _Loss(plain, model)
        # Weights by other names: a node that gathers gradients stays on the stream where its tensor was first used.
        weights = {name: one.detach().requires_grad_(one.requires_grad) for name, one in loss.named_parameters()}
        leaves = [one for one in weights.values() if one.requires_grad]
        with _unchanged(model):
            apart = torch.cuda.Stream()
            apart.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(apart):
                for _ in range(warmups):
                    torch.autograd.grad(functional_call(loss, weights, (fixed,)), leaves, allow_unused=True)
            torch.cuda.current_stream().wait_stream(apart)
            self.ahead, self.back = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.ahead, pool=gradients.pool):
                self.loss = functional_call(loss, weights, (fixed,))
            self.slope = torch.ones_like(self.loss)
            with torch.cuda.graph(self.back, pool=gradients.pool):
                found = torch.autograd.grad(self.loss, leaves, self.slope, allow_unused=True)
                for view, one in zip(gradients.views, found, strict=True):
                    if one is not None:
                        view.copy_(one)
        self.used = [one is not None for one in found]
        self.loss = self.loss.detach()


class _Loss(torch.nn.Module):
    def __init__(self, plain: TrainingLoss, model: Any) -> None:
        super().__init__()
        self.plain, self.model = plain, model

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.plain(self.model, batch)


@contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Recording leaves random states and buffers as they were.

    Raises _HostDraws where a random number came from the processor: a replay would draw it never again.
    """
    on_gpu, on_host = torch.cuda.get_rng_state(), torch.get_rng_state()
    elsewhere: Any = (random.getstate(), np.random.get_state())
    buffers = [(one, one.clone()) for one in model.buffers()]
    try:
        yield
        drawn = not torch.equal(torch.get_rng_state(), on_host) or random.getstate() != elsewhere[0]
        numbers: Any = np.random.get_state()
        if drawn or not np.array_equal(numbers[1], elsewhere[1][1]):
            raise _HostDraws("the model draws random numbers on the processor")
    except RuntimeError:
        # A recording that failed leaves its generator recording: another state takes its place.
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        generator.graphsafe_set_state(torch.Generator(generator.device).graphsafe_get_state())
        raise
    finally:
        torch.cuda.set_rng_state(on_gpu)
        torch.set_rng_state(on_host)
        random.setstate(elsewhere[0])
        np.random.set_state(elsewhere[1])
        for one, before in buffers:
            one.copy_(before)


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: _Graph, batch: list[torch.Tensor], *trained: torch.Tensor) -> torch.Tensor:
        for fixed, given in zip(graph.inputs, batch, strict=True):
            fixed.copy_(given, non_blocking=True)
        graph.ahead.replay()
        ctx.graph = graph
        return graph.loss.clone()

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        graph: _Graph = ctx.graph
        graph.slope.copy_(slope)
        graph.back.replay()
        gradients = graph.gradients
        # Without a copy they are this memory itself, which nothing writes to before the update.
        parts = gradients.parts(gradients.whole.clone()) if gradients.kept else gradients.views
        return (None, None, *(part.detach() if used else None for part, used in zip(parts, graph.used, strict=True)))

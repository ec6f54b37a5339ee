"""Where the milliseconds of a training step go, against what the machine's matrix rate and memory bandwidth allow.

python -m benchmarks.anatomy --glue <GLUE's MRPC>            # MiniLM; --model bert_base, bert_tiny
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import profile

from benchmarks.contenders import PLAIN, config_of, parts_of
from benchmarks.harness import report
from benchmarks.step_time import words_of
from exp.loop.base import Parts
from exp.loop.batching import EpochBatches
from exp.speed.linear import product

CASES = {"tutorial": ["optimizer.fused=false", *PLAIN], "speed=exact": [], "speed=fast": ["speed=fast"]}
KINDS = {  # torch's operations by what they are for
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkldnn::_linear_pointwise"),
    "drawing dropout masks": ("aten::bernoulli_",),
    "casts and copies": ("aten::copy_",),
    "zeroing": ("aten::fill_", "aten::zero_"),
}


def rate(dtype: torch.dtype, device: str, size: int = 1024) -> float:
    """FLOP a second of a square matrix product, by the fastest library at hand."""
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    ways = [lambda: one @ other]
    if device == "cpu":
        ways.append(lambda: product(one, other))
    return 2 * size**3 / min(fastest(way, 20) for way in ways)


def bandwidth(device: str, count: int = 30_000_000) -> float:
    """Bytes a second, reading and writing, of a copy that fits no cache."""
    one, other = torch.zeros(count, device=device), torch.ones(count, device=device)
    return 2 * 4 * count / fastest(lambda: one.copy_(other), 10)


def fastest(work: Callable[[], object], times: int) -> float:
    """Seconds."""
    found = []
    for _ in range(times):
        wait()
        begun = time.perf_counter()
        work()
        wait()
        found.append(time.perf_counter() - begun)
    return min(found)


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def dissect(parts: Parts, device: str, steps: int) -> tuple[dict[str, float], dict[str, float], float]:
    """Milliseconds a step by phase, and by kind of operation; and tokens a step, padding included."""
    model = parts.model.to(device).train()
    optimizer = parts.optimizer(model)
    size, seed = parts.settings.per_device_train_batch_size, parts.settings.data_seed
    batches = list(EpochBatches(parts.encoded.train.lengths, size, seed, parts.settings.batching))[: 2 * steps + 5]
    phases: dict[str, list[float]] = {name: [] for name in ("data", "forward", "backward", "optimizer", "zero_grad")}
    tokens: list[int] = []

    def autocast() -> contextlib.AbstractContextManager[object]:
        if parts.mixed_precision == "bf16":
            return torch.autocast(device, torch.bfloat16)
        return contextlib.nullcontext()

    def step(chosen: list[int]) -> None:
        moments = [time.perf_counter()]

        def done() -> None:
            wait()
            moments.append(time.perf_counter())

        batch = parts.collator([parts.encoded.train[i] for i in chosen])
        batch = {key: value.to(device) for key, value in batch.items()}
        done()
        with autocast():
            loss = model(**batch).loss
        done()
        loss.backward()
        done()
        optimizer.step()
        done()
        optimizer.zero_grad()
        done()
        tokens.append(batch["input_ids"].numel())
        for name, begun, ended in zip(phases, moments, moments[1:], strict=False):
            phases[name].append(1000 * (ended - begun))

    for chosen in batches[: steps + 5]:
        step(chosen)
    seen = statistics.median(tokens[5:])
    by_phase = {name: statistics.median(values[5:]) for name, values in phases.items()}
    with profile() as profiler:
        for chosen in batches[steps + 5 :]:
            step(chosen)
    own = {event.key: event.self_cpu_time_total / 1000 / steps for event in profiler.key_averages()}
    by_kind = {name: sum(own.get(key, 0.0) for key in keys) for name, keys in KINDS.items()}
    by_kind["AdamW"] = sum(value for key, value in own.items() if "adamw" in key.lower() and "zero_grad" not in key)
    by_kind["everything else"] = sum(own.values()) - sum(by_kind.values())
    return by_phase, by_kind, seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    asked = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rates = {"no": rate(torch.float32, device), "bf16": rate(torch.bfloat16, device)}
    bytes_a_second = bandwidth(device)
    lines = [
        f"matrix products: fp32 {rates['no'] / 1e12:.3f} TFLOP/s, bf16 {rates['bf16'] / 1e12:.3f} TFLOP/s; "
        f"copies: {bytes_a_second / 1e9:.1f} GB/s",
        "",
    ]
    data: dict[str, object] = {"rates": rates, "bandwidth": bytes_a_second}
    phases: dict[str, dict[str, float]] = {}
    kinds: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        words = words_of(asked.model, asked.glue, asked.batch, Path(folder))
        for name, more in CASES.items():
            parts = parts_of(config_of([*words, *more]))
            by_phase, kinds[name], tokens = dissect(parts, device, asked.steps)
            trained = sum(p.numel() for p in parts.model.parameters() if p.requires_grad)
            # 6 FLOPs a token and parameter (Kaplan et al. 2020, section 2.1). AdamW reads weight, gradient and two
            # moments and writes all but the gradient: seven passes over four bytes a parameter.
            products = 1000 * 6 * tokens * parts.model.num_parameters(exclude_embeddings=True)
            floor = products / rates[parts.mixed_precision] + 1000 * 7 * 4 * trained / bytes_a_second
            whole = sum(by_phase.values())
            phases[name] = {**by_phase, "whole": whole, "floor": floor, "whole / floor": whole / floor}
    for title, table in (("ms a step", phases), ("ms a step, by operation (profiled)", kinds)):
        columns = list(next(iter(table.values())))
        lines += [f"| {title} | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
        for name, row in table.items():
            lines.append(f"| {name} | {' | '.join(f'{row[column]:.1f}' for column in columns)} |")
        lines.append("")
    report("anatomy", lines, {**data, "phases": phases, "kinds": kinds})


if __name__ == "__main__":
    main()

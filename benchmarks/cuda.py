"""What `python -m benchmarks.step_time --cuda` does: the same contenders on a GPU, and whether both loops agree there.

Models are shapes with random weights and a vocabulary counted from the data, so that nothing is downloaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import report, show
from benchmarks.turns import waves

LOOPS = ["tutorial", "loop=accelerate", "loop=trainer", "speed=fast", "fast without graphs", "exact with graphs"]
MORE, COMPILED = ["Trainer", "fast, packed"], ["with compile"]  # compiling takes a minute
PACKED, GRAPHS = ["batching=packed", "max_tokens=120"], ["speed.cuda_graphs=true"]
DECODER = ["tutorial", "loop=accelerate", "speed=fast", "fast without graphs"]
SHAPES = {  # layers, width, heads, width between
    "bert_tiny": (2, 128, 2, 512),
    "minilm": (6, 384, 12, 1536),
    "bert_base": (12, 768, 12, 3072),
}
RECIPE = ["max_grad_norm=0", "optimizer=adamw", "scheduler=linear", "scheduler.warmup_ratio=0", "optimizer.lr=5e-5"]


def words_of(model: str, batch: int, glue: Path | None) -> list[str]:
    words = [*RECIPE, f"per_device_train_batch_size={batch}", "num_train_epochs=100"]
    if model == "decoder_0.1b":  # GPT-2's shape in Llama's form; every block is full
        shape = ["num_hidden_layers=12", "hidden_size=768", "num_attention_heads=12", "num_key_value_heads=12"]
        shape += ["intermediate_size=2048", "vocab_size=32000"]
        return [*words, "data=markov_text", "model=llama_tiny", *(f"model.{one}" for one in shape)]
    layers, width, heads, between = SHAPES[model]
    words += ["model=bert_tiny", f"model.num_hidden_layers={layers}", f"model.hidden_size={width}"]
    words += [f"model.num_attention_heads={heads}", f"model.intermediate_size={between}", "model.vocab_size=30522"]
    return [*words, "data=mrpc", f"data.path={glue}"] if glue else [*words, "data=reviews"]


def cases(glue: Path | None) -> list[tuple[str, int, Sequence[str]]]:
    """Model, batch, contenders; the first is the base of the ratios."""
    encoders = [
        (
            model,
            batch,
            LOOPS + (MORE if model == "minilm" else []) + (COMPILED if (model, batch) == ("minilm", 8) else []),
        )
        for model in reversed(SHAPES)
        for batch in (8, 32)
    ]
    return [*encoders, ("decoder_0.1b", 8, DECODER)]


def parity() -> list[str]:
    """Both loops in fp32 with deterministic kernels, and with speed=fast."""
    lines = ["### The loops on this GPU", "", "| recipe | steps | events | the same bit for bit | largest difference |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, words in {"fp32": [], "packed": PACKED, "fp32 with graphs": GRAPHS, "speed=fast": ["speed=fast"]}.items():
        with TemporaryDirectory() as folder:
            from exp.testing.loops import run_loop

            runs = [run_loop(Path(folder) / loop, f"loop={loop}", *words)[0] for loop in ("accelerate", "trainer")]
        pairs = list(zip(runs[0].events, runs[1].events, strict=True))
        assert all(one[:2] == other[:2] for one, other in pairs)
        worst = max(abs(one[2] - other[2]) for one, other in pairs)
        steps = max(step for step, _, _ in runs[0].events)
        lines.append(f"| {name} | {steps} | {len(pairs)} | {'yes' if worst == 0 else 'no'} | {worst:.2g} |")
    return [*lines, ""]


def fill(glue: Path | None, chunk: int, rounds: int, models: Sequence[str] | None) -> None:
    import torch

    if not torch.cuda.is_available():
        raise SystemExit(f"--cuda: torch {torch.__version__} sees no GPU here")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    environment = {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # cuBLAS is deterministic with it alone
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.cuda"], capture_output=True, text=True, env=environment
    )
    lines = [told.stdout if told.returncode == 0 else f"parity failed: {told.stderr[-2000:]}"]
    print(lines[0], flush=True)
    data: dict[str, object] = {"card": torch.cuda.get_device_name()}
    asked = [case for case in cases(glue) if not models or case[0] in models]
    measured = waves([(names, words_of(model, batch, glue)) for model, batch, names in asked], chunk, rounds, 4)
    for (model, batch, _), (seconds, peaks) in zip(asked, measured, strict=False):
        if "tutorial" not in seconds:
            continue
        speeds = {name: [batch * chunk / value for value in values] for name, values in seconds.items()}
        title = f"{model}, batch {batch}, {rounds} turns of {chunk} steps"
        table = show(title, speeds, "samples/s", "tutorial")
        memory = ", ".join(f"{name} {peak / 1e6:.0f}" for name, peak in peaks.items())
        table += [f"Peak memory, MB: {memory}", ""]
        print("\n".join(table), flush=True)
        lines += table
        data[f"{model}, batch {batch}"] = {"samples_per_second": speeds, "peak_bytes": peaks}
        report("step_time_cuda", lines, data, quiet=True)
    report("step_time_cuda", lines, data)


if __name__ == "__main__":
    import torch

    torch.use_deterministic_algorithms(True)
    print("\n".join(parity()))

"""The inputs on which transformers tests its own example scripts: each task reads them as they are and trains."""

from __future__ import annotations

import math

import pytest

from exp.testing.loops import run_loop

DECODER = ("model=llama_tiny", "model.hidden_size=32")
CASES = {
    "conll": ("token_classification", "conll/sample.json", ["task.tokens_column=words", "task.tags_column=ner"]),
    "swag": ("data=swag", "swag/sample.json", []),
    "squad": ("question_answering", "SQUAD/sample.json", ["data.records_key=data"]),
    "squad-nested": ("question_answering", "SQUAD/dev-v2.0-small.json", []),
    "xsum": ("summarization", "xsum/sample.json", ["task.max_source_length=64", "task.max_target_length=8"]),
    "wmt16": (
        "translation",
        "wmt16/sample.json",
        ["task.translation_column=translation", "task.source_lang=en", "task.target_lang=ro", "task.max_new_tokens=8"],
    ),
    "sft_chat": ("causal_lm", "sft_chat/chat.jsonl", ["task.messages_column=messages", "task.max_new_tokens=4"]),
    "texts": ("masked_lm", "xsum/sample.json", ["task.text_column=document", "task.block_size=64"]),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_read_and_trained_on(case, shared_data, tmp_path):
    task, file, words = CASES[case]
    file = shared_data / "fixtures" / "transformers" / file
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    named = [task] if task.startswith("data=") else ["data=files", f"task={task}"]
    files = [f"data.train_file={file}", f"data.validation_file={file}"]
    model = DECODER if task == "causal_lm" else ()
    recorder, result, parts, _ = run_loop(
        tmp_path, *named, *files, *words, *model, "max_steps=2", "data.max_eval_samples=8"
    )
    assert result.status == "completed" and len(recorder.of("train/loss")) == 2
    assert all(math.isfinite(value) for _, key, value in recorder.events if key in ("train/loss", "eval/loss"))
    assert {f"eval/{name}" for name in parts.reading.names} <= {key for _, key, _ in recorder.events}

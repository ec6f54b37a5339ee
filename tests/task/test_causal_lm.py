from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from exp.errors import ExpError
from exp.testing.loops import config_of, parts_of, plain_evaluation
from tests.conformance.task_data import causal_lm, causal_lm_chats
from tests.finished_runs import train

FAMILIES = {
    "GPT2Config": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "LlamaConfig": {},
    "Qwen2Config": {},
    "Qwen3Config": {"head_dim": 16},
    "MistralConfig": {},
    "GemmaConfig": {"head_dim": 16},
    "GPTNeoXConfig": {},
    "OPTConfig": {"ffn_dim": 64, "word_embed_proj_dim": 32},
}
SHAPE = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    **{f"{name}_token_id": 0 for name in ("pad", "bos", "eos")},
}


def tiny(name: str, auto: str = "AutoModelForCausalLM") -> torch.nn.Module:
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(transformers, name)(**{**SHAPE, **FAMILIES.get(name, {})})
        model = getattr(transformers, auto).from_config(config)
    model.config.use_cache = False
    return model


# ---- what a model has to be able to do ----


@pytest.mark.parametrize("name", FAMILIES)
def test_decoders_read_from_left_to_right(name):
    from exp.task.causal_check import check_causal

    check_causal(tiny(name))


def test_a_model_that_sees_what_it_should_predict_is_refused():
    from exp.task.causal_check import check_causal

    with pytest.raises(ExpError, match=r"bert sees the tokens that it should predict; take a model that reads"):
        check_causal(tiny("BertConfig"))


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"OPTConfig"}))
def test_packed_texts_do_not_see_each_other(name):
    from exp.task.causal_check import check_packing

    check_packing(tiny(name))


def test_a_model_that_mixes_packed_texts_is_refused():
    from exp.task.causal_check import check_packing

    model = tiny("LlamaConfig")
    model.config.use_cache = True  # transformers then takes the rows for one text
    with pytest.raises(ExpError, match=r"task.packing=true: llama does not keep packed texts apart"):
        check_packing(model)


def test_the_checks_draw_nothing_from_the_generator():
    from exp.task.causal_check import check_causal, check_packing

    model = tiny("LlamaConfig").train()
    before = torch.get_rng_state()
    check_causal(model)
    check_packing(model)
    assert torch.equal(before, torch.get_rng_state()) and model.training


# ---- what is measured ----


@pytest.mark.parametrize("packing", [True, False])
def test_the_table_has_what_each_document_costs_alone(packing, tmp_path):
    """Packed: exactly as if every document were a row of its own. In blocks: all documents as one text."""
    words = [*causal_lm(tmp_path), "task.samples=0", f"task.packing={str(packing).lower()}", "task.block_size=64"]
    parts = parts_of(config_of(*words, "model=llama_tiny"))
    examples, tokenizer = parts.data.evals[""], parts.processor
    texts = [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in examples.inputs["text"]]
    plain = plain_evaluation(parts)
    if packing:
        alone = [_nll(parts.model, [tokenizer.bos_token_id, *ids]) for ids in texts]
        tokens = sum(map(len, texts))
        assert plain["eval/loss"] == pytest.approx(sum(alone) / tokens, rel=1e-5)
    table = _table(parts)
    assert [row["tokens"] for row in table] == [len(ids) for ids in texts]
    assert [row["bytes"] for row in table] == [len(text.encode()) for text in examples.inputs["text"]]
    assert [row["words"] for row in table] == [len(text.split()) for text in examples.inputs["text"]]
    if packing:
        assert [row["nll"] for row in table] == pytest.approx(alone, rel=1e-5)


def test_lines_of_one_text_are_measured_with_their_line_breaks(tmp_path):
    (tmp_path / "a.txt").write_text("one two\n\nthree é\n" * 20, encoding="utf-8")
    words = ["data=files", f"data.train_file={tmp_path / 'a.txt'}", "data.format=text", "task=causal_lm"]
    parts = parts_of(config_of(*words, "model=gpt2_tiny", "data.max_train_samples=null", "data.max_eval_samples=null"))
    assert parts.data.facts["between_rows"] == "line_break"
    train, evaluation = (split.inputs["text"] for split in (parts.data.train, parts.data.evals[""]))
    assert train + evaluation == ["one two", "", "three é"] * 20  # held out from the end, not here and there
    rows = parts.encoded.train
    stream = [*rows[0]["input_ids"]] + [token for i in range(1, len(rows)) for token in rows[i]["input_ids"][1:]]
    assert parts.processor.decode(stream[1:]) == "".join(f"{text}\n" for text in train)
    sizes = {row["text"]: row["bytes"] for row in _table(parts)}
    assert sizes == {"one two": 8, "": 1, "three é": 9}


def test_only_answers_of_chats_are_learned(tmp_path):
    parts = parts_of(config_of(*causal_lm_chats(tmp_path), "task.block_size=200"))
    row, chat = parts.encoded.train[0], parts.data.train.inputs["messages"][0]
    learned = parts.processor.decode([one for one in row["labels"] if one >= 0])
    end = parts.processor.eos_token
    assert learned.replace("\n", "") == "".join(
        f" {message['content']}{end}" for message in chat if message["role"] == "assistant"
    )


def test_a_batch_counts_the_tokens_that_the_model_predicts(tmp_path):
    parts = parts_of(config_of(*causal_lm_chats(tmp_path)))
    batch = parts.collator([parts.encoded.train[i] for i in range(4)])
    one = parts.model(**batch).loss
    logits, labels = parts.model(**batch).logits[:, :-1], batch["labels"][:, 1:]
    total = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    assert one.item() == pytest.approx(total.item() / parts.task.units(batch), rel=1e-6)


@pytest.mark.parametrize("model", ["gpt2_tiny", "llama_tiny"])
def test_lora_trains_its_own_weights_alone_and_merges(model, tmp_path):
    """GPT-2's layers are no torch.nn.Linear, and the output layer shares the embedding's weight."""
    parts = parts_of(config_of(*causal_lm(tmp_path), f"model={model}", "adapter=lora"))
    trained = [name for name, value in parts.model.named_parameters() if value.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    with torch.no_grad():
        for name, value in parts.model.named_parameters():
            if "lora_B" in name:
                value.fill_(0.01)
    batch = parts.collator([parts.encoded.train[0]])
    merged = parts.adapter.merge(parts.model.eval())  # without the dropout of LoRA
    assert torch.allclose(merged(**batch).logits, parts.model(**batch).logits, atol=1e-4)
    assert merged.get_output_embeddings().weight is merged.get_input_embeddings().weight


# ---- truncation ----


def _long(tmp_path: Path, *rows: tuple[str, str]) -> list[str]:
    chats = [{"prompt": f"say {i}", "completion": f"said {i}"} for i in range(12)]
    chats += [{"prompt": prompt, "completion": completion} for prompt, completion in rows]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, chats)))
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, chats[:3])))
    files = [f"data.train_file={tmp_path / 't.jsonl'}", f"data.validation_file={tmp_path / 'd.jsonl'}"]
    columns = ["task.prompt_column=prompt", "task.completion_column=completion", "model.tokenizer=characters"]
    return ["data=files", *files, "task=causal_lm", *columns, "model=gpt2_tiny", "task.block_size=40"]


def test_a_chat_that_is_too_long_is_named(tmp_path):
    words = _long(tmp_path, ("x" * 50, "y"))
    with pytest.raises(ExpError, match=r"t, row 13 \(id 12\) has 7\d tokens, more than task.block_size=40: raise it"):
        parts_of(config_of(*words))


def test_a_chat_without_an_answer_left_is_left_out_and_said(tmp_path, caplog):
    words = _long(tmp_path, ("x" * 50, "y"))
    kept = parts_of(config_of(*words, "task.truncation=right")).encoded.train
    assert len(kept) == 12
    assert "1 of 13 chats keep no answer within task.block_size=40 tokens and are left out" in caplog.text
    ends = parts_of(config_of(*words, "task.truncation=left")).encoded.train
    assert len(ends) == 13 and len(ends[12]["input_ids"]) == 40


def test_no_answer_left_at_all_is_refused(tmp_path):
    words = _long(tmp_path)
    with pytest.raises(ExpError, match=r"12 of 12 chats keep no answer .* and no other is left: raise task.block_size"):
        parts_of(config_of(*words, "task.truncation=right", "task.block_size=8"))


def test_what_is_cut_is_not_counted(tmp_path):
    """The bytes of a whole answer would make the part that is left look easy."""
    words = _long(tmp_path, ("a", "b" * 100))
    parts = parts_of(config_of(*words, "task.truncation=right"))
    kept = parts.encoded.train.kept["bytes"]
    assert kept[0].tolist() == [6] and 0 < kept[12][0] < 40


# ---- a finished run ----


@pytest.fixture(scope="module")
def text_run(tmp_path_factory) -> Path:
    return _trained(tmp_path_factory.mktemp("text"), causal_lm)


@pytest.fixture(scope="module")
def chat_run(tmp_path_factory) -> Path:
    return _trained(tmp_path_factory.mktemp("chats"), causal_lm_chats)


def _trained(folder: Path, words) -> Path:
    done = train(folder / "run", *words(folder), "max_steps=2", "data.max_eval_samples=6", "task.max_new_tokens=5")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_the_first_rows_are_continued_and_the_others_are_not(text_run, chat_run):
    import pyarrow.parquet as pq

    for run in (text_run, chat_run):
        rows = pq.read_table(run / "predictions" / "eval.parquet").to_pylist()
        assert [row["generated"] is not None for row in rows] == [True] * 3 + [False] * 3
    assert rows[0]["prompt"].endswith("Assistant:")  # up to the answer, in the words of the template


def test_the_pipeline_loads_the_model_and_continues_as_the_run_did(text_run, chat_run):
    import pyarrow.parquet as pq
    from transformers import pipeline

    for run in (text_run, chat_run):
        write = pipeline("text-generation", model=str(run / "model"))
        assert write.model.generation_config.max_new_tokens == 5 and write.model.generation_config.use_cache
        row = pq.read_table(run / "predictions" / "eval.parquet").to_pylist()[0]
        if run == chat_run:
            question = row["messages"][:-1]
            assert write(question)[0]["generated_text"][-1]["content"] == row["generated"]
        else:
            begin = write.tokenizer.bos_token
            assert (
                write(begin + row["prompt"])[0]["generated_text"].removeprefix(begin)
                == row["prompt"] + row["generated"]
            )


def test_a_file_gets_perplexities(text_run, tmp_path, capsys):
    import csv
    import math

    from exp import predict as entry

    (tmp_path / "new.txt").write_text("red cat\nblue dog house\n", encoding="utf-8")
    entry.predict([str(text_run)], {"file": str(tmp_path / "new.txt"), "out": str(tmp_path / "said.csv")})
    rows = list(csv.DictReader((tmp_path / "said.csv").open(newline="", encoding="utf-8")))
    assert [row["text"] for row in rows] == ["red cat", "blue dog house"]
    for row in rows:
        assert float(row["perplexity"]) == pytest.approx(math.exp(float(row["nll"]) / int(row["tokens"])))
    told = capsys.readouterr().out
    assert "perplexity" in told and "bits_per_byte" in told


def test_questions_without_answers_are_answered(chat_run, tmp_path):
    import pyarrow.parquet as pq

    from exp import predict as entry

    row = {"messages": [{"role": "user", "content": "red cat"}]}
    (tmp_path / "new.jsonl").write_text("\n".join([json.dumps(row)] * 5))
    entry.predict([str(chat_run)], {"file": str(tmp_path / "new.jsonl"), "out": str(tmp_path / "said.parquet")})
    table = pq.read_table(tmp_path / "said.parquet")
    assert table["nll"].null_count == 5 and table["generated"].null_count == 0
    assert len(set(table["generated"].to_pylist())) == 1


def test_what_is_typed_is_gone_on_with(text_run, chat_run, capsys):
    from exp import predict as entry
    from exp.saved import finished

    for run, column in ((text_run, "text"), (chat_run, "messages")):
        found = finished.find(str(run))
        typed = iter(["red cat"])

        def ask(prompt: str, typed=typed, column=column) -> str:
            assert prompt == f"{column}> "
            try:
                return next(typed)
            except StopIteration:
                raise EOFError from None

        entry.converse(found, finished.load_model(found), ask)
        assert len(capsys.readouterr().out.strip().splitlines()) >= 2


def _nll(model: torch.nn.Module, ids: list[int]) -> float:
    model.eval()
    row = torch.tensor([ids])
    with torch.no_grad():
        logits = model(input_ids=row).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum").item()


def _table(parts) -> list[dict]:
    from exp.loop.evaluation import Evaluator

    evaluator = Evaluator(
        parts.task, parts.reading, parts.processor, parts.collator, 4, torch.device("cpu"), parts.world
    )
    found, _ = evaluator.sets(parts.model, {"eval": (parts.encoded.evals[""], parts.data.evals[""])}, tune=True)
    return found["eval"].table.to_pylist()

"""Families of encoder-decoders: what they read, begin with, learn and generate."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import transformers

from exp.errors import ExpError
from exp.loop import outputs
from exp.task import greedy
from exp.testing.loops import config_of, parts_of, run_loop
from tests.tiny_seq2seq import KINDS, TEXTS, make_seq2seq

LANGUAGES = {
    "mbart": {"source": "en_XX", "target": "de_DE"},
    "mbart50": {"source": "en_XX", "target": "de_DE"},
    "nllb": {"source": "eng_Latn", "target": "deu_Latn"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Ten pairs; models beside them, made when asked for."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = [{"source": TEXTS[n % 2][: 9 + 2 * n], "target": TEXTS[2 + n % 2]} for n in range(10)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def words(place: Path, kind: str, *more: str) -> list[str]:
    if not (place / kind).exists():
        make_seq2seq(kind, place / kind)
    file = place / "pairs.jsonl"
    languages = [f"task.{side}_lang={code}" for side, code in LANGUAGES.get(kind, {}).items()]
    return [
        *("task=translation", "data=files", f"data.train_file={file}", f"data.validation_file={file}"),
        *("model=pretrained", f"model.path={place / kind}", "model.dropout=0", "task.max_source_length=32"),
        *("task.max_target_length=12", "per_device_train_batch_size=5", "num_train_epochs=1", *languages, *more),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_models_own(kind, place):
    """Of labels as the tokenizer writes targets, shifted by the model; padding counts for nothing."""
    parts = parts_of(config_of(*words(place, kind)))
    tokenizer = transformers.AutoTokenizer.from_pretrained(place / kind)
    if kind in LANGUAGES:
        tokenizer.src_lang, tokenizer.tgt_lang = LANGUAGES[kind].values()
    examples = parts.data.train
    expected = tokenizer(
        examples.inputs["source"],
        text_target=[target[0] for target in examples.targets],
        padding=True,
        truncation=True,
        max_length=12,
        return_tensors="pt",
    )
    sources = tokenizer(examples.inputs["source"], padding=True, return_tensors="pt")
    batch = parts.collator([parts.encoded.train[row] for row in range(10)])
    assert torch.equal(batch["input_ids"], sources["input_ids"])
    assert torch.equal(batch["attention_mask"], sources["attention_mask"])
    labels = expected["labels"].masked_fill(expected["labels"] == tokenizer.pad_token_id, -100)
    assert torch.equal(batch["labels"], labels)
    plain = transformers.AutoModelForSeq2SeqLM.from_pretrained(place / kind, dtype=torch.float32).eval()
    if kind == "nllb":  # M2M100 shifts in its forward only
        from transformers.models.m2m_100.modeling_m2m_100 import shift_tokens_right

        shifted = shift_tokens_right(labels, tokenizer.pad_token_id, tokenizer.eos_token_id)
    else:
        shifted = plain.prepare_decoder_input_ids_from_labels(labels)
    logits = plain(**sources, decoder_input_ids=shifted).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    parts.model.eval()
    assert parts.model(**batch).loss.item() == pytest.approx(loss.item(), abs=1e-5)
    assert parts.task.units(batch) == int((labels != -100).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_folder_generates_the_predictions(kind, place, tmp_path):
    """By transformers alone: beams and their like stand in generation_config.json, languages in the tokenizer."""
    beams = ["task.num_beams=3", "task.length_penalty=0.5", "task.no_repeat_ngram_size=2", "optimizer.lr=1e-2"]
    _, result, parts, run = run_loop(tmp_path / "run", *words(place, kind, *beams))
    outputs.save_model(parts, run, result)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(run.model_folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.model_folder)
    assert (model.generation_config.num_beams, model.generation_config.max_new_tokens) == (3, 12)
    table = pq.read_table(run.predictions / "eval.parquet").to_pylist()
    for row in table:  # one at a time: a batch changes nothing
        made = model.generate(**tokenizer(row["source"], return_tensors="pt"))
        assert tokenizer.decode(made[0], skip_special_tokens=True).strip() == row["prediction"]
        assert row["length"] <= 12
    if kind in LANGUAGES:
        assert LANGUAGES[kind]["target"] in tokenizer.convert_ids_to_tokens(made[0, :2].tolist())


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="generates on a GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NO_GPU)])
@pytest.mark.parametrize("kind", ["t5", "bart", "marian"])
def test_rows_that_have_ended_leave_the_batch_and_the_tokens_stay_the_same(kind, device, place):
    parts = parts_of(config_of(*words(place, kind, "task.no_repeat_ngram_size=2", "task.min_new_tokens=2")))
    model = parts.model.to(device).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():  # small ones say the same of every row
            weight.normal_(std=0.4)
    batch = parts.collator([parts.encoded.train[row] for row in range(10)])
    inputs = {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = model.config.vocab_size - 1
    rows = model.generate(**inputs)[:, 3:-2]
    first = {token: {row.tolist().index(token) for row in rows if token in row} for token in rows.unique().tolist()}
    model.generation_config.eos_token_id = max(first, key=lambda token: len(first[token]))  # rows end here and there
    expected = model.generate(**inputs)
    sizes = []
    forward = model.forward

    def seen(**given):
        sizes.append(len(given["decoder_input_ids"]))
        return forward(**given)

    model.forward = seen
    assert greedy.rows_may_leave(model) and greedy.generate(model, inputs).tolist() == expected.tolist()
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 10
    model.generation_config.num_beams = 2
    assert not greedy.rows_may_leave(model)


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("bart", ["task.max_source_length=100"], "task.max_source_length=100: .* reads at most 64 tokens"),
        ("bart", ["task.max_target_length=65"], "task.max_target_length=65: .* reads at most 64 tokens"),
        ("mbart", ["task.target_lang=de_D"], "task.target_lang=de_D: .* no such language; did you mean 'de_DE'"),
        ("nllb", ["task.source_lang=null"], "marks languages: set task.source_lang"),
        ("t5", ["task.num_beams=1", "task.length_penalty=2"], r"task.length_penalty=2.0 is for beams"),
        ("t5", ["task.length_penalty=2"], r"task.length_penalty=2.0 is for beams"),
        ("t5", ["task.num_beams=2", "task.early_stopping=true"], None),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(kind, more, message, place):
    if message is None:
        assert parts_of(config_of(*words(place, kind, *more))).model.generation_config.early_stopping is True
        return
    with pytest.raises(Exception, match=message) as caught:
        parts_of(config_of(*words(place, kind, *more)))
    assert "\n" not in str(caught.value).partition("full_key")[0].strip()


def test_a_language_without_its_country_is_found(place):
    parts = parts_of(config_of(*words(place, "mbart50", "task.source_lang=en", "task.target_lang=de")))
    assert (parts.processor.src_lang, parts.processor.tgt_lang) == ("en_XX", "de_DE")
    assert parts.model.generation_config.forced_bos_token_id == parts.processor.convert_tokens_to_ids("de_DE")


def test_a_model_that_is_no_encoder_decoder_is_refused(place, minilm):
    more = [f"model.path={minilm}"]
    with pytest.raises(
        ExpError, match="is a bert, which has no head for translation; families that have one: t5, bart"
    ):
        parts_of(config_of(*words(place, "t5", *more)))
    small = [word for word in words(place, "t5") if not word.startswith("model")]
    with pytest.raises(ExpError, match="model=bert_tiny is a bert"):
        parts_of(config_of(*small, "model=bert_tiny"))


def test_weights_that_are_not_there_are_no_new_head(place, tmp_path):
    """Only a task's own output layer may be missing from a checkpoint."""
    from safetensors.torch import load_file, save_file

    folder = make_seq2seq("bart", tmp_path / "half")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "decoder" not in name and "encoder.layers.1" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExpError, match="weights are not in the checkpoint"):
        parts_of(config_of(*words(place, "bart", f"model.path={folder}")))


def test_evaluations_in_a_training_may_leave_generation_out(place, tmp_path):
    more = ["task.generate_in_training=false", "num_train_epochs=3", "load_best_model_at_end=true"]
    recorder, result, _, run = run_loop(tmp_path / "run", *words(place, "t5", *more))
    assert [step for step, _ in recorder.of("eval/loss")] == [2, 4, 6]
    best = result.saved_step
    assert [step for step, _ in recorder.of("eval/bleu")] == ([6] if best == 6 else [6, best])
    assert result.objective["name"] == "eval/loss"
    assert pq.read_table(run.predictions / "eval.parquet").num_rows == 10
    with pytest.raises(ExpError, match="metric_for_best_model=bleu is computed by no evaluation here"):
        parts_of(config_of(*words(place, "t5", *more, "metric_for_best_model=bleu")))


def test_a_run_that_stops_early_generates_at_its_end(place, tmp_path):
    more = ["task.generate_in_training=false", "num_train_epochs=9", "early_stopping_patience=1", "optimizer.lr=0.5"]
    recorder, result, _, _ = run_loop(tmp_path / "run", *words(place, "t5", *more))
    assert result.stopped_early
    assert [step for step, _ in recorder.of("eval/bleu")] == [result.last["train/loss"]["step"]]


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_lora_is_trained_and_merged(kind, place, tmp_path):
    """peft's wrapper generates as the merged model does."""
    _, result, parts, run = run_loop(tmp_path / "run", *words(place, kind, "adapter=lora", "optimizer.lr=1e-2"))
    outputs.save_model(parts, run, result)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(run.model_folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.model_folder)
    for row in pq.read_table(run.predictions / "eval.parquet").to_pylist()[:3]:
        made = model.generate(**tokenizer(row["source"], return_tensors="pt"))
        assert tokenizer.decode(made[0], skip_special_tokens=True).strip() == row["prediction"]
    assert sum(p.requires_grad for p in parts.model.parameters()) < len(list(parts.model.parameters())) / 2


def test_an_unlabelled_file_gets_the_same_predictions(place, tmp_path):
    """Its decoder is run on an end token alone, which no prediction depends on."""
    from exp.data.rows import Rows
    from exp.loop.evaluation import Evaluator
    from exp.saved.finished import as_data

    _, _, parts, run = run_loop(tmp_path / "run", *words(place, "t5", "optimizer.lr=1e-2"))
    sources = parts.data.evals[""].inputs["source"]
    facts = outputs.data_facts(parts)
    rows = Rows(Path("new.jsonl"), {"source": sources}, list(range(1, 11)))
    examples = parts.task.examples(rows, facts, labelled=False)

    class Run:
        pass

    Run.facts = facts
    data = as_data(Run, examples, "new")
    encoded = parts.task.encode(data, parts.processor, tmp_path / "cache")
    evaluator = Evaluator(parts.task, parts.reading, parts.processor, parts.collator, 3, torch.device("cpu"))
    found, _ = evaluator.sets(parts.model, {"new": (encoded.train, examples)}, tune=False)
    assert found["new"].metrics == {}
    expected = pq.read_table(run.predictions / "eval.parquet")["prediction"].to_pylist()
    assert found["new"].table["prediction"].to_pylist() == expected


@pytest.mark.parametrize("speed", ["exact", "fast"])
def test_gradients_are_the_plain_models(speed, place):
    """Embeddings that encoder, decoder and output share keep one table for their gradient."""
    more = ["speed=" + speed, "precision=fp32", "speed.pooled_dropout=false"]
    parts = parts_of(config_of(*words(place, "t5", *more)))
    plain = transformers.AutoModelForSeq2SeqLM.from_pretrained(place / "t5", dtype=torch.float32)
    for model in (parts.model, plain):
        model.eval()
    for rows in ([0, 1, 2], [3, 4], [5, 6, 7, 8, 9]):
        batch = parts.collator([parts.encoded.train[row] for row in rows])
        for model in (parts.model, plain):
            model.zero_grad()
            model(**batch).loss.backward()
        for (name, one), other in zip(parts.model.named_parameters(), plain.parameters(), strict=True):
            assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6), name

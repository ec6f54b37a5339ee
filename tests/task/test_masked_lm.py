from __future__ import annotations

from pathlib import Path

import pytest

from exp.data.collate import IGNORED
from exp.errors import ExpError
from exp.task.masked_encoding import encoded_texts
from exp.testing.loops import config_of, parts_of
from tests.conformance.task_data import causal_lm, masked_lm
from tests.finished_runs import train
from tests.tiny_models import make_tiny, tiny_tokenizer

# Of tiny_models those whose folder has the head of a masked language model, or draws it.
FAMILIES = ("bert", "roberta", "electra", "deberta_v3", "modernbert", "distilbert")


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("line_by_line", ["true", "false"])
def test_every_family_of_encoders_is_masked(kind, line_by_line, tmp_path):
    make_tiny(kind, tmp_path / "model")
    words = [*masked_lm(tmp_path / "data"), "task.block_size=16", f"task.line_by_line={line_by_line}"]
    parts = parts_of(config_of(*words, "model=pretrained", f"model.path={tmp_path / 'model'}"))
    special = set(parts.processor.all_special_ids) - {parts.processor.unk_token_id}
    rows = [parts.encoded.train[i] for i in range(len(parts.encoded.train))]
    assert all(len(row["input_ids"]) <= 16 for row in rows)
    for row in rows:
        found = [label for label in row["labels"] if label != IGNORED]
        assert found and not special & set(found)
        assert row["labels"][0] == IGNORED and row["labels"][-1] == IGNORED
    batch = parts.collator(rows[:4])
    loss = parts.model(**batch).loss
    loss.backward()
    assert loss.isfinite() and parts.task.units(batch) == sum(
        label != IGNORED for row in rows[:4] for label in row["labels"]
    )


def test_blocks_hold_every_word_once(tmp_path):
    words = [*masked_lm(tmp_path), "data.max_train_samples=null"]
    parts = parts_of(config_of(*words, "task.block_size=16"))
    features = parts.encoded.train
    shown = [features.fields["input_ids"][row][1:-1].tolist() for row in range(len(features))]
    flat = [one for row in shown for one in row if one != parts.processor.sep_token_id]
    texts = parts.data.train.inputs["text"]
    expected = [one for text in texts for one in parts.processor(text, add_special_tokens=False)["input_ids"]]
    assert flat == expected


@pytest.mark.parametrize("together", [True, False])
def test_texts_without_a_token_are_refused(together):
    with pytest.raises(ExpError, match="none of 2 texts has a token for this tokenizer"):
        encoded_texts(tiny_tokenizer("bert"), [" ", "  "], 16, together)


def test_a_tokenizer_without_a_mask_token_is_refused(tmp_path):
    from exp.model.trained_tokenizer import trained_tokenizer

    words = [*masked_lm(tmp_path), "model=bert_tiny"]
    parts = parts_of(config_of(*words))
    with pytest.raises(ExpError, match=r"has no mask token; take an encoder .* or task=causal_lm"):
        parts.task.encode(parts.data, trained_tokenizer(parts.data.train, "bpe", 300, 64), tmp_path)


def test_a_decoder_has_no_such_head(tmp_path):
    with pytest.raises(ExpError, match=r"model=gpt2_tiny is a gpt2, which has no head for fill-mask"):
        parts_of(config_of(*masked_lm(tmp_path), "model=gpt2_tiny"))


def test_an_encoder_is_refused_where_the_next_token_is_predicted(tmp_path):
    words = [word for word in causal_lm(tmp_path) if not word.startswith("model=")]
    with pytest.raises(ExpError, match=r"bert sees the tokens that it should predict"):
        parts_of(config_of(*words, "model=bert_tiny", "task.block_size=16"))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("masked")
    done = train(folder / "run", *masked_lm(folder), "max_steps=2")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_the_pipeline_fills_gaps_as_the_run_does(run, capsys):
    from transformers import pipeline

    from exp import predict as entry
    from exp.saved import finished

    best = pipeline("fill-mask", model=str(run / "model"))("the [MASK] cat")[0]
    found = finished.find(str(run))
    typed = iter(["the [MASK] cat"])

    def ask(prompt: str) -> str:
        for text in typed:
            return text
        raise EOFError

    entry.converse(found, finished.load_model(found), ask)
    assert f"{best['token_str']} {best['score']:.3f}" in capsys.readouterr().out

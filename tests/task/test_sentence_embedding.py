"""Sentence embeddings: rows to pairs and triplets, the losses, vectors to ranks and cosines."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from exp.data.examples import Examples
from exp.errors import ExpError
from exp.loop.outputs import save_model
from exp.task.embedding_model import TextsCollator, cosine_loss, mean_pooled, prepare, ranking_loss, same_texts
from exp.task.embedding_reading import RankReading, SimilarityReading
from exp.task.sentence_embedding import METRICS
from exp.testing.loops import run_loop
from tests.conformance.task_data import sentence_embedding
from tests.reading import option, raw, rows


def task(**keys):
    return option("task", "sentence_embedding", **keys)


# ---- rows ----


def test_a_pair_with_a_score_knows_its_range():
    data = task(score_column="s").read(raw(rows(sentence1=["a", "b"], sentence2=["c", "d"], s=[1, 3.0])))
    assert data.train.targets == [1, 3] and data.facts["score_range"] == [1, 3]
    assert data.metrics == METRICS["similarity"]


def test_pairs_and_triplets_need_no_label():
    train = rows(anchor=["a", "b"], positive=["c", "d"], negative=["e", "f"])
    pairs, triplets = (
        task(text_columns=names).read(raw(train)) for names in (None, ["anchor", "positive", "negative"])
    )
    assert list(pairs.train.inputs) == ["anchor", "positive"] and pairs.metrics == METRICS["ranks"]
    assert len(triplets.train.inputs) == 3 and triplets.metrics == METRICS["triplets"]


@pytest.mark.parametrize(
    ("keys", "columns", "roles", "said"),
    [
        ({}, {"anchor": ["a", " "], "positive": ["b", "c"]}, {}, "line 2: column 'anchor' is empty"),
        ({}, {"anchor": ["a", None], "positive": ["b", "c"]}, {}, "line 2: column 'anchor' is missing"),
        ({}, {"text": ["a"]}, {"text_columns": ["text"]}, "two or three texts a row, and this data has text"),
        ({}, {}, {"text_columns": ["a", "b"], "label_names": ["no", "yes"]}, "have classes .no, yes."),
        ({"score_column": "s"}, {"s": ["x"]}, {}, "line 1: 'x' in column 's' is not a number"),
        ({"score_column": "s"}, {"s": [2]}, {}, "has one score only"),
        (
            {"score_column": "s", "score_range": [0, 1]},
            {"s": [2]},
            {},
            r"score 2 is outside of task.score_range=\[0, 1\]",
        ),
    ],
)
def test_rows_that_do_not_fit(keys, columns, roles, said):
    columns = {"sentence1": ["a"], "sentence2": ["b"], **columns}
    longest = max(map(len, columns.values()))
    columns = {name: (cells * longest)[:longest] for name, cells in columns.items()}
    with pytest.raises(ExpError, match=said):
        task(**keys).read(raw(rows(**columns), **roles))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"text_columns": ["a", "a"]}, "one column is named twice"),
        ({"text_columns": ["a", "b"], "score_column": "a"}, "one column is named twice"),
        ({"text_columns": ["a", "b", "c"], "score_column": "s"}, "names three"),
        ({"score_range": [1.0, 1.0]}, "the first number must be the lower one"),
        ({"text_columns": ["a"]}, "task.text_columns"),
        ({"scale": 0.0}, "task.scale"),
    ],
)
def test_keys_that_cannot_work(keys, said):
    with pytest.raises(ExpError, match=said):
        task(**keys)


# ---- the model ----


def unit(*rows_of_vectors):
    return torch.nn.functional.normalize(torch.tensor(rows_of_vectors, dtype=torch.float32), dim=-1)


def test_the_mean_is_over_a_texts_own_tokens():
    states, mask = torch.randn(2, 3, 4), torch.tensor([[1, 1, 1], [1, 1, 0]])
    found = mean_pooled(states, mask)
    assert torch.allclose(found[1], torch.nn.functional.normalize(states[1, :2].mean(0), dim=-1))
    assert torch.allclose(found.norm(dim=-1), torch.ones(2))


def test_the_ranking_loss_is_cross_entropy_over_the_candidates():
    vectors = torch.stack([unit([1, 0], [1, 1], [0, 1]), unit([0, 1], [1, 2], [1, 0])])  # rows, texts, width
    candidates = [vectors[0, 1], vectors[1, 1], vectors[0, 2], vectors[1, 2]]
    by_hand = []
    for row in range(2):
        logits = [math.exp(20 * float(vectors[row, 0] @ one)) for one in candidates]
        by_hand.append(-math.log(logits[row] / sum(logits)))
    same = torch.zeros(2, 4, dtype=torch.bool)
    assert ranking_loss(vectors, same, 20.0).item() == pytest.approx(sum(by_hand) / 2, rel=1e-5)
    same[0, 3] = True  # is no negative of row 0
    fewer = [math.exp(20 * float(vectors[0, 0] @ one)) for one in candidates[:3]]
    by_hand[0] = -math.log(fewer[0] / sum(fewer))
    assert ranking_loss(vectors, same, 20.0).item() == pytest.approx(sum(by_hand) / 2, rel=1e-5)


def test_a_text_is_no_negative_of_its_own_anchor():
    #       anchor  positive negative
    ids = [[[1, 0], [2, 0], [3, 0]], [[4, 0], [2, 0], [5, 0]], [[1, 0], [6, 0], [2, 0]]]
    same = same_texts(torch.tensor(ids))
    # Row 0: row 1 has the same positive, row 2 the same anchor, and row 2's negative is row 0's positive.
    assert same.tolist() == [
        [False, True, True, False, False, True],
        [True, False, False, False, False, True],
        [True, False, False, False, False, False],
    ]


def test_the_cosine_loss_is_the_mean_squared_error():
    vectors = torch.stack([unit([1, 0], [1, 0]), unit([1, 0], [0, 1])])
    assert cosine_loss(vectors, torch.tensor([0.5, 0.5])).item() == pytest.approx(0.25)


@pytest.fixture(scope="module")
def bert():
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return lambda: BertModel(BertConfig(vocab_size=20, **sizes)).eval()


def test_padding_changes_no_vector(bert):
    model = bert()
    prepare(model, 20.0)
    collate = TextsCollator({"input_ids": 0, "attention_mask": 0}, left=False, pad_to_multiple_of=None)
    one = {"input_ids": [5, 6, 7, 8, 9], "attention_mask": [1] * 5, "text_lengths": [3, 2]}
    long = {"input_ids": [5] * 12, "attention_mask": [1] * 12, "text_lengths": [4, 8]}
    alone, beside = (model(**collate(batch)).embeddings[0] for batch in ([one], [one, long]))
    assert torch.allclose(alone, beside, atol=1e-6)
    assert not any(one.requires_grad for one in model.pooler.parameters())


def test_an_encoder_decoder_is_refused():
    from transformers import T5Config, T5Model

    with pytest.raises(ExpError, match="a t5 is an encoder-decoder; take an encoder such as minilm_l6"):
        prepare(T5Model(T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1)), None)


def test_a_model_of_images_or_sound_is_refused():
    head = option("task", "sentence_embedding").head
    data = option("task", "sentence_embedding").read(raw(rows(anchor=["a", "b"], positive=["c", "d"])))
    for name, reads in (("vit_tiny", "images"), ("wav2vec2_tiny", "sound")):
        with pytest.raises(ExpError, match=f"model={name} is a .*, which reads {reads} and not texts"):
            option("model", name).processor(data, head(data))


def test_lora_trains_no_weight_of_a_bare_encoder(bert):
    model = option("adapter", "lora").apply(bert(), 10, "FEATURE_EXTRACTION")
    assert all("lora_" in name for name, one in model.named_parameters() if one.requires_grad)


# ---- readings ----


def table(anchors, positives, vectors, **keys):
    inputs = {"anchor": anchors, "positive": positives}
    examples = Examples(list(range(len(anchors))), inputs, [1] * len(anchors))
    reading = RankReading(METRICS["ranks"], tuple(inputs), 20.0, **{"keep_vectors": False, **keys})
    return reading, reading.decode({"vectors": [np.asarray(one, np.float32) for one in vectors]}, None, examples)


def test_ranks_are_among_all_texts_of_the_set():
    a, b, c = (1.0, 0.0), (0.0, 1.0), (0.8, 0.6)
    reading, found = table(["x", "y", "z"], ["p", "q", "r"], [(a, a), (b, c), (c, b)])
    # Row 1 looks for c from b: b is nearer, a farther. Row 2 looks for b from c: a and c are nearer.
    assert found["rank"].to_pylist() == [1, 2, 3]
    assert found["prediction"].to_pylist() == ["p", "r", "q"] and found["candidates"].to_pylist() == [3] * 3
    scores = reading.score(found)
    assert scores["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3) and scores["recall_at_1"] == pytest.approx(1 / 3)
    assert scores["loss"] == pytest.approx(np.mean(found["nll"].to_numpy()))
    assert reading.item_scores(found).tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    # Tests over examples resample sums of these.
    assert all(reading.additive(found, name).value == pytest.approx(scores[name]) for name in ("loss", *reading.names))


def test_another_right_text_of_the_same_anchor_is_passed_over():
    a, b = (1.0, 0.0), (0.8, 0.6)
    _, found = table(["x", "x"], ["p", "q"], [(a, a), (a, b)])
    assert found["rank"].to_pylist() == [1, 1]


def test_a_model_for_which_all_texts_are_alike_gets_what_guessing_gives():
    same = [((1.0, 0.0), (1.0, 0.0))] * 9
    names = [str(row) for row in range(9)]
    reading, found = table(names, [f"to {name}" for name in names], same)
    assert set(found["rank"].to_pylist()) == {5.0}
    floors = reading.chance(Examples(list(range(9)), {"a": names, "p": names}, [1] * 9)).metrics
    assert floors["mrr"][0] == pytest.approx(sum(1 / k for k in range(1, 10)) / 9)
    assert floors["recall_at_1"][0] == pytest.approx(1 / 9)


def test_vectors_are_kept_on_request_and_stay_out_of_csv():
    reading, found = table(["x"], ["p"], [((1.0, 0.0), (0.0, 1.0))], keep_vectors=True)
    assert found["vectors"].to_pylist() == [[[1, 0], [0, 1]]]
    assert "vectors" not in reading.flat(found)[0]


def test_cosines_are_held_against_scores():
    reading = SimilarityReading(METRICS["similarity"], (0.0, 4.0), False)
    a, b, c = (1.0, 0.0), (0.0, 1.0), (0.8, 0.6)
    examples = Examples([0, 1, 2], {"one": ["x"] * 3, "two": ["y"] * 3}, [4, 0, 3])
    found = reading.decode({"vectors": [np.asarray(one) for one in ((a, a), (a, b), (a, c))]}, None, examples)
    assert found["prediction"].to_pylist() == pytest.approx([1, 0, 0.8])
    assert reading.score(found)["spearmanr"] == pytest.approx(1.0)
    assert reading.item_scores(found).tolist() == pytest.approx([0, 0, -0.0025])
    assert reading.additive(found, "pearson").value == pytest.approx(reading.score(found)["pearson"])
    assert reading.additive(found, "spearmanr") is None
    assert reading.chance(examples).metrics["spearmanr"] == (0.0, pytest.approx(1 / math.sqrt(2)))


def test_the_saved_model_is_a_pipeline_of_features(tmp_path):
    from transformers import pipeline

    few = ["max_steps=1", "data.max_train_samples=8", "data.max_eval_samples=4", "task.keep_vectors=true"]
    words = [*sentence_embedding(tmp_path / "data"), *few, "task.max_length=32"]
    _, result, parts, run = run_loop(tmp_path / "run", *words)
    save_model(parts, run, result)
    model = pipeline("feature-extraction", model=str(run.model_folder))
    for row in pq.read_table(run.predictions / "eval.parquet").to_pylist():
        for text, vector in zip((row["one"], row["two"]), row["vectors"], strict=True):
            mean = np.asarray(model(text)[0]).mean(0)
            assert mean / np.linalg.norm(mean) == pytest.approx(vector, abs=1e-5)

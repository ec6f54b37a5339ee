"""Rows that are read as they are needed: equal loops, exact resume, mixtures, and what cannot be streamed."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hydra.utils import execution_whitelist

from exp.config.compose import compose
from exp.data.interleave import Interleaved
from exp.data.line_stream import LineRows
from exp.data.mixture import Mixture
from exp.data.read_options import ReadOptions
from exp.errors import ExpError
from exp.options.trust import whitelist
from exp.testing.loops import config_of, parts_of
from exp.testing.promises import both_loops_equal_a_plain_loop_and_go_on
from exp.training.build import build_data, build_features
from exp.training.launch import check_config

WORDS = ("red", "green", "blue", "cat", "dog", "house", "tree", "river")
STREAMED = ["data.streaming=true", "data.shuffle_buffer=16", "data.max_train_samples=null", "max_steps=5"]


def write(file: Path, rows: int, seed: int = 0) -> Path:
    """JSON lines of one to twelve words, packed where the name says so."""
    dice = random.Random(seed)
    with gzip.open(file, "wt") if file.suffix == ".gz" else file.open("w") as out:
        for row in range(rows):
            text = " ".join(dice.choice(WORDS) for _ in range(dice.randint(1, 12)))
            out.write(json.dumps({"text": f"{file.stem.partition('.')[0]} {row} {text}"}) + "\n")
    return file


@pytest.fixture
def corpus(tmp_path):
    """The words that name four files to train on, one of them packed, and one to evaluate on."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(3):
        write(folder / f"part-{number}.jsonl", 40, number)
    write(folder / "part-3.jsonl.gz", 40, 3)
    write(folder / "dev.jsonl", 12, 9)
    return ["data=files", f"data.path={folder}", "data.train_file=part-*", "data.validation_file=dev.jsonl", *STREAMED]


def test_a_stream_keeps_what_loops_promise(tmp_path, corpus):
    """Portions of four rows in each of four lanes: the five steps of four micro-batches pass over several."""
    _, _, run = both_loops_equal_a_plain_loop_and_go_on(
        tmp_path / "runs", [*corpus, "task=causal_lm", "task.block_size=8"]
    )
    facts = json.loads((run.folder / "run.json").read_text())["data"]
    assert facts["stream"]["files"][3][0] == "part-3.jsonl.gz" and "train_examples" not in facts


def features_of(*words: str):
    with execution_whitelist(whitelist()):
        return build_features(config_of(*words))[1].train


def rows_of(words, count: int) -> list[list[int]]:
    train = features_of(*words)
    train.begin_epoch(0, 42)
    return [train[row]["input_ids"] for row in range(count)]


def test_masks_are_drawn_anew_in_each_portion_and_the_same_after_a_cut(corpus):
    train = features_of(
        *corpus, "task=masked_lm", "task.block_size=8", "data.train_file=part-0.jsonl", "model=bert_tiny"
    )
    train.begin_epoch(0, 42)
    whole = [train[row] for row in range(90)]
    assert all(any(label >= 0 for label in row["labels"]) for row in whole)
    state = json.loads(json.dumps(train.state()))
    train.restore(state)
    train.begin_epoch(0, 42)
    assert [train[row] for row in range(88, 90)] == whole[88:] and state["0"]["portion"] > 2
    with pytest.raises(AssertionError, match="in their order"):
        train[0]


def lines(*files: Path) -> LineRows:
    return LineRows(files, ReadOptions())


def rest(source) -> list[str]:
    found = []
    while not source.ended:
        found.append(source.next().cells["text"])
    return found


def goes_on_anywhere(make) -> None:
    """From its state before every row, which JSON has words for."""
    source, states = make(), []
    whole = []
    while not source.ended:
        states.append(json.dumps(source.state()))
        whole.append(source.next().cells["text"])
    assert len(whole) > 10
    for taken, state in enumerate(states):
        again = make()
        again.restore(json.loads(state))
        assert rest(again) == whole[taken:], taken


def test_lines_go_on_at_a_byte(tmp_path):
    one, two = write(tmp_path / "a.jsonl", 9), write(tmp_path / "b.jsonl.gz", 7)
    one.write_text(one.read_text().replace("\n", "\n\n", 3))  # empty lines are none
    goes_on_anywhere(lambda: lines(one, two))
    again = lines(one, two)
    again.restore([0, one.stat().st_size, 12])  # the end of the first file
    assert (found := again.next()).cells["text"].startswith("b 0 ") and (found.path, found.line) == (two, 1)


STRATEGIES = ("first_exhausted", "all_exhausted", "all_exhausted_without_replacement")


@pytest.mark.parametrize("stopping", STRATEGIES)
@pytest.mark.parametrize("probabilities", [None, [0.7, 0.2, 0.1]])
def test_sources_are_interleaved_as_datasets_does_it(tmp_path, stopping, probabilities):
    from datasets import IterableDataset, interleave_datasets

    files = [write(tmp_path / f"{name}.jsonl", rows) for name, rows in (("a", 9), ("b", 4), ("c", 13))]

    def made() -> Interleaved:
        return Interleaved([lines(file) for file in files], probabilities, 5, stopping)

    def of_file(name: str):
        yield from (json.loads(line) for line in Path(name).read_text().splitlines())

    theirs = [IterableDataset.from_generator(of_file, gen_kwargs={"name": str(file)}) for file in files]
    mixed = interleave_datasets(theirs, probabilities=probabilities, seed=5, stopping_strategy=stopping)
    assert rest(made()) == [row["text"] for row in mixed]
    goes_on_anywhere(made)
    again = made()
    rest(again)
    again.restart()
    assert rest(again) == rest(made())


@pytest.fixture
def hub_folder(tmp_path):
    """A data set in the Hub's format: two files of one split, and a validation split."""
    folder = tmp_path / "set"
    folder.mkdir()
    for name, rows in (("train-00000-of-00002", 9), ("train-00001-of-00002", 8), ("validation", 6)):
        write(folder / f"{name}.jsonl", rows)
    return ["data=hub", f"data.path={folder}", *STREAMED, "task=causal_lm", "task.block_size=8"]


def test_a_data_set_of_the_hub_goes_on_anywhere(hub_folder, monkeypatch):
    from exp.data import hub_stream

    monkeypatch.setattr(hub_stream, "EVERY", 3)
    data = build_data(config_of(*hub_folder))
    stream = data.stream.stream
    assert stream.lanes == 2 and len(data.evals[""]) == 6
    goes_on_anywhere(lambda: stream.opened(0, 1))
    assert [rest(stream.open(lane))[0].split()[0][:11] for lane in (0, 1)] == ["train-00000", "train-00001"]


def test_processes_read_files_of_their_own_and_see_the_rows_of_one(corpus, monkeypatch):
    """Row i is that of lane i % 4; a process that asks for every second row opens two of the four files."""
    words = [*corpus, "task=causal_lm", "task.block_size=8"]
    whole = rows_of(words, 200)
    train = features_of(*words)
    states = []
    for rank in (0, 1):
        train.begin_epoch(0, 42)
        assert [train[row]["input_ids"] for row in range(rank, 200, 2)] == whole[rank::2]
        states.append(train.state())
    assert [set(state) for state in states] == [{"0", "2"}, {"1", "3"}]
    train.restore(json.loads(json.dumps(train.together(states))))
    train.begin_epoch(0, 42)
    make, made = train.make, []
    monkeypatch.setattr(train, "make", lambda examples: made.append(1) or make(examples))
    assert [train[row]["input_ids"] for row in range(198, 200)] == whole[198:]
    assert len(made) == 2  # the portions that the two rows are in, and none before
    assert rows_of(words, 200) == whole != rows_of([*words, "data.shuffle_buffer=8"], 200)


def test_a_mixture_draws_by_weight(tmp_path):
    """Three rows of four are from web, in a stream as in memory, and each source can be an evaluation set."""
    for name, rows in (("web", 400), ("code", 400), ("dev", 10)):
        write(tmp_path / f"{name}.jsonl", rows)
    words = [
        *("data=mixture", f"data.path={tmp_path}", "data.max_train_samples=null"),
        "data.sources={web:{train_file:web.jsonl},code:{train_file:code.jsonl,validation_file:dev.jsonl}}",
        *("data.weights={web:3,code:1}", "task=causal_lm", "task.block_size=8"),
    ]
    plain = build_data(config_of(*words))
    texts = plain.train.inputs["text"]
    assert 480 < len(texts) < 580 and sum(text.startswith("web") for text in texts) == 400  # web ends first
    assert list(plain.evals) == ["code"] and len(plain.evals["code"]) == 10
    config = config_of(*words, "data.streaming=true", "max_steps=5", "data.shuffle_buffer=50", "model=gpt2_tiny")
    streamed = build_data(config)
    assert streamed.train.inputs["text"] == texts[:50] and streamed.fingerprint != plain.fingerprint
    assert streamed.facts["stream"]["probabilities"] == [0.75, 0.25]
    assert parts_of(config).plan.objective == "eval_code/perplexity"


def mixture(folder: Path, **keys) -> Mixture:
    sources = {"web": {"train_file": "web.jsonl"}, "code": {"train_file": "code.jsonl"}}
    given = {
        "name": "m",
        "path": str(folder),
        "sources": sources,
        "weights": None,
        "stopping_strategy": "first_exhausted",
        "mix_seed": 1,
        "validation_file": "dev.jsonl",
        "roles": None,
        "streaming": True,
        "shuffle_buffer": 10,
        "max_train_samples": None,
        "max_eval_samples": None,
        **keys,
    }
    return Mixture(**given)


BAD = [
    ({"sources": None}, "needs data.sources"),
    ({"sources": {"we/b": {"train_file": "web.jsonl"}}}, "'we/b' cannot name a set of rows"),
    ({"sources": {"web": {"train_file": "wep.jsonl"}}}, "data.sources.web: data.train_file: there is no file"),
    (
        {"sources": {"web": {"train_fil": "web.jsonl"}}},
        "a source has no key train_fil; it has train_file, validation_file",
    ),
    ({"sources": {"web": {"path": "/nosuch/set"}}}, "data.sources.web: data.path=/nosuch/set"),
    ({"sources": {"web": {"train_file": "web.csv"}}}, "reads text and JSON lines, and this is csv"),
    ({"weights": {"web": 1.0, "code": -2.0}}, "data.weights.code=-2.0 has to be above 0"),
    ({"weights": {"web": 1.0, "code": 0.0}}, "left out of data.sources"),
    ({"weights": {"web": 1.0, "cod": 1.0}}, "data.weights.cod: there is no such source; did you mean 'code'"),
    ({"weights": {"web": 1.0}}, "no weight for the source code"),
    ({"validation_file": None}, "holds nothing out"),
]


@pytest.mark.parametrize(("keys", "said"), BAD, ids=[said for _, said in BAD])
def test_a_mixture_that_cannot_be_is_refused_before_a_row_is_read(tmp_path, keys, said):
    for name in ("web.jsonl", "code.jsonl", "dev.jsonl"):
        write(tmp_path / name, 3)
    (tmp_path / "web.csv").write_text("text\na\n")
    assert mixture(tmp_path)
    with pytest.raises(ExpError, match=said.replace(".", r"\.")):
        mixture(tmp_path, **keys)


NOT_STREAMED = {
    "max_steps=-1": "data.streaming=true knows no number of rows: say how long to train",
    "batching=length_grouped": "batching=length_grouped sorts all rows",
    "task=text_classification": "task=text_classification has to see all rows",
    "folds=2": "folds=2 deals all rows",
    "data.validation_file=null": "no share of them can be held out",
    "data.max_train_samples=5": "data.max_train_samples=5 draws among all rows",
    "data.shuffle_buffer=0": "data.shuffle_buffer=0",
}


@pytest.mark.parametrize("word", NOT_STREAMED)
def test_what_cannot_be_streamed_is_refused_by_the_config_check(corpus, word):
    """Each in place of what the command has."""
    good = [*corpus, "task=causal_lm", "tracker=none"]
    check_config(compose(good))
    with pytest.raises(ExpError, match=NOT_STREAMED[word].replace(".", r"\.")):
        check_config(compose([*good, word]))


def test_a_stream_without_a_batch_or_with_a_bad_line_says_where(tmp_path):
    words = ["data=files", f"data.path={tmp_path}", "data.validation_file=dev.jsonl", *STREAMED]
    words += ["task=causal_lm", "task.block_size=8", "data.train_file=train.jsonl"]
    write(tmp_path / "dev.jsonl", 5)
    train = tmp_path / "train.jsonl"

    def refused(text: str, *more: str) -> str:
        train.write_text(text)
        with pytest.raises(ExpError) as caught:
            parts_of(config_of(*words, *more))
        return str(caught.value)

    assert refused("\n\n") == "data.streaming=true: train has no rows"
    assert "every row of column 'text' is empty" in refused('{"text": ""}\n')
    few = refused('{"text": "a b"}\n')
    assert "before a batch of 4 is full: lower per_device_train_batch_size" in few
    assert "train.jsonl, line 2: not JSON" in refused('{"text": "a"}\n{"text: 1}\n')
    assert "train.jsonl, line 1: list found" in refused("[1]\n")
    with gzip.open(train, "wt") as file:
        file.write('{"text": "a"}\n' * 100)
    whole = train.read_bytes()
    train.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ExpError, match=r"train.jsonl, line \d+: cannot be read"):
        rest(lines(train))

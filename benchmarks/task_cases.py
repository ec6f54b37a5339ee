"""The real data sets of benchmarks.tasks, and the words that train on each.

`{data}` is their folder, `{minilm}` MiniLM's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MINILM = ("model=pretrained", "model.path={minilm}")


@dataclass(frozen=True)
class Case:
    """
    Args:
        data: What the table calls it.
        model: The same.
        steps: Of the optimizer; an evaluation and a checkpoint in the middle, an evaluation at the end.
        batch: Examples a step.
        words: Of `exp train`.
        metric: What the table shows beside the run's own first metric.
    """

    data: str
    model: str
    steps: int
    batch: int
    words: Sequence[str]
    metric: str | None = None
    eval_samples: int = 300


CASES: dict[str, Case] = {
    "wnut17": Case(
        "WNUT-17",
        "MiniLM",
        150,
        16,
        ["data=wnut17", "data.path={data}/token-classification/wnut17", *MINILM, "optimizer.lr=2e-4"],
    ),
    "eslspok": Case(
        "ESLSpok, UPOS",
        "MiniLM",
        60,
        16,
        ["data=eslspok", "data.path={data}/token-classification/ud-english-eslspok", *MINILM, "optimizer.lr=3e-4"],
        eval_samples=100,
    ),
    "squad_part": Case(
        "SQuAD part (articles held out)",
        "MiniLM",
        40,
        6,
        [
            *("data=squad_v2", "data.path={data}/question-answering/squad2-part"),
            *("data.train_file=[train-subset-1.json,small-dev-set.json]", "data.validation_share=0.25"),
            *("task.max_length=192", *MINILM, "optimizer.lr=2e-4"),
        ],
        "eval/NoAns_f1",
        eval_samples=40,
    ),
    "xquad": Case(
        "XQuAD en, de: zero-shot from SQuAD part (no shared article)",
        "MiniLM",
        40,
        6,
        [
            *("data=xquad", "data.path={data}/question-answering/xquad", "do_predict=true"),
            # small-dev-set.json has articles of XQuAD, the training part has none.
            "data.train_file={data}/question-answering/squad2-part/train-subset-1.json",
            *("task.max_length=192", *MINILM, "optimizer.lr=2e-4"),
        ],
        "test_en/f1",
        eval_samples=30,
    ),
    "commonsenseqa": Case(
        "CommonsenseQA",
        "MiniLM",
        60,
        8,
        ["data=commonsenseqa", "data.path={data}/multiple-choice/commonsenseqa", *MINILM, "optimizer.lr=1e-4"],
        eval_samples=60,
    ),
    "goemotions": Case(
        "GoEmotions",
        "MiniLM",
        80,
        16,
        [
            *("data=goemotions", "data.path={data}/multi-label/goemotions", "task.tune_threshold=true"),
            *(*MINILM, "optimizer.lr=3e-4"),
        ],
        "eval/f1_micro",
        eval_samples=200,
    ),
    "scitldr": Case(
        "SciTLDR-A",
        "t5_tiny",
        60,
        16,
        ["data=scitldr", "data.path={data}/summarization/scitldr-a", "task.max_source_length=256", "model=t5_tiny"],
        eval_samples=30,
    ),
    "multi30k": Case(
        "Multi30k en-de",
        "t5_tiny",
        120,
        32,
        ["data=multi30k", "data.path={data}/translation/multi30k-en-de", "model=t5_tiny"],
        "eval/chrf",
        eval_samples=40,
    ),
    "tiny_shakespeare": Case(
        "tiny-shakespeare, 90/10, characters",
        "gpt2_tiny",
        100,
        16,
        [
            *("data=tiny_shakespeare", "data.path={data}/language-modeling/tiny-shakespeare"),
            *("data.validation_share=0.1", "data.test_share=0", "task.block_size=128", "task.max_new_tokens=40"),
            *("model=gpt2_tiny", "model.tokenizer=characters"),
        ],
        "eval/loss",
        eval_samples=400,
    ),
    "self_instruct": Case(
        "self-instruct seed, as chats",
        "llama_tiny",
        40,
        8,
        [
            *("data=self_instruct", "data.path={data}/instruction/self-instruct-seed", "model=llama_tiny"),
            *("task.block_size=512", "task.truncation=right", "task.max_new_tokens=24"),
        ],
    ),
    "sick": Case(
        "SICK, relatedness",
        "MiniLM",
        40,
        16,
        ["data=sick", "data.path={data}/sentence-pairs/sick", *MINILM, "optimizer.lr=5e-5"],
        "eval/spearmanr",
        eval_samples=300,
    ),
    "sick_entailment": Case(
        "SICK, entailment",
        "MiniLM",
        80,
        16,
        [
            *("data=sick", "data.path={data}/sentence-pairs/sick", "task=text_classification"),
            *("task.label_column=entailment_judgment", "task.problem_type=single_label_classification"),
            *("task.metrics=[accuracy]", *MINILM, "optimizer.lr=2e-4"),
        ],
        eval_samples=150,
    ),
    "sign_digits": Case(
        "sign digits",
        "vit_tiny",
        150,
        16,
        [
            *("data=image_folder", "data.path={data}/image-classification/sign-digits", "data.validation_folder=test"),
            "task.train_transforms=[{{RandomResizedCrop: {{scale: [0.5, 1.0]}}}}]",
        ],
    ),
    "spoken_digits": Case(
        "spoken digits",
        "wav2vec2_tiny",
        100,
        16,
        [
            *("data=fsdd", "data.path={data}/audio-classification/fsdd", "data.validation_folder=test"),
            "task.train_transforms=[Gain,AddGaussianSNR]",
        ],
    ),
    "sms_spam": Case(
        "SMS spam (CSV)",
        "MiniLM",
        40,
        16,
        [
            *("data=files", "data.train_file={data}/csv/sms-spam/spam.csv", "data.encoding=cp1252"),
            *("task.text_columns=[v2]", "task.label_column=v1", "task.metrics=[accuracy,f1]", *MINILM),
            "optimizer.lr=1e-4",
        ],
        "eval/f1",
        eval_samples=150,
    ),
    "korean_hate_speech": Case(
        "Korean hate speech (TSV)",
        "bert_tiny",
        600,
        16,
        [
            *("data=files", "data.path={data}/csv/korean-hate-speech", "data.quotechar='\"'", "model=bert_tiny"),
            *("data.train_file=train.tsv", "data.validation_file=dev.tsv"),
            *("task.text_columns=[comments]", "task.label_column=hate", "task.metrics=[f1_macro,accuracy]"),
            "optimizer.lr=5e-4",
        ],
        "eval/accuracy",
        eval_samples=300,
    ),
    "gnad": Case(
        "10kGNAD (CSV)",
        "bert_tiny",
        600,
        16,
        [
            *("data=files", "data.train_file={data}/csv/10kgnad/test.csv.gz", "data.sep=';'", 'data.quotechar="\'"'),
            *("data.names=[label,text]", "data.validation_share=0.2", "task.metrics=[accuracy,f1_macro]"),
            *("model=bert_tiny", "optimizer.lr=5e-4"),
        ],
        "eval/f1_macro",
    ),
}

"""Small question answering data, and the task as conf/ gives it."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from exp.config.compose import compose
from exp.data.base import RawData
from exp.data.rows import Rows
from exp.task.question_answering import QuestionAnswering

CONTEXT = "anna went to paris on monday"


def option(**keys):
    node = OmegaConf.to_container(compose(["task=question_answering"]).task)
    node.pop("_target_")
    return QuestionAnswering(**{**node, **keys})


def rows(*questions, path="q.jsonl"):
    """Each of `questions` is (context, answers) or (context, answers, more columns)."""
    columns = {
        "question": [f"question {number}" for number in range(len(questions))],
        "context": [one[0] for one in questions],
        "answers": [one[1] for one in questions],
    }
    more = [one[2] if len(one) > 2 else {} for one in questions]
    columns |= {key: [one.get(key) for one in more] for key in {key for one in more for key in one}}
    return Rows(Path(path), columns, list(range(1, len(questions) + 1)))


def answers(*texts, context=CONTEXT):
    return {"text": list(texts), "answer_start": [context.index(text) for text in texts]}


NONE = {"text": [], "answer_start": []}


def raw(train, evaluation=None, **more):
    return RawData("q", train, {} if evaluation is None else {"": evaluation}, {}, **more)

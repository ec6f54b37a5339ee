"""A small data set for each task, and the words that train on it: what the suites of all tasks run on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = ("red", "green", "blue", "small", "large", "old", "new", "cat", "dog", "house", "tree", "river")


def _write(
    folder: Path, make: Callable[[random.Random], dict[str, Any]], counts: tuple[int, ...] = (42, 30)
) -> list[str]:
    """train.jsonl and dev.jsonl; returns the words that name them."""
    dice = random.Random(7)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in zip(("train", "dev"), counts, strict=True):
        lines = [json.dumps(make(dice)) for _ in range(count)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["data=files", f"data.path={folder}", "data.train_file=train.jsonl", "data.validation_file=dev.jsonl"]


def _sentence(dice: random.Random) -> list[str]:
    return [dice.choice(WORDS) for _ in range(dice.randint(1, 12))]


def text_classification(folder: Path) -> list[str]:
    def row(dice: random.Random) -> dict[str, Any]:
        words = _sentence(dice)
        return {"text": " ".join(words), "label": "animal" if {"cat", "dog"} & set(words) else "thing"}

    return [*_write(folder, row), "task=text_classification"]


def multi_label(folder: Path) -> list[str]:
    def row(dice: random.Random) -> dict[str, Any]:
        words = _sentence(dice)
        return {"text": " ".join(words), "labels": sorted({"red", "cat", "old"} & set(words))}

    return [*_write(folder, row), "task=multi_label", "task.tune_threshold=true"]


def token_classification(folder: Path) -> list[str]:
    """Rows of unequal length, so that micro-batches have unequal numbers of labels; some need two windows."""

    def row(dice: random.Random) -> dict[str, Any]:
        words, tags = _sentence(dice), []
        for word in words:
            if word in ("cat", "dog"):
                tags.append("B-animal")
            elif word == "house":
                tags.append("I-animal" if tags and tags[-1] != "O" else "B-animal")
            else:
                tags.append("O")
        return {"tokens": words, "tags": tags}

    return [*_write(folder, row), "task=token_classification", "task.max_length=8", "task.stride=2"]


def question_answering(folder: Path) -> list[str]:
    """Some contexts need several windows, and some questions have no answer."""

    def row(dice: random.Random) -> dict[str, Any]:
        words = _sentence(dice) + _sentence(dice)
        asked = dice.choice(WORDS)
        at = [len(" ".join(words[:place])) + (place > 0) for place, word in enumerate(words) if word == asked][:1]
        answers = {"text": [asked] * len(at), "answer_start": at}
        return {"question": f"which {asked}", "context": " ".join(words), "answers": answers}

    return [*_write(folder, row), "task=question_answering", "task.max_length=16", "task.doc_stride=4"]


def multiple_choice(folder: Path) -> list[str]:
    """Rows have two to five choices, of one word or several."""

    def row(dice: random.Random) -> dict[str, Any]:
        choices = [" ".join(_sentence(dice)[:3]) for _ in range(dice.randint(2, 5))]
        return {"context": " ".join(_sentence(dice)), "choices": choices, "label": dice.randrange(len(choices))}

    return [*_write(folder, row), "task=multiple_choice"]


def summarization(folder: Path) -> list[str]:
    """Two beams, several references in the evaluation set, and targets of unequal length."""

    def row(dice: random.Random) -> dict[str, Any]:
        words = _sentence(dice)
        short = " ".join(words[::3])
        return {"document": [" ".join(words[:4]), " ".join([*words[4:], "."])], "summary": [short, words[0]]}

    beams = ["task.num_beams=2", "task.no_repeat_ngram_size=3", "task.length_penalty=0.6"]
    return [*_write(folder, row), "task=summarization", "task.max_target_length=8", *beams]


def translation(folder: Path) -> list[str]:
    def row(dice: random.Random) -> dict[str, Any]:
        words = _sentence(dice)
        return {"translation": {"en": " ".join(words), "xx": " ".join(word[::-1] for word in reversed(words))}}

    columns = ["task.translation_column=translation", "task.source_lang=en", "task.target_lang=xx"]
    return [*_write(folder, row), "task=translation", "task.max_target_length=16", *columns]


def causal_lm(folder: Path) -> list[str]:
    """Documents that run on in blocks, with a block that is shorter than the others."""

    def row(dice: random.Random) -> dict[str, Any]:
        return {"text": " ".join(_sentence(dice))}

    return [*_write(folder, row), "task=causal_lm", "model=gpt2_tiny", "task.block_size=8", "task.max_new_tokens=5"]


def causal_lm_packed(folder: Path) -> list[str]:
    """Documents that share rows and do not see each other, drawn continuations."""
    return [
        *[word for word in causal_lm(folder) if "block_size" not in word],
        *("model=llama_tiny", "task.packing=true", "task.block_size=16", "task.do_sample=true", "task.top_k=5"),
    ]


def causal_lm_chats(folder: Path) -> list[str]:
    """Chats of one or two turns, some cut at their beginning."""

    def row(dice: random.Random) -> dict[str, Any]:
        turns = []
        for _ in range(dice.randint(1, 2)):
            words = _sentence(dice)
            turns.append({"role": "user", "content": " ".join(words)})
            turns.append({"role": "assistant", "content": " ".join(sorted(words)[:3])})
        return {"messages": turns}

    words = ["task=causal_lm", "task.messages_column=messages", "task.block_size=40", "task.truncation=left"]
    return [*_write(folder, row), *words, "model=llama_tiny", "task.max_new_tokens=5"]


def masked_lm(folder: Path) -> list[str]:
    def row(dice: random.Random) -> dict[str, Any]:
        return {"text": " ".join(_sentence(dice))}

    return [*_write(folder, row), "task=masked_lm", "task.block_size=8", "task.whole_word_masking=true"]


def image_classification(folder: Path) -> list[str]:
    """Files of textures, three classes, cropped and flipped in training."""
    from exp.data.dice import Dice
    from exp.data.textures import NAMES, picture

    folder.mkdir(parents=True, exist_ok=True)
    draws = Dice(7)

    def row(dice: random.Random) -> dict[str, Any]:
        kind, name = dice.randrange(3), f"{dice.random()}.ppm"
        (folder / name).write_bytes(picture(draws, kind))
        return {"image": name, "label": NAMES[kind]}

    small = ["model.hidden_size=32", "model.num_hidden_layers=1", "model.patch_size=8"]
    return [*_write(folder, row), "task=image_classification", *small]


def audio_classification(folder: Path) -> list[str]:
    """Recordings of unequal length; training hears a part of the longer ones, at another loudness each time."""
    from exp.data.dice import Dice
    from exp.data.tones import NAMES, recording

    folder.mkdir(parents=True, exist_ok=True)
    draws = Dice(7)

    def row(dice: random.Random) -> dict[str, Any]:
        kind, name = dice.randrange(3), f"{dice.random()}.wav"
        (folder / name).write_bytes(recording(draws, kind))
        return {"audio": name, "label": NAMES[kind]}

    cut = ["task.max_length_seconds=0.3", "task.train_transforms=[Gain,Shift]"]
    small = ["model.hidden_size=32", "model.num_hidden_layers=1", "model.conv_dim=8"]
    return [*_write(folder, row), "task=audio_classification", *cut, *small]


def sentence_embedding(folder: Path) -> list[str]:
    """Scored pairs; longer texts are cut."""

    def row(dice: random.Random) -> dict[str, Any]:
        one, two = _sentence(dice), _sentence(dice)
        return {"one": " ".join(one), "two": " ".join(two), "score": len({*one} & {*two})}

    columns = ["task.text_columns=[one,two]", "task.score_column=score"]
    return [*_write(folder, row), "task=sentence_embedding", "task.max_length=9", *columns]


def sentence_embedding_triplets(folder: Path) -> list[str]:
    """Some anchors, and some positives, come twice."""

    def row(dice: random.Random) -> dict[str, Any]:
        words = _sentence(dice)[:3]
        return {"a": " ".join(words), "p": " ".join(reversed(words)), "n": " ".join(_sentence(dice))}

    columns = ["task.text_columns=[a,p,n]", "task.keep_vectors=true"]
    return [*_write(folder, row), "task=sentence_embedding", *columns]


# By the task's name, after a dash the way in which it is used.
TASKS: dict[str, Callable[[Path], list[str]]] = {
    "text_classification": text_classification,
    "multi_label": multi_label,
    "token_classification": token_classification,
    "question_answering": question_answering,
    "multiple_choice": multiple_choice,
    "summarization": summarization,
    "translation": translation,
    "causal_lm": causal_lm,
    "causal_lm-packed": causal_lm_packed,
    "causal_lm-chats": causal_lm_chats,
    "masked_lm": masked_lm,
    "image_classification": image_classification,
    "audio_classification": audio_classification,
    "sentence_embedding": sentence_embedding,
    "sentence_embedding-triplets": sentence_embedding_triplets,
}
# The loss of a row is one among the rows beside it: another micro-batch is another loss, by definition.
BOUND_TO_THE_BATCH = ("sentence_embedding-triplets",)

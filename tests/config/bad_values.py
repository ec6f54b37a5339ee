"""Values that no option takes, made from each option's declaration, and what the check says of them.

Run in a process of its own, so that an import of the check shows: python -m tests.config.bad_values
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from exp.config.check import SEVERAL, check
from exp.config.compose import compose, own
from exp.config.schema import EXAMPLES, PRESETS
from exp.config.targets import check_node, declaration
from exp.errors import ExpError
from exp.options.confdir import conf_dir, groups
from exp.options.option import construct, json_schema
from exp.options.settings import RootSettings

HEAVY = ("torch", "transformers", "datasets", "numpy", "pandas", "wandb", "optuna", "peft", "trackio", "bitsandbytes")
# What an option needs before it can be checked, in a folder that `prepare` filled.
FILES = {
    "train.csv": "text,label\na,x\nb,y\n",
    "many.jsonl": '{"text": "a", "labels": ["x"]}\n',
    "words.jsonl": '{"tokens": ["a"], "tags": ["O"]}\n',
    "words.conll": "a O\n\nb O\n",
    "words.conllu": "1\ta\t_\tX\tX\t_\t_\t_\t_\t_\n\n",
    "many.tsv": "a\t1\tid1\n",
    "text.txt": "a line\n",
    "spans.jsonl": '{"id": "1", "question": "a", "context": "b", "answers": {"text": ["b"], "answer_start": [0]}}\n',
    "choices.jsonl": '{"context": "a", "choices": ["b", "c"], "label": 0}\n',
    "short.jsonl": '{"paper_id": "1", "source": ["a", "b"], "target": ["c"]}\n',
    "config.json": "{}",
    "my_parts.py": "",
    "aim.py": "",  # stands for the package
    "pairs.tsv": "pair_ID\tsentence_A\tsentence_B\trelatedness_score\n1\ta\tb\t4.5\n",
    "chats.jsonl": '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
}
SIDES, SPLITS = ("source", "target"), ("train", "validation", "test")
SICK = ["data.path=.", *(f"data.{split}_file=pairs.tsv" for split in SPLITS)]
PARALLEL = ["data.path=.", *(f"data.train_{side}_file=text.txt" for side in SIDES)]
GIVEN = {
    "data=files": ["data.train_file=train.csv"],
    "data=hub": ["data.path=owner/name"],
    "data=mixture": ["data.sources={web:{train_file:many.jsonl}}", "data.validation_file=many.jsonl"],
    **{
        f"data={name}": ["data.path=.", *(f"data.{split}_file={file}" for split in ("train", "validation", "test"))]
        for name, file in (("wnut17", "words.conll"), ("eslspok", "words.conllu"), ("goemotions", "many.tsv"))
    },
    "data=tiny_shakespeare": ["data.path=.", "data.file=text.txt"],
    **{f"data={name}": ["data.path=.", "data.file=chats.jsonl"] for name in ("self_instruct", "kto_demo")},
    **{
        f"task={name}": ["data=tiny_shakespeare", "data.path=.", "data.file=text.txt"]
        for name in ("causal_lm", "masked_lm")
    },
    "data=parallel": PARALLEL,
    "data=multi30k": [
        *PARALLEL,
        *(f"data.{split}_{side}_file=null" for split in ("validation", "test") for side in SIDES),
    ],
    "data=scitldr": ["data.path=.", *(f"data.{split}_file=short.jsonl" for split in ("train", "validation", "test"))],
    "data=wmt16": ["task.source_lang=en", "task.target_lang=ro"],
    "task=summarization": ["data=scitldr", "data.path=.", *(f"data.{split}_file=short.jsonl" for split in SPLITS)],
    "task=translation": ["data=parallel", *PARALLEL],
    "data=xquad": [
        "data.path=.",
        "data.train_file=spans.jsonl",
        "data.test_files.en=spans.jsonl",
        "data.test_files.de=spans.jsonl",
    ],
    "task=question_answering": ["data=files", "data.train_file=spans.jsonl"],
    "task=multiple_choice": ["data=files", "data.train_file=choices.jsonl"],
    "task=multi_label": ["data=files", "data.train_file=many.jsonl"],
    "task=token_classification": ["data=files", "data.train_file=words.jsonl"],
    **{f"data={name}": ["data.path=."] for name in ("audio_folder", "image_folder", "fsdd")},
    "data=sick": SICK,
    "task=sentence_embedding": ["data=sick", *SICK],
    **{f"task={kind}_classification": [f"data={kind}_folder", "data.path=."] for kind in ("audio", "image")},
    "tracker=accelerate": ["tracker.accelerate.name=aim"],
    "model=pretrained": ["model.path=owner/name"],
    "freeze=pattern": ["freeze.frozen=[embeddings]"],
    "freeze=layers": ["freeze.count=1"],
    "loss=distillation": ["loss.teacher_path=."],
    "model=own": ["model.path=owner/name", "model.make=my_parts.Head"],
    "model=own_tiny": ["model.make=my_parts.Head"],
    **{
        f"{group}=by_name": [f"{group}.name={name}"]
        for group, name in zip(("optimizer", "scheduler"), EXAMPLES.values(), strict=True)
    },
}
OF_ANOTHER_TYPE: dict[str, tuple[Any, ...]] = {
    "integer": ("3", 1.5, True, [1], {"a": 1}),
    "number": ("3", True, [1.0], {"a": 1}),
    "boolean": ("yes", 1, 0.0, [True]),
    "string": (3, True, ["a"], {"a": 1}),
    "array": ("a", 3, {"a": 1}, [["a"], ["b"]]),
    "object": ("a", 3, [1]),
}


@dataclass
class Found:
    tried: int = 0
    accepted: list[str] = field(default_factory=list)  # silently
    unclear: list[str] = field(default_factory=list)  # several lines, or without the key
    raised: list[str] = field(default_factory=list)  # something else than ExpError


def bad_values(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Of a wrong type, out of range, no number, no choice; nothing where any value is taken."""
    kinds = schema.get("anyOf", [schema])
    if any("type" not in kind for kind in kinds):
        return
    types = {kind["type"] for kind in kinds}
    for value in {repr(value): value for kind in types for value in OF_ANOTHER_TYPE.get(kind, ())}.values():
        if not any(_has_type(value, kind) for kind in types):
            yield value
    if "null" not in types:
        yield None
    if types & {"integer", "number"}:
        yield from (float("nan"), float("inf"), -float("inf"))
    for kind in kinds:
        if "minimum" in kind:
            yield kind["minimum"] - 1
        if "exclusiveMinimum" in kind:
            yield kind["exclusiveMinimum"]
        if "maximum" in kind:
            yield kind["maximum"] + 1
        if "exclusiveMaximum" in kind:
            yield kind["exclusiveMaximum"]
        if "enum" in kind or "const" in kind:
            yield "no-such-choice"
        if kind.get("minItems"):
            yield []
        for place, item in enumerate(kind.get("prefixItems", ())):
            for value in bad_values(item):
                yield [value if at == place else 0.5 for at in range(len(kind["prefixItems"]))]
        if kind.get("items", {}).get("type"):
            yield from ([value] for value in bad_values(kind["items"]) if not isinstance(value, list))


def _has_type(value: Any, kind: str) -> bool:
    known = {"integer": int, "number": (int, float), "boolean": bool, "string": str, "array": list, "object": dict}
    if isinstance(value, bool) and kind != "boolean":
        return False
    # A list may still hold wrong items, and a list of lists always does here.
    return kind in known and isinstance(value, known[kind]) and not (isinstance(value, list) and value[0] in (["a"], 1))


def prepare(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)


def options() -> Iterator[str]:
    for group in groups():
        if group not in PRESETS:
            word = "{}=[{}]" if group == "callbacks" else "{}={}"
            yield from (word.format(group, file.stem) for file in sorted((conf_dir() / group).glob("*.yaml")))


def try_option(option: str, found: Found, seen: set[str]) -> None:
    """Changes one key at a time in an otherwise good option; `seen` are targets that had their turn."""
    composed = compose([option, *GIVEN.get(option, [])])
    choices, cfg = dict(composed.hydra.runtime.choices), own(composed)
    group = option.partition("=")[0]
    several = {f"{group}.{name}": node for name, node in cfg[group].items()} if group in SEVERAL else None
    nodes = {group: cfg[group]} if several is None else several
    for where, node in nodes.items():
        if OmegaConf.is_config(node) and node.get("_target_") not in (None, *seen):
            seen.add(node["_target_"])
            _try_node(cfg, choices, where, OmegaConf.to_container(node, resolve=True), found)


def _try_node(cfg: DictConfig, choices: dict[str, Any], where: str, node: Any, found: Found) -> None:
    """Each value through the check of its option, and the last one through that of the whole config."""
    for key, schema in json_schema(declaration(node, where))["properties"].items():
        for value in bad_values(schema):
            _try(lambda bad: check_node(bad, where), node, key, value, f"{where}.", found)
        _try(lambda bad: check_node(bad, where), node, f"{key}x", 1, f"{where}.", found)

    def whole(bad: dict[str, Any]) -> None:
        changed = cfg.copy()
        OmegaConf.update(changed, where, bad, merge=False, force_add=True)
        check(changed, choices)

    _try(whole, node, "no_such_key", 1, f"{where}.", found)


def try_settings(found: Found) -> None:
    cfg = own(compose([]))
    properties = json_schema(RootSettings)["properties"]
    settings = {key: value for key, value in OmegaConf.to_container(cfg, resolve=True).items() if key in properties}
    for key, schema in properties.items():
        for value in bad_values(schema):
            _try(lambda bad: construct(RootSettings, bad, ""), settings, key, value, "", found)

    def whole(bad: dict[str, Any]) -> None:
        check(OmegaConf.merge(cfg, bad), {})

    with open_dict(cfg):
        for key in settings:
            _try(whole, {}, f"{key}x", 1, "", found)


def _try(says: Callable[[Any], object], node: Any, key: str, value: Any, where: str, found: Found) -> None:
    found.tried += 1
    said = f"{where}{key}={value!r}"
    try:
        says({**node, key: value})
    except ExpError as error:
        if "\n" in str(error) or key not in str(error):
            found.unclear.append(f"{said}: {error}")
    except Exception as error:
        found.raised.append(f"{said}: {error!r}")
    else:
        found.accepted.append(said)


def main() -> None:
    found, seen = Found(), set[str]()
    try_settings(found)
    for option in options():
        try_option(option, found, seen)
    print(json.dumps({**vars(found), "heavy": [name for name in HEAVY if name in sys.modules]}))


if __name__ == "__main__":
    main()

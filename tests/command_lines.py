"""Command lines that no command takes, and what each command does with them.

Run in a process of its own, so that an import shows: python -m tests.command_lines
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shlex
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# `exp data` puts an empty torch before the real one, which has a torch.nn.
HEAVY = ("torch.nn", "transformers", "datasets", "wandb", "peft", "trackio", "bitsandbytes")
LONG = "x" * 5000
# Values that no number, name or path is.
ODD = ("nan", "-inf", "1e400", "-1", "''", "[]", "{}", "{a: 1}", "???", "${oc.env:NOSUCH}", "${", "${nosuch.key}", LONG)
NUMBERS = ("seed", "num_train_epochs", "optimizer.lr")
GROUPS = (
    *("task", "data", "model", "adapter", "optimizer", "scheduler", "loop", "precision", "distributed"),
    *("speed", "tracker", "hub"),
)
GROUP_WORDS = (
    *("~{group}", "{group}=nosuch", "{group}=", "++{group}=[1]", "++{group}=text", "++{group}._target_=os.system"),
    *("++{group}._target_=", "++{group}._target_=null", "++{group}._target_=3", "++{group}._args_=[1]"),
    *("++{group}.nosuch=1", "++{group}.a.b.c=1", f"{{group}}={LONG}", "{group}=[{group},nosuch]"),
)
STUDY = ("-m", "hydra/sweeper=study", "optimizer.lr=interval(1e-6,1e-3)")
SWEEPER: dict[str, tuple[str, ...]] = {
    "n_trials": ("1.5", "0", "nan", "abc", "null", "[1]"),
    "n_jobs": ("-1", "abc", "1.5", "nan", "null"),
    "threads": ("abc", "0", "-1", "1.5", "nan"),
    "max_failure_rate": ("abc", "2", "-1", "nan", "null"),
    "retries": ("-1", "abc", "1.5", "nan"),
    "beat_every": ("nan", "inf", "0", "abc"),
    "stale_after": ("nan", "inf", "0", "abc"),
    "bound_errors": ("nan", "-1", "abc", "inf"),
    "constraints": ("5", "abc", "[1]", "{cost/x: 5}", "{cost/peak_memory_bytes: 'about 5'}"),
    "when": ("5", "abc", "[1]", "{a: 1}", "{nosuch.key=1: {seed: 1}}"),
    "link": ("5", "abc", "[1]", "[[a]]", "[[nosuch,other]]"),
    "enqueue": ("5", "abc", "[1]", "[{nosuch.key: 1}]"),
    "params": ("5", "abc", "[1]", "{nosuch.key: interval(0,1)}", "{optimizer.weight_decay: [}"),
    "custom_search_space": ("nosuch.x", "os.system", "5", "[1]"),
    "objective": ("5", "nosuch_metric", "[]", "[1]", "{a: 1}"),
    "objective_from": ("middle", "5", "null", "[1]"),
    "direction": ("sideways", "5", "[maximize,minimize]"),
    "seeds": ("5", "abc", "[]", "[1,1]", "[a]", "[1.5]", "[-1]"),
    "seeds_reduce": ("mode", "5", "null", "[1]"),
    "study_name": ("../x", "''", "5", "[1]", LONG),
    "storage": ("5", "nosuch://x", "sqlite:///nosuch/dir/f.db", "[1]"),
    "pictures": ("maybe", "5", "null"),
    "nosuch": ("1",),
}
# A table's YAML, and what is wrong in it.
TABLE: dict[str, Any] = {
    "title": "a",
    "source": {"paper": "x"},
    "split": "dev",
    "seeds": [1, 2],
    "rows": {"a": {"overrides": []}},
    "columns": {"b": {"overrides": ["data=reviews"], "metric": "accuracy"}},
}
SHAPES: tuple[dict[str, Any], ...] = (
    {"rows": [1]},
    {"rows": {"a": 5}},
    {"rows": None},
    {"columns": "x"},
    {"columns": {"b": [1]}},
    {"columns": {"b": {"metric": "nosuch", "overrides": []}}},
    {"seeds": {"a": 1}},
    {"seeds": [[1]]},
    {"published": [1]},
    {"published": {"a": 5}},
    {"published": {"a": {"b": "much"}}},
    {"overrides": "x"},
    {"overrides": [{"a": 1}]},
    {"source": "x"},
    {"min_seeds": "abc"},
    {"notes": 5},
)


@dataclass
class Found:
    tried: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)  # silently
    unclear: list[str] = field(default_factory=list)  # not one line; or another code than 2
    raised: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # files behind
    heavy: list[str] = field(default_factory=list)  # imported before it was refused


def lines() -> Iterator[tuple[str, list[str]]]:
    """Commands with their words: those of the text beside this file, and odd values of keys of every kind."""
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        command, *words = (word.replace("LONG", LONG) for word in shlex.split(line))
        yield ("train", [*STUDY, *words]) if command == "study" else (command, words)
    for place, group in enumerate(GROUPS):
        for word in GROUP_WORDS[:: 1 if place < 2 else 2] if place % 2 == 0 else GROUP_WORDS[1::2]:
            yield "train", [word.format(group=group)]
    for key in NUMBERS:
        yield from (("train", [f"{key}={value}"]) for value in ODD if (key, value) != ("num_train_epochs", "-1"))
    for key, values in SWEEPER.items():
        yield from (("train", [*STUDY, f"hydra.sweeper.{key}={value}"]) for value in values)


def prepare(folder: Path) -> None:
    """What the lines name besides what is not there."""
    import yaml

    from tests.analysis import synthetic

    synthetic.write(folder / "runs" / "0")
    (folder / "bad").mkdir()
    (folder / "bad" / "run.json").write_text("[1]")
    (folder / "train.csv").write_text("text,label\na,x\nb,y\n")
    (folder / "junk").write_bytes(b"\0\xff\xfejunk")
    (folder / "junk.wandb").write_bytes(b"\0junk")
    (folder / "junk.yaml").write_bytes(b"\0\xff: [")
    (folder / "bom.yaml").write_text("\ufefftitle: 5\n")
    (folder / "list.yaml").write_text("[1, 2]\n")
    (folder / "deep.yaml").write_text("a: " + "[" * 3000 + "]" * 3000 + "\n")
    for number, change in enumerate(SHAPES):
        (folder / f"shapes{number}.yaml").write_text(yaml.safe_dump(TABLE | change))
    with tarfile.open(folder / "good.tar.gz", "w:gz") as archive:
        archive.add(folder / "runs" / "0", "0")
    with tarfile.open(folder / "evil.tar.gz", "w:gz") as archive:
        archive.add(folder / "junk", "../../evil")


def _contents(folder: Path) -> dict[str, tuple[int, int]]:
    """All but the cache, which any command that reads a table may fill."""
    files = [path for path in folder.rglob("*") if not path.is_symlink() and ".cache" not in path.parts]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns if path.is_file() else 0) for path in files}


class Accepted(BaseException):
    """The command went to work."""


def _accept(*_: Any, **__: Any) -> Any:
    raise Accepted


def try_line(command: str, words: list[str], folder: Path, found: Found) -> None:
    said = f"{command} {' '.join(words)}"[:160]
    found.tried[command] += 1
    before, loaded = _contents(folder), {name for name in HEAVY if name in sys.modules}
    out, err = io.StringIO(), io.StringIO()
    sys.argv = [command, *words]
    code: Any = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = importlib.import_module(MODULES[command]).main()
    except SystemExit as ending:
        code = ending.code
    except Accepted:
        code = 0
    except BaseException as error:
        found.raised.append(f"{said}: {type(error).__name__}: {str(error)[:200]}")
        return
    finally:
        _clean()
    text = err.getvalue()
    usage = text.startswith("usage:")  # argparse says how the command is used, too
    last = text.strip().rpartition("\n")[2]
    if code in (0, None):
        found.accepted.append(said)
    elif code != 2 or not last or "Traceback" in text or (text.count("\n") > 1 and not usage) or len(last) > 6000:
        found.unclear.append(f"{said}: code {code}: {text[:300]!r}")
    if _contents(folder) != before:
        found.left.append(f"{said}: {sorted(set(_contents(folder)) ^ set(before))[:3]}")
    new = [name for name in HEAVY if name in sys.modules and name not in loaded]
    if new:
        found.heavy.append(f"{said}: {new}")


PLAIN = (
    *("train", "predict", "evaluate", "share", "runs", "compare", "table", "init", "parts", "explain", "diff"),
    *("completion", "soup", "folds"),
)
MODULES = {name: f"exp.{name}" for name in PLAIN}
MODULES |= {"schema": "exp.schema", "reproduce": "exp.reproduce", "curves": "exp.curves.__main__", "cli": "exp.cli"}
MODULES["data"] = "exp.data.__main__"


def _clean() -> None:
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()


def main() -> None:
    import subprocess

    folder = Path.cwd()
    os.environ["HOME"] = str(folder)  # nothing accepted by mistake reaches the user's own
    prepare(folder)
    real = subprocess.Popen

    class Watched(real):  # type: ignore[misc,valid-type]
        """Asking git or nvidia-smi is no work; a worker or a training is."""

        def __init__(self, args: Any, *more: Any, **named: Any) -> None:
            if str(args[0]) == sys.executable:
                raise Accepted
            super().__init__(args, *more, **named)

    subprocess.Popen = Watched  # type: ignore[misc]
    from exp import train
    from exp.study import sweep

    train.train = sweep.Coordinator = _accept
    sys.stdin = io.StringIO("")
    found = Found()
    only = os.environ.get("ONLY")
    for command, words in lines():
        if only is None or only in f"{command} {' '.join(words)}":
            try_line(command, words, folder, found)
    print(json.dumps(vars(found)))


if __name__ == "__main__":
    main()

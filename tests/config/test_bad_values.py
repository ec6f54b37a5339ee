"""No option takes a value that its declaration forbids, and saying so imports nothing heavy and leaves no folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.config.bad_values import FILES, HEAVY, bad_values, prepare

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bad")
    prepare(folder)
    code = f"import sys; sys.path[:0] = ['{ROOT}', '{ROOT / 'src'}']; from tests.config.bad_values import main; main()"
    env = {**os.environ, "EXP_TRUST": "my_parts"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == set(FILES)
    return json.loads(done.stdout)


def test_every_bad_value_of_every_option_is_refused(found: dict[str, Any]) -> None:
    assert found["tried"] > 1500
    assert found["accepted"] == []


def test_each_is_said_in_one_line_with_its_key(found: dict[str, Any]) -> None:
    assert found["raised"] == []
    assert found["unclear"] == []


def test_nothing_heavy_is_imported(found: dict[str, Any]) -> None:
    assert found["heavy"] == []


def test_bad_values_are_bad() -> None:
    schema = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}
    assert {"3", 1.5, True, 0} <= {value for value in bad_values(schema) if isinstance(value, str | float | int)}
    assert None not in list(bad_values(schema))
    assert "no-such-choice" in list(bad_values({"type": "string", "enum": ["a"]}))


WORDS = [
    "optimizer.lr=-1",
    "optimizer.betas=[2,3]",
    "optimizer=by_name optimizer.name=RAdam +optimizer.options.beta=1",
    "scheduler=warmup_stable_decay scheduler.decay_type=foo",
    "scheduler.warmup_steps=1000000",
    "adapter=lora adapter.r=0",
    "adapter=adalora max_steps=1",
    "adapter=prompt_tuning batching=packed",
    "callbacks=[early_stopping] eval_strategy=no",
    "speed.compile=yesno",
    "distributed.timeout=nan",
    "precision.name=fp15",
    "tracker.wandb.init_timeout=0",
    "hub.push=maybe",
    "+loop.steps=1",
    "seed=-1",
    "learning_rate=1e-5",
    "optimizer=null",
    "~optimizer",
    "~hub.push",
    "seed=${seed}",
    "optimizer.lr=${oc.env:NO_SUCH_VARIABLE}",
    "optimizer._target_=os.system",
]


# Each in a fork of a process that has refused a command line, and imported nothing heavy.
TRIED = """
import json, os, sys, traceback
import exp.train

def tried(words, folder):
    os.mkdir(folder)
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{folder}.{name}", os.O_WRONLY | os.O_CREAT), number)
    sys.argv[1:] = words.split()
    code = 0
    try:
        exp.train.main()
    except SystemExit as ending:
        code = ending.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code, [name for name in json.loads(HEAVY) if name in sys.modules]

def first():
    sys.argv[1:] = ["seed=-1"]
    sys.stderr = open(os.devnull, "w")
    try:
        exp.train.main()
    except SystemExit:
        sys.stderr = sys.__stderr__

first()
found = {}
for number, words in enumerate(json.loads(WORDS)):
    ends = os.pipe()
    if not os.fork():
        os.write(ends[1], json.dumps(tried(words, os.path.abspath(str(number)))).encode())
        os._exit(0)
    os.close(ends[1])
    with open(ends[0]) as told:
        found[words] = json.load(told)
    os.wait()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("commands")
    code = f"HEAVY, WORDS = {json.dumps(HEAVY)!r}, {json.dumps(WORDS)!r}\n{TRIED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("words", WORDS)
def test_the_command_ends_in_one_line_before_anything_heavy(words: str, commands: tuple[Path, dict[str, Any]]) -> None:
    made, found = commands
    folder = made / str(WORDS.index(words))
    assert found[words] == [2, []]
    told = folder.with_suffix(".stderr").read_text()
    assert told.startswith("exp: ") and told.count("\n") == 1
    assert folder.with_suffix(".stdout").read_text() == ""
    assert list(folder.iterdir()) == []

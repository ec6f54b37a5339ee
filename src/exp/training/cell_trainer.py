"""A warm process that trains what a table misses, one run after the other: started by exp.table, one a worker.

    python -m exp.training.cell_trainer exp.train [--config-dir DIR]

One JSON line in, one out: {"train": overrides, "claim": file} -> {"code": exit code}, and
{"check": overrides} -> {"error": text or null}. It ends when its input does, after the run that it is at.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from exp.errors import ExpError

STOPPED = (75, 130)  # exit codes of a run that a signal ended


def main(command: str, flags: list[str]) -> int:
    # What a run prints goes to the log; the real standard output is for answers alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    while line := sys.stdin.readline():
        asked = json.loads(line)
        code = 0 if "check" in asked else train(asked, command, flags)
        answer = {"error": check(asked["check"], flags)} if "check" in asked else {"code": code}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if code in STOPPED:
            return code
    return 0


def train(asked: dict[str, Any], command: str, flags: list[str]) -> int:
    """The exit code that `python -m <command>` would have had."""
    from exp.work.claims import kept_alive

    run = importlib.import_module(command).main
    words = list(asked["train"])
    print(f"== {' '.join(words)}", flush=True)
    with kept_alive(Path(asked["claim"])):
        before, sys.argv = sys.argv, ["train.py", *flags, *words]
        try:
            run()
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        except KeyboardInterrupt:
            return STOPPED[1]
        except BaseException:  # the run's record says failed; the next run must not suffer for it
            traceback.print_exc()
            return 1
        finally:
            sys.argv = before
    return 0


def check(words: list[str], flags: list[str]) -> str | None:
    """What is wrong with the config of these overrides, as exp.train would say it; None if nothing."""
    from exp.config.command_line import read
    from exp.config.compose import compose
    from exp.training.launch import check_config

    try:
        command = read([*flags, *words])
        check_config(compose(command.words, config_dir=command.config_dir))
    except ExpError as error:
        return str(error)
    return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))

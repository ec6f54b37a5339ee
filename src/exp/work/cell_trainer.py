"""A warm process that trains what a table misses, one run after the other: started by exp.table, one a worker.

    python -m exp.work.cell_trainer

One JSON line in, one out: {"train": overrides, "claim": file} -> {"code": exit code}, and
{"check": overrides} -> {"error": text or null}. It ends when its input does, after the run that it is at.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from exp.errors import ExpError

STOPPED = (75, 130)  # exit codes of a run that a signal ended


def main() -> int:
    # What a run prints goes to the log; the real standard output is for answers alone.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    while line := sys.stdin.readline():
        asked = json.loads(line)
        code = 0 if "check" in asked else train(asked)
        answer = {"error": check(asked["check"])} if "check" in asked else {"code": code}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if code in STOPPED:
            return code
    return 0


def train(asked: dict[str, Any]) -> int:
    """The exit code that `python -m exp.train` would have had."""
    from exp.analysis.tables.claims import beating
    from exp.train import main as run

    words = list(asked["train"])
    print(f"== {' '.join(words)}", flush=True)
    with beating(Path(asked["claim"])):
        before, sys.argv = sys.argv, ["train.py", *words]
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


def check(words: list[str]) -> str | None:
    """What is wrong with the config of these overrides, as exp.train would say it; None if nothing."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    from exp.config import check as config_check
    from exp.config.confdir import conf_dir
    from exp.config.explain import explained, while_composing

    try:
        with initialize_config_dir(str(conf_dir()), job_name="train"):
            cfg = compose("train", overrides=words, return_hydra_config=True)
            HydraConfig.instance().set_config(cfg)
            config_check.check(cfg, cfg.hydra.runtime.choices)
    except ExpError as error:
        return str(error)
    except Exception as error:
        if not while_composing(error):
            raise
        return str(explained(error, "train", words))
    return None


if __name__ == "__main__":
    raise SystemExit(main())

"""exp <command> ...: every command is also a module, `python -m exp.<command>`."""

from __future__ import annotations

import importlib
import sys

from exp.errors import ExpError, nearest
from exp.run.exits import plain_exits

# command -> module, what it does
COMMANDS = {
    "train": ("exp.train", "fine-tune: exp train data=mrpc model=bert_base optimizer=adamw"),
    "sweep": ("exp.train", "search: exp sweep lr ... is exp train --multirun sweep=lr ..."),
    "data": ("exp.data.__main__", "look at data as a model would be shown them, before training"),
    "predict": ("exp.predict", "a run's model on new text"),
    "evaluate": ("exp.evaluate", "a run's model on labelled data"),
    "soup": ("exp.soup", "the mean of the weights of several runs, as a run of its own"),
    "share": ("exp.share", "push a run's model to the Hugging Face Hub"),
    "runs": ("exp.runs", "list runs and their results"),
    "compare": ("exp.compare", "what differed between runs, and what it did"),
    "folds": ("exp.folds", "the out-of-fold predictions of a cross-validation as one table"),
    "curves": ("exp.curves.__main__", "draw and judge learning curves"),
    "table": ("exp.table", "run a paper's table and set it beside the published numbers"),
    "init": ("exp.init", "a project of your own, which runs at once: exp init myproject"),
    "parts": ("exp.parts", "whose code is trusted here, and what options it adds"),
    "explain": ("exp.explain", "what a key does, what it takes, where it is set: exp explain optimizer.lr"),
    "diff": ("exp.diff", "how two runs differ: config, code, packages, results"),
    "completion": ("exp.completion", "Tab for bash, zsh and fish: options, keys, run folders"),
    "schema": ("exp.schema", "write JSON schemas, so that an editor checks and completes the YAMLs"),
    "reproduce": ("exp.reproduce", "run a finished run again and say whether it agrees"),
}


def main(argv: list[str] | None = None) -> None:
    """Hands the rest of the words to the command's own `main`, which reads sys.argv."""
    words = list(sys.argv[1:] if argv is None else argv)
    with plain_exits():
        if not words:
            from exp.saved.next_steps import here

            print("\n".join([*here(), "", "exp --help lists the commands, exp <command> --help says more of one."]))
            return
        if words[0] in ("-h", "--help"):
            print(usage())
            return
        if words[0] == "--version":
            from exp import __version__

            print(f"exp {__version__}")
            return
        command, *rest = words
        if command not in COMMANDS:
            raise ExpError(f"{command}: no such command{nearest(command, COMMANDS)}")
        module = COMMANDS[command][0]
        sys.argv = [f"exp {command}", *(_sweep(rest) if command == "sweep" else rest)]
        try:
            entry = importlib.import_module(module).main
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise ExpError(f"{command} is not part of this installation ({module} is missing)") from None
    code = entry()
    if code:
        raise SystemExit(code)


def usage() -> str:
    rows = [f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "exp <command> [key=value ...]",
            "",
            *rows,
            "",
            "exp <command> --help says more; python -m exp.<command> is the same.",
        ]
    )


def _sweep(rest: list[str]) -> list[str]:
    """`lr optimizer=sgd` -> `--multirun sweep=lr optimizer=sgd`."""
    preset, others = [], rest
    if rest and "=" not in rest[0] and not rest[0].startswith("-"):
        preset, others = [f"sweep={rest[0]}"], rest[1:]
    # Hydra shows a config or runs many, not both.
    shows = {"-h", "--help", "-c", "--cfg", "-i", "--info"} & set(others)
    return [*([] if shows else ["--multirun"]), *preset, *others]


if __name__ == "__main__":
    main()
